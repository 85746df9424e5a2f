"""What a Redis server promises of a write that it has acknowledged, and whether it is fit to keep a journal."""

from __future__ import annotations

from enum import Enum
from typing import Any

from redis.exceptions import ResponseError

from pipeline.errors import JournalError

_OLDEST = (6, 2)


class Durability(Enum):
    """What can be lost of committed lines, from nothing to much; the value says it in words."""

    ALWAYS = "fsyncs before it answers: committed lines survive a power cut"
    CONFIRMED = "confirms each fsync (WAITAOF): committed lines survive a power cut, a commit takes up to a second"
    SECOND = (
        "fsyncs once a second: a power cut can take the last second or two of committed lines, a killed server nothing; "
        "set appendfsync always, or use Redis 7.2"
    )
    SNAPSHOT = "has no append-only file: a restart loses committed lines since its last snapshot; set appendonly yes and appendfsync always"
    UNKNOWN = "does not tell how it writes to disk: what a power cut can take of committed lines is not known"

    @property
    def firm(self) -> bool:
        """Whether a committed line is on the disk."""
        return self in (Durability.ALWAYS, Durability.CONFIRMED)


def judge(client: Any, where: str) -> Durability:
    """How durable a write is on this server.

    Raises:
        JournalError: when it is no place for a journal: too old, or set to evict keys that nobody let expire.
        RedisError: when it does not answer.
    """
    info = client.info()
    version = tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    if version < _OLDEST:
        msg = f"Redis at {where} is version {info.get('redis_version')}; the journal needs 6.2 or newer, and 7.2 is better"
        raise JournalError(msg)
    policy = str(info.get("maxmemory_policy", ""))
    if policy.startswith("allkeys") and int(info.get("maxmemory", 0)) > 0:
        msg = f"Redis at {where} may evict the journal (maxmemory-policy {policy}); set maxmemory-policy noeviction"
        raise JournalError(msg)
    if not int(info.get("aof_enabled", 0)):
        return Durability.SNAPSHOT
    fsync, deferred = _asked(client, "appendfsync"), _asked(client, "no-appendfsync-on-rewrite")
    if fsync == "always" and deferred == "no":
        return Durability.ALWAYS
    if fsync != "no" and version >= (7, 2):
        return Durability.CONFIRMED
    return Durability.SECOND if fsync == "everysec" else Durability.UNKNOWN


def _asked(client: Any, name: str) -> str:
    try:
        return str(client.config_get(name).get(name, ""))
    except ResponseError:  # a hosted Redis that keeps its settings to itself
        return ""
