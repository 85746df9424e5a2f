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


_CLOCK = "SELECT journal_time, commit_no, lateness_ms, ended, committed_at FROM journal_clock ORDER BY commit_no DESC LIMIT 1"

_STREAMS = """
    SELECT stream, state, messages, rate, last_message_at, lag_ms, reconnects, observed_at FROM stream_health ORDER BY stream
"""

_GAPS = """
    SELECT gap_id, symbol, first_missing, last_missing, last_missing - first_missing + 1 AS missing, from_time, to_time, detected_at,
           state, resolved_at, detail
    FROM gaps ORDER BY detected_at DESC, symbol, first_missing LIMIT $most
"""

_GAP_TOTALS = """
    SELECT symbol, count(*) FILTER (state = 'open') AS open, count(*) FILTER (state = 'refilled') AS refilled,
           count(*) FILTER (state = 'halt') AS halts, count(*) FILTER (state = 'unrecoverable') AS unrecoverable
    FROM gaps GROUP BY symbol ORDER BY symbol
"""

_LANDED = 'SELECT source, name, "count" FROM landing_counts ORDER BY source, name'
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
    """Each stream as capture last told it: stream, state, messages, rate (1/s), last_message_at, lag_ms, reconnects, observed_at."""
    return warehouse.select(_STREAMS)


def load_gaps(warehouse: Warehouse, *, most: int = 200) -> pl.DataFrame:
    """The newest rows of the gap ledger, with ``missing``, the number of ids."""
    return warehouse.select(_GAPS, most=most)


def gap_totals(warehouse: Warehouse) -> pl.DataFrame:
    """Per symbol that ever had one: open, refilled, halts, unrecoverable."""
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
