"""What the warehouse writes into ``stream_health``: how capture, its streams and connections, and the journal's sources are doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import duckdb
import pyarrow as pa

_UTC_US = pa.timestamp("us", tz="UTC")
DUPLICATES = "duplicate_trades:"
"""What precedes a symbol in the names under which ``landing_counts`` has its repeated trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """One row of ``stream_health``, whose columns have the same names and order; times in microseconds."""

    stream: str
    kind: str
    state: str
    observed_at: int
    symbol: str | None = None
    messages: int = 0
    messages_total: int | None = None
    rate: float | None = None
    last_message_at: int | None = None
    silent_since: int | None = None
    lag_ms: float | None = None
    reconnects: int = 0
    reconnects_total: int | None = None
    dropped: int | None = None
    dropped_total: int | None = None
    wire_p50_ms: float | None = None
    wire_p99_ms: float | None = None
    wire_max_ms: float | None = None
    landing_p50_ms: float | None = None
    landing_p99_ms: float | None = None
    landing_max_ms: float | None = None
    visible_p50_ms: float | None = None
    visible_p99_ms: float | None = None
    visible_max_ms: float | None = None
    gaps_open: int | None = None
    gaps: int | None = None
    halts: int | None = None
    duplicates: int | None = None
    waiting_frames: int | None = None
    buffered_bytes: int | None = None
    backlog_bytes: int | None = None
    clock_offset_ms: float | None = None
    clock_rtt_ms: float | None = None
    clock_at: int | None = None
    detail: str | None = None


_TYPES: Mapping[str, pa.DataType] = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
_COLUMNS = {
    field.name: _UTC_US if field.name.endswith(("_at", "_since")) else _TYPES[str(field.type).removesuffix(" | None")]
    for field in fields(StreamReport)
}


# What was true of the last minute is not any more.
_STALE = f"""
    UPDATE stream_health SET state = 'stale', rate = NULL, {", ".join(f"{name} = NULL" for name in _COLUMNS if name.endswith(("p50_ms", "p99_ms", "max_ms")))}
    WHERE kind <> 'journal' AND state <> 'stale'
"""  # noqa: S608, E501  names of our own


class Told(NamedTuple):
    """What a row said last: capture's own counts, which begin anew with it, and what they have come to in all."""

    messages: int
    messages_total: int
    reconnects: int
    reconnects_total: int
    dropped: int
    dropped_total: int


class Trouble(NamedTuple):
    """What the ledger has of a symbol: gaps that are open and gaps ever found, halts, and repeated trades."""

    gaps_open: int = 0
    gaps: int = 0
    halts: int = 0
    duplicates: int = 0


class StreamStore:
    """Reads and writes on the warehouse's own connection, inside the transaction that is open."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def told(self) -> dict[str, Told]:
        """What each row said when it was written last."""
        rows = self._connection.execute(
            """SELECT stream, messages, coalesce(messages_total, messages), reconnects, coalesce(reconnects_total, reconnects),
                      coalesce(dropped, 0), coalesce(dropped_total, dropped, 0)
               FROM stream_health"""
        ).fetchall()
        return {stream: Told(*counts) for stream, *counts in rows}

    def trouble(self) -> dict[str, Trouble]:
        """By symbol; symbols without any are left out."""
        found: dict[str, Trouble] = {}
        for symbol, *counts in self._connection.execute(
            """SELECT symbol, count(*) FILTER (state = 'open'), count(*) FILTER (first_missing <= last_missing),
                      count(*) FILTER (first_missing > last_missing)
               FROM gaps GROUP BY symbol"""
        ).fetchall():
            found[symbol] = Trouble(*counts)
        for name, number in self._connection.execute(
            'SELECT name, "count" FROM landing_counts WHERE source = ? AND starts_with(name, ?)', ["capture", DUPLICATES]
        ).fetchall():
            symbol = name.removeprefix(DUPLICATES)
            found[symbol] = found.get(symbol, Trouble())._replace(duplicates=number)
        return found

    def lines(self) -> dict[str, int]:
        """Lines landed from each source of the journal."""
        return dict(self._connection.execute("SELECT source, lines FROM ingest_offsets").fetchall())

    def write(self, reports: Sequence[StreamReport]) -> None:
        """Replace the table."""
        self._connection.execute("DELETE FROM stream_health")
        self._insert(reports)

    def write_journal(self, reports: Sequence[StreamReport], *, stale: bool) -> None:
        """Replace the rows of the journal alone; with ``stale`` all others say that they are."""
        self._connection.execute("DELETE FROM stream_health WHERE kind = 'journal'")
        self._insert(reports)
        if stale:
            self._connection.execute(_STALE)

    def _insert(self, reports: Sequence[StreamReport]) -> None:
        table = pa.table({name: pa.array([getattr(report, name) for report in reports], kind) for name, kind in _COLUMNS.items()})
        self._connection.register("stream_reports", table)
        try:
            self._connection.execute("INSERT INTO stream_health BY NAME FROM stream_reports")
        finally:
            self._connection.unregister("stream_reports")
