"""The lock of the one writer: taken, renewed in the background, and given back; what another one has taken is not written again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError, ResponseError

from pipeline.errors import JournalError
from pipeline.journal.position import Position
from pipeline.journal.redis_streams import scripts
from pipeline.journal.redis_streams.owner import Owner
from pipeline.journal.redis_streams.server import Keys, decode

LEASE_S = 6.0

_POLL_S = 0.1


class Lease:
    """The right to write one source.

    A process of this machine that was killed is replaced at once; of one elsewhere the lock has to run out first.
    It may also run out while Redis is away: as long as nobody else has taken the source, writing then goes on.

    Args:
        client: of the server.
        keys: of the source.
        source: its name.
        life_s: how long the lock lives without being renewed.
        lost: called once, from another thread, when somebody else has become the writer.

    Raises:
        JournalError: when another process writes the source.
        RedisError: when Redis does not answer.
    """

    def __init__(self, client: Any, keys: Keys, source: str, *, life_s: float, lost: Callable[[], None]) -> None:
        self._client = client
        self._keys = keys
        self._life_s = life_s
        self._lost = lost
        self._owner = Owner.ours()
        self._stop = threading.Event()
        self.end = self._acquire(source)
        """Where the source ends."""
        self._thread = threading.Thread(target=self._run, name="journal-lease", daemon=True)
        self._thread.start()

    @property
    def arguments(self) -> tuple[str, str, str]:
        """What every script of the writer takes first."""
        return self._owner.token, self._owner.encode(), str(int(self._life_s * 1_000))

    @property
    def token(self) -> bytes:
        """By which the source knows its writer."""
        return self._owner.token.encode()

    def _acquire(self, source: str) -> Position:
        ended = b""
        seen_ms: int | None = None
        until = time.monotonic() + self._life_s * 1.5
        while True:
            answer = self._client.eval(scripts.ACQUIRE, 5, *self._keys.all(), *self.arguments, ended, source)
            if answer[0] != scripts.HELD:
                return decode(answer[1])
            holder, left_ms = Owner.parse(answer[1]), int(answer[2])
            if holder is not None and holder.has_ended():
                ended = answer[1]
                continue
            here = holder is not None and holder.system == self._owner.system
            renewed = seen_ms is not None and left_ms > seen_ms
            if here or renewed or time.monotonic() > until:
                msg = f"{self._keys.lines} is being written by {holder or 'somebody'}; a source has one writer: stop the other one first"
                raise JournalError(msg)
            seen_ms = left_ms
            time.sleep(_POLL_S)

    def renew(self) -> None:
        """Keep the lock for another while.

        Raises:
            RedisError: when Redis does not answer, or somebody else has become the writer.
        """
        self._client.eval(scripts.RENEW, 5, *self._keys.all(), *self.arguments)

    def _run(self) -> None:
        while not self._stop.wait(self._life_s / 3):
            try:
                self.renew()
            except ResponseError as error:
                if str(error).startswith(scripts.FENCED):
                    self._lost()
                    return
            except RedisError:  # the writer's own commits say so
                continue

    def close(self) -> None:
        """Give the lock back, if it is still ours."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(RedisError):
            self._client.eval(scripts.RELEASE, 5, *self._keys.all(), *self.arguments)
