"""Halts of the venue in the gap ledger: rows of no missing ids, written in the transaction that lands the trade behind the silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from pipeline.store.binding import literal
from pipeline.store.thawing import file_trouble

_UTC_US = pa.timestamp("us", tz="UTC")
_NEAR_MS = 3_600_000
_TIMES = """
    SELECT k.symbol, k.trade_id, epoch_ms(k.event_time) FROM ticks_recent k
    JOIN halt_neighbours w ON w.symbol = k.symbol AND w.trade_id = k.trade_id
"""
_NEAR = " WHERE k.event_time >= make_timestamptz($low * 1000) AND k.event_time <= make_timestamptz($high * 1000)"
_FILED = """
    SELECT w.symbol, w.trade_id, a.day, a.file FROM halt_neighbours w
    JOIN archived a ON a.dataset = 'ticks' AND a.state = 'archived' AND a.symbol = w.symbol
                   AND w.trade_id BETWEEN a.first_id AND a.last_id
"""


class Halt(NamedTuple):
    """A silence between the trades ``before_id`` and ``before_id + 1``, whose event times (milliseconds) these are."""

    symbol: str
    before_id: int
    from_ms: int
    to_ms: int


class HaltStore:
    """Reads and writes on the warehouse's own connection, inside the landing transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, archive: Path) -> None:
        self._connection = connection
        self._archive = archive

    def add(self, halts: Sequence[Halt], detected_us: int) -> None:
        """Enter halts into the ledger: an empty range of ids, settled when it is found; no bar is touched by it."""
        rows = [
            [f"{halt.symbol}-{halt.before_id + 1}-{halt.before_id}", halt.symbol, halt.before_id + 1, halt.before_id,
             halt.from_ms * 1_000, halt.to_ms * 1_000, detected_us, detected_us,
             f"no trade for {(halt.to_ms - halt.from_ms) / 1_000:.1f} s, and no id is missing"]
            for halt in halts
        ]  # fmt: skip
        self._connection.executemany(
            """INSERT INTO gaps (gap_id, symbol, first_missing, last_missing, from_time, to_time, detected_at, state, resolved_at, detail)
               VALUES (?, ?, ?, ?, make_timestamptz(?), make_timestamptz(?), make_timestamptz(?), 'halt', make_timestamptz(?), ?)""",
            rows,
        )

    def trade_times(self, keys: Sequence[tuple[str, int]], low_ms: int, high_ms: int) -> Mapping[tuple[str, int], int]:
        """Event times (milliseconds) of trades that have landed.

        They are looked for within an hour of ``low_ms`` to ``high_ms`` first, which reads little; then everywhere, then in the
        archive. A trade whose archived day was removed, or whose file cannot be read, is left out.
        """
        found: dict[tuple[str, int], int] = {}
        span = {"low": low_ms - _NEAR_MS, "high": high_ms + _NEAR_MS}
        for sql, parameters in ((_TIMES + _NEAR, span), (_TIMES, None)):
            left = [key for key in keys if key not in found]
            if left:
                self._register(left)
                rows = self._connection.execute(sql, parameters).fetchall()
                found.update({(symbol, trade_id): time_ms for symbol, trade_id, time_ms in rows})
        left = [key for key in keys if key not in found]
        if left:
            self._register(left)
            found.update(self._filed())
        self._connection.unregister("halt_neighbours")
        return found

    def _filed(self) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        for symbol, trade_id, day, file in self._connection.execute(_FILED).fetchall():
            if not self._is_readable(symbol, day):
                continue
            row = self._connection.execute(
                f"""SELECT epoch_ms(event_time) FROM read_parquet({literal(str(self._archive / file))}, hive_partitioning = false)
                    WHERE symbol = ? AND trade_id = ?""",  # noqa: S608  a file name of our own
                [symbol, trade_id],
            ).fetchone()
            if row is not None:
                found[symbol, trade_id] = int(row[0])
        return found

    def _is_readable(self, symbol: str, day: date) -> bool:
        return file_trouble(self._connection, self._archive, "ticks", symbol, day) is None

    def _register(self, keys: Sequence[tuple[str, int]]) -> None:
        table = pa.table(
            {"symbol": pa.array([key[0] for key in keys], pa.string()), "trade_id": pa.array([key[1] for key in keys], pa.int64())}
        )
        self._connection.register("halt_neighbours", table)
