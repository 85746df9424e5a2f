"""What a profile's journal is called in Redis, recorded in the profile."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ProfileError
from pipeline.profile import Profile

_FILE = "redis.json"


@dataclass(frozen=True, slots=True)
class RedisName:
    """Prefix of every key of one journal; no two profiles ever have the same."""

    prefix: str


def load_name(root: Path) -> RedisName | None:
    """What is recorded under a journal's root; None when the journal is not in Redis.

    Raises:
        ProfileError: when the record is damaged.
    """
    path = root / _FILE
    try:
        return RedisName(str(json.loads(path.read_text())["prefix"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        msg = f'{path} is damaged ({error!r}); expected {{"prefix": ...}} as it stands in Redis under *:about; restore it'
        raise ProfileError(msg) from error


def name_journal(profile: Profile, begin: Callable[[RedisName], None]) -> RedisName:
    """Record a fresh name after ``begin`` made the journal of that name; of several processes at once one wins, for all."""
    fresh = RedisName(f"spreadwatch:{{{profile.name}-{secrets.token_hex(6)}}}")
    begin(fresh)
    profile.journal.mkdir(parents=True, exist_ok=True)
    path = profile.journal / _FILE
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps({"prefix": fresh.prefix}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    _fsync(path.parent)
    return load_name(profile.journal) or fresh


def forget_name(profile: Profile) -> None:
    """From now on the journal is files."""
    (profile.journal / _FILE).unlink(missing_ok=True)
    _fsync(profile.journal)


def _fsync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
