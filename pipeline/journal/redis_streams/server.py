"""Where Redis is, and its errors in our words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from pipeline.errors import DiskFull, JournalError, JournalUnavailable, SettingsError
from pipeline.journal.position import Position
from pipeline.journal.redis_streams.durability import Durability, judge

_CONNECT_S = 3.0
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one source, in the order that the scripts take them."""

    lines: str
    state: str
    segments: str
    lock: str
    sources: str

    @classmethod
    def of(cls, prefix: str, source: str) -> Keys:
        """The keys of a source."""
        own = f"{prefix}:{source}"
        return cls(f"{own}:lines", f"{own}:state", f"{own}:segments", f"{own}:lock", f"{prefix}:sources")

    def all(self) -> tuple[str, ...]:
        """All of them."""
        return self.lines, self.state, self.segments, self.lock, self.sources


class Server:
    """One Redis.

    Raises:
        SettingsError: when the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            parts = urlsplit(url)
            self.where = parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
            redis.ConnectionPool.from_url(url)
        except ValueError:  # whose text can tell a part of the password
            msg = (
                "redis_url cannot be used; expected redis://[user:password@]host:port/number, rediss:// or unix://, "
                "with special characters of the password written as %40 and the like"
            )
            raise SettingsError(msg) from None

    def connect(self) -> Any:
        """A client, which connects when it is used. It repeats nothing by itself: only the writer knows what may be repeated."""
        return redis.Redis.from_url(
            self._url, socket_connect_timeout=_CONNECT_S, socket_timeout=_ANSWER_S, retry=Retry(NoBackoff(), 0), protocol=2
        )

    @contextmanager
    def translated(self, verb: str) -> Iterator[None]:
        """Our errors in the place of the client's."""
        try:
            yield
        except RedisError as error:
            raise self.said(error, verb) from error

    def said(self, error: RedisError, verb: str) -> JournalError:
        """A client's error in our words."""
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
            return JournalError(f"Redis at {self.where} does not let us {verb} the journal ({told}); check the setting redis_url")
        if isinstance(error, (RedisConnectionError, RedisTimeoutError)):
            return JournalUnavailable(f"Redis at {self.where} cannot be reached to {verb} the journal ({told}); start it, or wait")
        if isinstance(error, OutOfMemoryError) or told.startswith(("OOM", "MISCONF")):
            return DiskFull(f"Redis at {self.where} has no room to {verb} the journal ({told}); give it memory or disk space")
        if isinstance(error, ResponseError):
            return JournalError(f"Redis at {self.where} refuses to {verb} the journal ({told}); see its log")
        return JournalError(f"cannot {verb} the journal in Redis at {self.where} ({told})")

    def durability(self) -> Durability:
        """What it promises.

        Raises:
            JournalError: when it cannot be reached, or is no place for a journal.
        """
        client = self.connect()
        try:
            with self.translated("look after"):
                return judge(client, self.where)
        finally:
            client.close()

    def settle(self, client: Any, prefix: str) -> None:
        """Wait until what the client wrote is as durable as this server makes it.

        Raises:
            JournalError: when it is no place for a journal.
            RedisError: when it does not answer.
        """
        if judge(client, self.where) is Durability.CONFIRMED:
            together = client.pipeline(transaction=False)
            together.hset(f"{prefix}:about", "settled_ms", time.time_ns() // 1_000_000)  # it waits for what this connection wrote
            together.execute_command("WAITAOF", 1, 0, 8_000)
            if int(together.execute()[-1][0]) < 1:
                msg = "no fsync confirmed within 8 s"
                raise RedisTimeoutError(msg)

    def begin_journal(self, prefix: str, profile: str) -> None:
        """Make a journal without sources.

        Raises:
            JournalError: when Redis does not answer, or is no place for a journal.
        """
        client = self.connect()
        try:
            with self.translated("begin"):
                judge(client, self.where)
                client.hset(f"{prefix}:about", mapping={"profile": profile, "begun_ms": time.time_ns() // 1_000_000})
                self.settle(client, prefix)
        finally:
            client.close()

    def require_journal(self, client: Any, prefix: str) -> None:
        """Refuse a server that does not have the journal (any more): what was landed could not be told from what was not.

        Raises:
            JournalError: then.
        """
        if not client.exists(f"{prefix}:about"):
            msg = (
                f"Redis at {self.where} has no journal {prefix}: it was emptied, or redis_url names another server; name the right one, "
                "restore its data, or begin anew without what was not landed: `spreadwatch profile journal NAME --to files --lost`"
            )
            raise JournalError(msg)


def encode(position: Position) -> str:
    """A position as the id of a stream entry."""
    return f"{position.seq}-{position.offset}"


def decode(text: bytes) -> Position:
    """The position that an id tells."""
    seq, _, offset = text.partition(b"-")
    return Position(int(seq), int(offset))
