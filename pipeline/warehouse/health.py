"""How the stream is doing, as rows of ``stream_health``: written in the landing transaction of each clock line of capture's."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.model.event import Clock, StreamSeen, TradeKind
from pipeline.store.streams import StreamReport, StreamStore, Told, Trouble
from pipeline.venues import QuoteColumns, TradeColumns, Venue
from pipeline.warehouse.lags import Lags, Stage

CAPTURE_ROW = "capture"
_SECOND_NS = 1_000_000_000
_STALE_S = 5.0
"""Capture writes a clock line each second: after this long without one landed its rows say that they are old."""
_REFRESH_S = 2.0
_NEVER = Told(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """What the rows are about: the venue, the profile's kind of trades, and the silence (seconds) from which a stream is silent.

    ``timed`` is False where event times are not of this moment, as in a replay: then nothing is late.
    """

    venue: Venue
    trades: TradeKind
    silent_after_s: float
    timed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """Messages that wait for their commit: streams, and by message which, when received, and when they happened (nanoseconds)."""

    streams: Sequence[str]
    codes: NDArray[np.integer[Any]]
    recv_ns: NDArray[np.int64]
    event_ns: NDArray[np.int64]


class StreamWatch:
    """Measures what lands and keeps ``stream_health``; its only writer.

    ``backlog`` is, for each source of the journal, the durable bytes that have not been landed; whoever reads the journal sets it.
    """

    def __init__(self, store: StreamStore, watched: Watched) -> None:
        self._store = store
        self._watched = watched
        self._lags = Lags()
        self._pending: list[_Pending] = []
        self._before: Clock | None = None
        self._rates: dict[str, float] = {}
        self._written_at = self._heard_at = time.monotonic()
        self.backlog: Mapping[str, int] = {}
        self._told = store.told()

    # ------------------------------------------------------------------ what lands

    def land(self, trades: TradeColumns, quotes: QuoteColumns, clocks: Iterable[Clock]) -> None:
        """Take a block of capture's lines: new trades, quotes, and clock lines in their order.

        Inside the transaction, as its last step.
        """
        venue, kind = self._watched.venue, self._watched.trades
        for rows, named in ((trades, lambda symbol: venue.trade_stream(symbol, kind)), (quotes, venue.quote_stream)):
            if len(rows):
                streams = [named(symbol) for symbol in rows.symbols.names]
                self._pending.append(_Pending(streams, rows.symbols.codes, rows.recv_ns, rows.event_time_ms * 1_000_000))
        last = None
        for clock in clocks:
            self._count(clock)
            last = clock
        if last is not None:
            self._heard_at = time.monotonic()
            self._measure(last)
            self._write(last)

    def committed(self, now_ns: int) -> None:
        """The block can be read from now on: note how late its messages are."""
        pending, self._pending = self._pending, []
        offset = self._before.offset if self._before is not None else None
        ahead_us = 0.0 if offset is None else offset.offset_ms * 1_000
        for one in pending:
            landing = (now_ns - one.recv_ns) / 1_000
            lags = {Stage.LANDING: landing}
            if self._watched.timed:
                lags[Stage.WIRE] = (one.recv_ns - one.event_ns) / 1_000 + ahead_us
                lags[Stage.VISIBLE] = lags[Stage.WIRE] + landing
            self._lags.add(one.streams, one.codes, lags, now_ns)

    def forget(self) -> None:
        """The transaction did not commit: what it told is not so."""
        self._pending = []
        self._told = self._store.told()

    @property
    def overdue(self) -> bool:
        """Whether no clock line has had the rows written for a while."""
        return time.monotonic() - self._written_at >= _REFRESH_S

    def refresh(self) -> None:
        """Write the rows of the journal anew; those of capture say that they are stale when it has not been heard of. In a transaction."""
        self._store.write_journal(list(self._of_journal(time.time_ns())), stale=time.monotonic() - self._heard_at >= _STALE_S)
        self._written_at = time.monotonic()

    # ------------------------------------------------------------------ counting

    def _count(self, clock: Clock) -> None:
        """Add what has come since the line before. A count below the old one is that of a capture that has been started anew."""
        for seen in clock.seen:
            old = self._told.get(seen.stream, _NEVER)
            self._told[seen.stream] = old._replace(
                messages=seen.messages, messages_total=old.messages_total + _grown(old.messages, seen.messages)
            )
        old = self._told.get(CAPTURE_ROW, _NEVER)
        self._told[CAPTURE_ROW] = old._replace(
            reconnects=clock.reconnects,
            reconnects_total=old.reconnects_total + _grown(old.reconnects, clock.reconnects),
            dropped=clock.lost_lines,
            dropped_total=old.dropped_total + _grown(old.dropped, clock.lost_lines),
        )

    def _measure(self, clock: Clock) -> None:
        before, self._before = self._before, clock
        if before is None or clock.recv_ns <= before.recv_ns:
            return
        elapsed_s = (clock.recv_ns - before.recv_ns) / _SECOND_NS
        earlier = {seen.stream: seen.messages for seen in before.seen}
        self._rates = {
            seen.stream: _grown(earlier[seen.stream], seen.messages) / elapsed_s for seen in clock.seen if seen.stream in earlier
        }

    # ------------------------------------------------------------------ rows

    def _write(self, clock: Clock) -> None:
        now_ns = time.time_ns()
        self._store.write([*self._of_capture(clock, now_ns), *self._of_journal(now_ns)])
        self._written_at = time.monotonic()

    def _of_capture(self, clock: Clock, now_ns: int) -> Iterable[StreamReport]:
        trouble = self._store.trouble()
        lags = self._lags.told(now_ns)
        told = self._told[CAPTURE_ROW]
        offset = clock.offset
        yield StreamReport(
            stream=CAPTURE_ROW,
            kind="capture",
            state="blocked" if clock.journal_fault else "open" if clock.connected else "down",
            observed_at=clock.recv_ns // 1_000,
            messages=sum(seen.messages for seen in clock.seen),
            messages_total=sum(self._told[seen.stream].messages_total for seen in clock.seen),
            rate=sum(self._rates.values()) if self._rates else None,
            reconnects=told.reconnects,
            reconnects_total=told.reconnects_total,
            dropped=told.dropped,
            dropped_total=told.dropped_total,
            waiting_frames=clock.waiting_frames,
            buffered_bytes=clock.buffered_bytes,
            clock_offset_ms=None if offset is None else offset.offset_ms,
            clock_rtt_ms=None if offset is None else offset.rtt_ms,
            clock_at=None if offset is None else offset.at_ns // 1_000,
            detail=clock.journal_fault,
        )
        names: dict[str, int] = {}
        for connection in clock.connections:
            number = names[connection.route] = names.get(connection.route, 0) + 1
            yield StreamReport(
                stream=f"connection:{connection.route}" + (f"/{number}" if number > 1 else ""),
                kind="connection",
                state=connection.state,
                observed_at=clock.recv_ns // 1_000,
                last_message_at=connection.since_ns // 1_000,
                reconnects=clock.reconnects,
            )
        for seen in clock.seen:
            yield self._of_stream(seen, clock, trouble, lags.get(seen.stream))

    def _of_stream(self, seen: StreamSeen, clock: Clock, trouble: Mapping[str, Trouble], lags: NDArray[np.float64] | None) -> StreamReport:
        venue = self._watched.venue
        symbol = venue.symbol_of(seen.stream)
        route = venue.route(seen.stream)
        connections = [connection for connection in clock.connections if connection.route == route]
        since_ns = seen.last_ns or min((connection.since_ns for connection in connections), default=None)
        down = not any(connection.state == "open" for connection in connections) if connections else not clock.connected
        silent = seen.last_ns is None or clock.recv_ns - seen.last_ns > self._watched.silent_after_s * _SECOND_NS
        row = StreamReport(
            stream=seen.stream,
            kind="stream",
            symbol=symbol,
            state="down" if down else "silent" if silent else "open",
            observed_at=clock.recv_ns // 1_000,
            messages=seen.messages,
            messages_total=self._told[seen.stream].messages_total,
            rate=self._rates.get(seen.stream),
            last_message_at=None if seen.last_ns is None else seen.last_ns // 1_000,
            silent_since=since_ns // 1_000 if silent and since_ns is not None else None,
            lag_ms=None if seen.last_ns is None else (clock.recv_ns - seen.last_ns) / 1e6,
        )
        if lags is not None:
            wire, landing, visible = ([None if math.isnan(value) else value for value in stage] for stage in lags.tolist())
            row = replace(
                row, wire_p50_ms=wire[0], wire_p99_ms=wire[1], wire_max_ms=wire[2],
                landing_p50_ms=landing[0], landing_p99_ms=landing[1], landing_max_ms=landing[2],
                visible_p50_ms=visible[0], visible_p99_ms=visible[1], visible_max_ms=visible[2],
            )  # fmt: skip
        if symbol is not None and seen.stream == venue.trade_stream(symbol, self._watched.trades):
            gaps = trouble.get(symbol, Trouble())
            row = replace(row, gaps_open=gaps.gaps_open, gaps=gaps.gaps, halts=gaps.halts, duplicates=gaps.duplicates)
        return row

    def _of_journal(self, now_ns: int) -> Iterable[StreamReport]:
        lines = self._store.lines()
        for source in sorted({*lines, *self.backlog}):
            yield StreamReport(
                stream=f"journal:{source}",
                kind="journal",
                state="open",
                observed_at=now_ns // 1_000,
                messages=lines.get(source, 0),
                messages_total=lines.get(source, 0),
                backlog_bytes=self.backlog.get(source),
            )


def _grown(before: int, now: int) -> int:
    return now - (before if before <= now else 0)
