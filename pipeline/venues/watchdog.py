"""Notices streams that stay silent on a live connection, without crying wolf over quiet markets.

Time is any number of seconds that never runs backwards, passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_QUIET_FACTOR: Final = 4.0
_LONGEST_PATIENCE_S: Final = 3_600.0
_MEMORY: Final = 0.999
"""What a message leaves of the longest pause: a busy stream forgets an outage within some thousand messages."""


@dataclass(slots=True)
class _Watch:
    """What is known of one stream."""

    since: float  # when the present silence began
    longest: float = 0.0  # longest pause between two messages, slowly forgotten
    strikes: int = 0  # reconnections on its account since its last message
    heard: float | None = None  # its last message, on this connection or one before
    resubscribed: bool = False  # tried in the present silence
    seen: bool = False  # a message has come on this connection


class Watchdog:
    """Per-stream silence, kept over reconnections of the same streams.

    A silent stream is first subscribed anew, then the connection is replaced. A stream that is quiet by
    nature is learnt: its patience is four times its longest pause lately, and doubles with every
    reconnection that did not help; never below ``stale_after_s``, never above an hour.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._watches: dict[str, _Watch] = {}

    @property
    def streams(self) -> tuple[str, ...]:
        """The watched streams."""
        return tuple(self._watches)

    def watch(self, streams: Iterable[str], now: float) -> None:
        """Start to wait for messages of these streams, or start anew on a new connection, with what is known of them."""
        for stream in streams:
            known = self._watches.get(stream)
            self._watches[stream] = _Watch(now) if known is None else _Watch(now, known.longest, known.strikes, known.heard)

    def forget(self, streams: Iterable[str]) -> None:
        """These streams are no longer wanted."""
        for stream in streams:
            self._watches.pop(stream, None)

    def seen(self, stream: str, now: float) -> None:
        """A message of a stream came; others than the watched ones are ignored. Called for every message."""
        watch = self._watches.get(stream)
        if watch is None:
            return
        if watch.heard is not None:
            watch.longest = max(watch.longest * _MEMORY, now - watch.heard)
        watch.heard = now
        watch.since = now
        watch.seen = True
        watch.strikes = 0
        watch.resubscribed = False

    def silent_s(self, stream: str, now: float) -> float:
        """Seconds since the last message of a watched stream, or since it was asked for."""
        return now - self._watches[stream].since

    def waiting(self) -> tuple[str, ...]:
        """The streams whose first message has not come."""
        return tuple(stream for stream, watch in self._watches.items() if not watch.seen)

    def stale(self, now: float) -> tuple[str, ...]:
        """Streams that have just become too silent: to be subscribed anew. Each is named once a silence."""
        found = []
        for stream, watch in self._watches.items():
            if not watch.resubscribed and now - watch.since >= self._patience(watch):
                watch.resubscribed = True
                found.append(stream)
        return tuple(found)

    def dead(self, now: float) -> tuple[str, ...]:
        """Streams that stayed as silent again after they were subscribed anew: the connection is to be replaced.

        Each is struck for it, so that it waits longer next time.
        """
        found = []
        for stream, watch in self._watches.items():
            if watch.resubscribed and now - watch.since >= 2 * self._patience(watch):
                watch.strikes += 1
                watch.since = now
                watch.resubscribed = False
                found.append(stream)
        return tuple(found)

    def _patience(self, watch: _Watch) -> float:
        doubled = self._stale_after_s * 2.0 ** min(watch.strikes, 20)
        return max(self._stale_after_s, min(max(doubled, _QUIET_FACTOR * watch.longest), _LONGEST_PATIENCE_S))
