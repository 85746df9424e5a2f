"""Profiles: one directory each, with a free name and a kind that is fixed when it is made.

    <data_dir>/profiles/<name>/
        profile.json      name, kind, trade stream, created_at
        universe.json     symbols and pairs, published by the warehouse, followed by capture
        journal/          append-only segments, one directory per source
        warehouse.duckdb  opened by one process at a time
        archive/          Parquet of what has left the database
        reports/          HTML reports
        run/              endpoint and tokens of the running processes, lock and state of the supervisor
        logs/             one file per process
        turns/            one file per batch job, for its lock
        prefect/          PREFECT_HOME

Directories are made when the profile is.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.errors import ProfileError
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.universe import Method, PairSpec, Scale, Universe

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Kind(StrEnum):
    """Where a profile's data comes from. Data of another kind is refused."""

    LIVE = "live"
    SIMULATED = "simulated"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile and where its files are."""

    name: str
    kind: Kind
    trade_stream: TradeKind
    created_at: str
    path: Path

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.path / "warehouse.duckdb"

    @property
    def journal(self) -> Path:
        """Root of the journal: one directory per source."""
        return self.path / "journal"

    @property
    def archive(self) -> Path:
        """Parquet files of what has left the database."""
        return self.path / "archive"

    @property
    def reports(self) -> Path:
        """HTML reports."""
        return self.path / "reports"

    @property
    def uploads(self) -> Path:
        """Files that were brought to the dashboard, until they are taken."""
        return self.path / "uploads"

    @property
    def run(self) -> Path:
        """Endpoint, tokens and locks of running processes."""
        return self.path / "run"

    @property
    def turns(self) -> Path:
        """One file per batch job, for the lock of whoever runs it."""
        return self.path / "turns"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.path / "logs"

    @property
    def prefect_home(self) -> Path:
        """Prefect's own files."""
        return self.path / "prefect"

    @property
    def universe_file(self) -> Path:
        """The universe, as the warehouse last published it."""
        return self.path / "universe.json"


def profiles_dir(data_dir: Path) -> Path:
    """Where the profiles of a data directory lie."""
    return data_dir / "profiles"


def check_name(name: str) -> None:
    """Refuse a name that no profile can have.

    Raises:
        ProfileError: then.
    """
    if _NAME.fullmatch(name) is None:
        msg = f"profile name {name!r} cannot be used; expected up to 40 small letters, digits, - and _"
        raise ProfileError(msg)


def create_profile(data_dir: Path, name: str, kind: Kind, trade_stream: TradeKind, *, created_at: str) -> Profile:
    """Make a new profile with its directories; ``created_at`` is ISO 8601.

    Raises:
        ProfileError: when the name is not usable or taken.
    """
    check_name(name)
    path = profiles_dir(data_dir) / name
    if (path / "profile.json").exists():
        msg = f"profile {name!r} exists already; choose another name or `spreadwatch profile reset {name}`"
        raise ProfileError(msg)
    profile = Profile(name, kind, trade_stream, created_at, path)
    for directory in (profile.journal, profile.archive, profile.reports, profile.run, profile.logs, profile.prefect_home):
        directory.mkdir(parents=True, exist_ok=True)
    profile.run.chmod(0o700)
    facts = {"name": name, "kind": kind.value, "trade_stream": trade_stream.value, "created_at": created_at}
    write_atomically(path / "profile.json", json.dumps(facts, indent=2) + "\n")
    return profile


def load_profile(data_dir: Path, name: str) -> Profile:
    """Read a profile that exists.

    Raises:
        ProfileError: when there is none of that name, or its file is damaged.
    """
    path = profiles_dir(data_dir) / name
    try:
        facts = json.loads((path / "profile.json").read_text())
        return Profile(facts["name"], Kind(facts["kind"]), TradeKind(facts["trade_stream"]), facts["created_at"], path)
    except FileNotFoundError:
        there = ", ".join(found.name for found in list_profiles(data_dir)) or "none yet"
        msg = f"profile {name!r} does not exist under {data_dir} (there: {there}); `spreadwatch up --profile {name}` makes it"
        raise ProfileError(msg) from None
    except (ValueError, KeyError) as error:
        msg = f"{path / 'profile.json'} is damaged ({error}); restore it from a backup or remove the directory"
        raise ProfileError(msg) from error


def list_profiles(data_dir: Path) -> list[Profile]:
    """Every profile under a data directory, by name."""
    found = sorted(profiles_dir(data_dir).glob("*/profile.json"))
    return [load_profile(data_dir, path.parent.name) for path in found]


def open_profile(data_dir: Path, name: str, kind: Kind, trade_stream: TradeKind, *, created_at: str) -> Profile:
    """Load a profile, or make it; the kind must agree.

    Raises:
        ProfileError: when the profile exists and is of another kind.
    """
    if not (profiles_dir(data_dir) / name / "profile.json").exists():
        return create_profile(data_dir, name, kind, trade_stream, created_at=created_at)
    profile = load_profile(data_dir, name)
    if profile.kind is not kind:
        msg = f"profile {name!r} is {profile.kind}, not {kind}; choose another name for {kind} data"
        raise ProfileError(msg)
    return profile


def publish_universe(profile: Profile, universe: Universe) -> None:
    """Write ``universe.json`` so that a reader sees the old or the new one, never a part."""
    content = {
        "version": universe.version,
        "symbols": list(universe.symbols),
        "uploaded": list(universe.uploaded),
        "pairs": [
            {"pair": str(spec.pair), "method": spec.method.value, "lookback": spec.lookback, "scale": spec.scale.value}
            for spec in universe.pairs
        ],
    }
    write_atomically(profile.universe_file, json.dumps(content, indent=2) + "\n")


def read_universe(profile: Profile) -> Universe | None:
    """The universe as last published; None before the warehouse has run for the first time."""
    try:
        content = json.loads(profile.universe_file.read_text())
    except FileNotFoundError:
        return None
    pairs = tuple(
        PairSpec(Pair.parse(spec["pair"]), Method(spec["method"]), spec["lookback"], Scale(spec["scale"])) for spec in content["pairs"]
    )
    return Universe(tuple(content["symbols"]), pairs, content["version"], tuple(content.get("uploaded", ())))


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace ``path`` with ``text`` in one step, durable before it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
