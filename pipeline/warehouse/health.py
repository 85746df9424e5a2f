"""Capture's clock line as rows of ``stream_health``."""

from __future__ import annotations

from pipeline.model.event import Clock, StreamSeen
from pipeline.store.landing import StreamReport

_SECOND_NS = 1_000_000_000


class StreamWatch:
    """Turns clock lines into reports; remembers the one before, for rates."""

    def __init__(self) -> None:
        self._before: Clock | None = None
        self._rates: dict[str, float] = {}

    def reports(self, clock: Clock) -> list[StreamReport]:
        """One row for each connection of capture (``connection:<route>``) and for each stream.

        ``rate`` is messages per second since the clock line before (None at the first); ``lag_ms`` is how long ago the
        stream's last message came, None before the first.
        """
        observed_us = clock.recv_ns // 1_000
        self._measure(clock)
        self._before = clock
        return [
            *(
                StreamReport(f"connection:{seen.route}", seen.state, 0, None, seen.since_ns // 1_000, None, clock.reconnects, observed_us)
                for seen in clock.connections
            ),
            *(self._stream(seen, clock) for seen in clock.seen),
        ]

    def _measure(self, clock: Clock) -> None:
        before = self._before
        if before is None or clock.recv_ns <= before.recv_ns:
            return
        elapsed_s = (clock.recv_ns - before.recv_ns) / _SECOND_NS
        earlier = {seen.stream: seen.messages for seen in before.seen}
        # Below the old count capture has been started anew: its count is what has come since.
        self._rates = {
            seen.stream: (seen.messages - (earlier[seen.stream] if earlier[seen.stream] <= seen.messages else 0)) / elapsed_s
            for seen in clock.seen
            if seen.stream in earlier
        }

    def _stream(self, seen: StreamSeen, clock: Clock) -> StreamReport:
        last_us = None if seen.last_ns is None else seen.last_ns // 1_000
        lag_ms = None if seen.last_ns is None else (clock.recv_ns - seen.last_ns) / 1e6
        state = "down" if not clock.connected else "silent" if seen.last_ns is None else "open"
        return StreamReport(seen.stream, state, seen.messages, self._rates.get(seen.stream), last_us, lag_ms, 0, clock.recv_ns // 1_000)
