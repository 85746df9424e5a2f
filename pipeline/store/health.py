"""How the platform is doing: the journal's clock, streams, gaps, what has been landed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class JournalClock:
    """Where landing stands.

    Attributes:
        journal_time: the time that the landed part of the journal has reached.
        commit_no: number of the last landing transaction; it changes when anything has changed.
        lateness_ms: how long after its end a bar waits for late trades.
        ended: whether a recording has ended.
        committed_at: when that transaction was made, by the clock of the machine.
    """

    journal_time: datetime
    commit_no: int
    lateness_ms: int
    ended: bool
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class CaptureHealth:
    """Capture as a whole.

    Attributes:
        state: open, down (a connection at least), blocked (the journal cannot be written) or stale (not heard of).
        observed_at: when it told.
        rate: messages a second.
        messages: since it was started.
        reconnects: since it was started.
        reconnects_total: ever.
        dropped: lines that found no room, since it was started.
        dropped_total: ever.
        waiting_frames: received, not taken.
        buffered_bytes: taken, not durable.
        clock_offset_ms: how far the venue's clock is ahead of ours; None before it has been measured.
        clock_rtt_ms: round trip of that measurement.
        clock_at: when it was made.
        detail: why the journal cannot be written, when it cannot.
    """

    state: str
    observed_at: datetime
    rate: float | None
    messages: int
    reconnects: int
    reconnects_total: int
    dropped: int
    dropped_total: int
    waiting_frames: int
    buffered_bytes: int
    clock_offset_ms: float | None
    clock_rtt_ms: float | None
    clock_at: datetime | None
    detail: str | None


_CLOCK = "SELECT journal_time, commit_no, lateness_ms, ended, committed_at FROM journal_clock ORDER BY commit_no DESC LIMIT 1"

_STREAMS = """
    SELECT stream, state, messages, rate, last_message_at, lag_ms, reconnects, observed_at, silent_since, symbol,
           wire_p50_ms, wire_p99_ms, wire_max_ms, landing_p50_ms, landing_p99_ms, landing_max_ms,
           visible_p50_ms, visible_p99_ms, visible_max_ms, gaps_open, gaps, halts, duplicates
    FROM stream_health WHERE kind IN ('stream', 'connection') ORDER BY stream
"""

_CAPTURE = """
    SELECT state, observed_at, rate, messages, reconnects, reconnects_total, dropped, dropped_total, waiting_frames, buffered_bytes,
           clock_offset_ms, clock_rtt_ms, clock_at, detail
    FROM stream_health WHERE kind = 'capture'
"""
_BACKLOG = """
    SELECT replace(stream, 'journal:', '') AS source, backlog_bytes, messages AS lines
    FROM stream_health WHERE kind = 'journal' ORDER BY source
"""

_GAPS = """
    SELECT gap_id, symbol, first_missing, last_missing, last_missing - first_missing + 1 AS missing, from_time, to_time, detected_at,
           state, resolved_at, detail
    FROM gaps ORDER BY detected_at DESC, symbol, first_missing LIMIT $most
"""

_GAP_TOTALS = """
    SELECT symbol, count(*) FILTER (state = 'open') AS open, count(*) FILTER (state = 'refilled') AS refilled,
           count(*) FILTER (state = 'unrecoverable') AS unrecoverable,
           count(*) FILTER (state = 'halt' AND first_missing <= last_missing) AS never_given,
           count(*) FILTER (state = 'halt' AND first_missing > last_missing) AS halts
    FROM gaps GROUP BY symbol ORDER BY symbol
"""

_LANDED = """SELECT source, name, "count" FROM landing_counts WHERE NOT starts_with(name, 'duplicate_trades:') ORDER BY source, name"""
_OFFSETS = 'SELECT source, seq, "offset", lines FROM ingest_offsets ORDER BY source'
_MALFORMED = "SELECT source, seen_at, line FROM malformed_samples ORDER BY seen_at DESC LIMIT $most"

_ROWS = """
    SELECT * FROM (
        SELECT name, CAST(sum("rows") AS BIGINT) AS "rows" FROM (
            SELECT 'ticks' AS name, count(*) AS "rows" FROM ticks_recent
            UNION ALL SELECT 'quotes', count(*) FROM quotes_recent
            UNION ALL SELECT 'bars_1s', count(*) FROM bars_1s_recent
            UNION ALL SELECT dataset, "rows" FROM archived WHERE state = 'archived'
        ) GROUP BY name
        UNION ALL SELECT 'bars_resampled', count(*) FROM bars_resampled
        UNION ALL SELECT 'klines', count(*) FROM klines
        UNION ALL SELECT 'fits', count(*) FROM fits
        UNION ALL SELECT 'signals', count(*) FROM signals
        UNION ALL SELECT 'liquidity', count(*) FROM liquidity
        UNION ALL SELECT 'gaps', count(*) FROM gaps
        UNION ALL SELECT 'alert_events', count(*) FROM alert_events
        UNION ALL SELECT 'reports', count(*) FROM reports
    )
"""


def load_clock(warehouse: Warehouse) -> JournalClock | None:
    """Where landing stands; None before anything has been landed."""
    found = warehouse.select(_CLOCK)
    return JournalClock(**found.row(0, named=True)) if found.height else None


def load_streams(warehouse: Warehouse) -> pl.DataFrame:
    """Each stream and connection as capture last told it, its lags of the last minute, and what the ledger has of its symbol.

    ``rate`` is in messages a second, ``lag_ms`` how long ago the last message came, ``silent_since`` is null unless the stream is
    silent. ``wire``, ``landing`` and ``visible`` lags are net of the venue's clock; null where nothing came.
    """
    return warehouse.select(_STREAMS)


def load_capture(warehouse: Warehouse) -> CaptureHealth | None:
    """Capture as it last told of itself; None before it has."""
    found = warehouse.select(_CAPTURE)
    return CaptureHealth(**found.row(0, named=True)) if found.height else None


def load_backlog(warehouse: Warehouse) -> pl.DataFrame:
    """Per journal source: durable bytes that are not landed yet (null: not known), lines landed."""
    return warehouse.select(_BACKLOG)


def load_gaps(warehouse: Warehouse, *, most: int = 200) -> pl.DataFrame:
    """The newest rows of the gap ledger, with ``missing``, the number of ids."""
    return warehouse.select(_GAPS, most=most)


def gap_totals(warehouse: Warehouse) -> pl.DataFrame:
    """Per symbol that ever had one: open, refilled, unrecoverable, never_given, halts.

    Of the rows with state ``halt`` those with missing ids are ids that the venue does not have (``never_given``); those without any
    are silences of the venue (``halts``), and no gaps.
    """
    return warehouse.select(_GAP_TOTALS)


def landing_counts(warehouse: Warehouse) -> pl.DataFrame:
    """Lines landed by source and name (trade, quote, malformed, the names of known but unused messages, ...)."""
    return warehouse.select(_LANDED)


def landing_offsets(warehouse: Warehouse) -> pl.DataFrame:
    """Per journal source the position that landing has reached: seq, offset (uncompressed bytes in that segment), lines."""
    return warehouse.select(_OFFSETS)


def malformed_samples(warehouse: Warehouse, *, most: int = 20) -> pl.DataFrame:
    """The newest lines that did not decode: source, seen_at, line."""
    return warehouse.select(_MALFORMED, most=most)


def row_counts(warehouse: Warehouse) -> pl.DataFrame:
    """Rows of the tables that grow: name, rows."""
    return warehouse.select(_ROWS)
