"""What one landing transaction writes: ticks, quotes, coverage, gaps, marks, 1s bars, the clock and the journal offset.

Only the warehouse process calls this, inside a transaction of its own, so that everything of a
micro-batch is there or nothing is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.coverage import Coverage
from pipeline.model.event import Gap
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import FROM_TICKS, bucket
from pipeline.store.thawing import file_trouble, thaw

_log = logging.getLogger(__name__)


# Two ways to the 1s bars that a batch has touched. Where most seconds of its span are touched, all are added up and the others
# dropped: comparing bars is cheaper than comparing trades. One late trade among newer ones must not have hours added up, though.
_DENSE = 4
_TOUCHED_BARS = f"""
    SELECT k.symbol, {bucket("k.event_time", "1")} AS ts, {FROM_TICKS}
    FROM ticks_recent k SEMI JOIN touched t ON t.symbol = k.symbol AND t.ts = {bucket("k.event_time", "1")}
    WHERE k.event_time >= make_timestamptz($low) AND k.event_time < make_timestamptz($high + 1000000)
    GROUP BY ALL
"""  # noqa: S608  constant text
_EVERY_BAR = f"""
    SELECT every_bar.* FROM (
        SELECT symbol, {bucket("event_time", "1")} AS ts, {FROM_TICKS} FROM ticks_recent
        WHERE event_time >= make_timestamptz($low) AND event_time < make_timestamptz($high + 1000000)
        GROUP BY ALL
    ) every_bar SEMI JOIN touched t ON t.symbol = every_bar.symbol AND t.ts = every_bar.ts
"""  # noqa: S608  constant text


@dataclass(frozen=True, slots=True)
class JournalClock:
    """How far journal time has come: ``time_us`` (0 before anything), landing commits so far, and whether the input has ended."""

    time_us: int = 0
    commit_no: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a source of the journal has been landed."""

    seq: int
    offset: int
    lines: int


class ArchivedDay(NamedTuple):
    """One symbol's UTC day (days since the epoch) of a dataset."""

    dataset: str
    symbol: str
    day: int


class LandingStore:
    """The warehouse's own connection, with one method for each thing that landing reads or writes.

    ``archive`` is the profile's directory of Parquet files.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, archive: Path) -> None:
        self._connection = connection
        self._archive = archive

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, for the other stores that write in the same transaction."""
        return self._connection

    @property
    def archive(self) -> Path:
        """The profile's directory of Parquet files."""
        return self._archive

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside commits together, or nothing does."""
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # ------------------------------------------------------------------ what is there at the start

    def coverage(self) -> dict[str, Coverage]:
        """Landed ids by symbol."""
        found: dict[str, Coverage] = {}
        for symbol, first, last in self._connection.execute("SELECT symbol, first_id, last_id FROM coverage").fetchall():
            found.setdefault(symbol, Coverage()).add(first, last)
        return found

    def offsets(self) -> dict[str, Offset]:
        """Landed position of each journal source."""
        rows = self._connection.execute('SELECT source, seq, "offset", lines FROM ingest_offsets').fetchall()
        return {source: Offset(seq, offset, lines) for source, seq, offset, lines in rows}

    def clock(self) -> JournalClock:
        """Journal time as last committed."""
        row = self._connection.execute("SELECT epoch_us(journal_time), commit_no, ended FROM journal_clock").fetchone()
        return JournalClock(*row) if row else JournalClock()

    def last_quotes(self) -> dict[str, int]:
        """Highest landed update id of each symbol's quotes."""
        rows = self._connection.execute(
            """SELECT symbol, max(last_id) FROM (
                   SELECT symbol, max(update_id) AS last_id FROM quotes_recent GROUP BY symbol UNION ALL
                   SELECT symbol, last_id FROM archived WHERE dataset = 'quotes'
               ) GROUP BY symbol"""
        )
        return dict(rows.fetchall())

    def archived(self) -> dict[ArchivedDay, str]:
        """The days that were ever archived, with their state; those that are back in the database are left out."""
        rows = self._connection.execute(
            "SELECT dataset, symbol, day - DATE '1970-01-01', state FROM archived WHERE state IN ('archived', 'expired')"
        ).fetchall()
        return {ArchivedDay(dataset, symbol, day): state for dataset, symbol, day, state in rows}

    def known_gaps(self) -> list[tuple[Gap, str]]:
        """Every row of the ledger with its state."""
        rows = self._connection.execute("SELECT gap_id, symbol, first_missing, last_missing, state FROM gaps").fetchall()
        return [(Gap(*row[:4]), row[4]) for row in rows]

    def set_timeframes(self, timeframes: Sequence[Timeframe]) -> None:
        """Make the configured timeframes those that the view ``bars`` offers; bars of others stay stored."""
        self._connection.execute("DELETE FROM timeframes")
        # While a timeframe is away its marks are pruned: when it comes back it is made anew, as one without a cursor is.
        self._connection.execute(
            "DELETE FROM resample_cursors WHERE timeframe NOT IN (SELECT unnest(?))", [[frame.name for frame in timeframes]]
        )
        self._connection.execute(
            "DELETE FROM mark_cursors WHERE consumer NOT IN (SELECT 'liquidity/' || unnest(?))", [[frame.name for frame in timeframes]]
        )
        self._connection.executemany("INSERT INTO timeframes VALUES (?, ?)", [[frame.name, frame.seconds] for frame in timeframes])

    # ------------------------------------------------------------------ one micro-batch

    def add_ticks(self, rows: pa.Table, source: str) -> None:
        """Append trades of one source: the other columns of ``ticks``."""
        self._insert("INSERT INTO ticks_recent BY NAME SELECT *, $source AS source", rows, {"source": source})

    def add_quotes(self, rows: pa.Table, *, maybe_known: bool) -> int:
        """Append quotes; with ``maybe_known`` those whose update id is there already are left out. Returns rows added."""
        if not rows.num_rows:
            return 0
        if not maybe_known:
            return self._insert("INSERT INTO quotes_recent BY NAME SELECT *", rows)
        span = pc.min_max(rows["update_id"]).as_py()  # between them is little of the table
        condition = """ WHERE NOT EXISTS (
            SELECT 1 FROM quotes_recent q
            WHERE q.symbol = landing.symbol AND q.update_id = landing.update_id AND q.update_id BETWEEN $min AND $max)"""
        return self._insert("INSERT INTO quotes_recent BY NAME SELECT *", rows, span, condition=condition)

    def unknown_quotes(self, rows: pa.Table) -> pa.Table:
        """Those of the quotes whose update id is neither in the database nor in the archive."""
        self._connection.register("landing", rows)
        try:
            return self._connection.execute(
                "SELECT * FROM landing ANTI JOIN quotes q ON q.symbol = landing.symbol AND q.update_id = landing.update_id"
            ).to_arrow_table()
        finally:
            self._connection.unregister("landing")

    def readable(self, day: ArchivedDay) -> bool:
        """Whether the file of an archived day is there and whole; the log tells when it is not."""
        date = datetime.fromtimestamp(day.day * 86_400, UTC).date()
        trouble = file_trouble(self._connection, self._archive, day.dataset, day.symbol, date)
        if trouble is not None:
            facts = {"dataset": day.dataset, "symbol": day.symbol, "day": str(date), "why": trouble, "do": "restore it from a backup"}
            _log.error("rows for an archived day whose file cannot be read are kept out", extra=facts)
        return trouble is None

    def thaw(self, day: ArchivedDay) -> None:
        """Bring an archived day back into the database.

        Raises:
            StoreError: when its file cannot be read.
        """
        date = datetime.fromtimestamp(day.day * 86_400, UTC).date()
        rows = thaw(self._connection, self._archive, day.dataset, day.symbol, date)
        _log.info("archived day is back", extra={"dataset": day.dataset, "symbol": day.symbol, "day": str(date), "rows": rows})

    def touch_bars(self, touched: pa.Table, commit_no: int, *, journal_time_us: int, lateness_us: int) -> pa.Table:
        """Mark the touched (symbol, ts of the 1s bar) and compute their 1s bars anew from ticks.

        A bar that was complete before counts a revision.

        Returns:
            The bars as written: symbol, ts (microseconds), close, volume (doubles), last_id.
        """
        self._connection.register("touched", touched)
        try:
            span = pc.min_max(touched["ts"].cast(pa.int64())).as_py()
            low, high = span["min"], span["max"]
            possible = ((high - low) // 1_000_000 + 1) * pc.count_distinct(touched["symbol"]).as_py()
            made = _EVERY_BAR if touched.num_rows * _DENSE >= possible else _TOUCHED_BARS
            self._connection.execute("INSERT INTO dirty_marks SELECT ?, symbol, ts FROM touched", [commit_no])
            self._connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE fresh_bars AS
                SELECT fresh.*,
                       coalesce(old.revision + CASE WHEN epoch_us(fresh.ts) + 1000000 + $lateness <= $now THEN 1 ELSE 0 END, 0) AS revision
                FROM ({made}) fresh
                LEFT JOIN (SELECT * FROM bars_1s_recent WHERE ts >= make_timestamptz($low) AND ts <= make_timestamptz($high)) old
                       ON old.symbol = fresh.symbol AND old.ts = fresh.ts""",  # noqa: S608  constant text
                {"low": low, "high": high, "now": journal_time_us, "lateness": lateness_us},
            )
            self._connection.execute(
                """DELETE FROM bars_1s_recent b USING touched t WHERE b.symbol = t.symbol AND b.ts = t.ts
                   AND b.ts >= make_timestamptz($low) AND b.ts <= make_timestamptz($high)""",
                {"low": low, "high": high},
            )
            self._connection.execute("INSERT INTO bars_1s_recent BY NAME FROM fresh_bars")
            return self._connection.execute(
                """SELECT symbol, epoch_us(ts) AS ts, CAST(close AS DOUBLE) AS close, CAST(volume AS DOUBLE) AS volume, last_id
                   FROM fresh_bars ORDER BY ts, symbol"""
            ).to_arrow_table()
        finally:
            self._connection.unregister("touched")

    def set_coverage(self, changed: Mapping[str, Coverage]) -> None:
        """Replace the landed intervals of some symbols."""
        rows = [(symbol, first, last) for symbol, coverage in changed.items() for first, last in coverage]
        table = pa.table(
            {name: pa.array(column) for name, column in zip(("symbol", "first_id", "last_id"), zip(*rows, strict=True), strict=True)}
        )
        self._connection.execute("DELETE FROM coverage WHERE symbol IN (SELECT unnest(?))", [list(changed)])
        self._insert("INSERT INTO coverage BY NAME SELECT *", table)

    def add_gap(self, gap: Gap, detected_us: int, commit_no: int) -> list[int]:
        """Write a hole into the ledger, with the event times of the trades before and after it, and mark the bars that they are in.

        Returns:
            Open times (microseconds) of the marked 1s bars.
        """
        self._connection.execute(
            """INSERT INTO gaps
               SELECT $id, $symbol, $first, $last, make_timestamptz($before), make_timestamptz($after),
                      make_timestamptz($detected), 'open', NULL, NULL""",
            {
                "id": gap.gap_id,
                "symbol": gap.symbol,
                "first": gap.first_missing,
                "last": gap.last_missing,
                "before": self._trade_us(gap.symbol, gap.first_missing - 1),
                "after": self._trade_us(gap.symbol, gap.last_missing + 1),
                "detected": detected_us,
            },
        )
        return self._mark_ends(gap.gap_id, commit_no)

    def _trade_us(self, symbol: str, trade_id: int) -> int | None:
        """Event time (microseconds) of a trade, which has been archived where it is not in the database."""
        for table in ("ticks_recent", "ticks"):
            row = self._connection.execute(
                f"SELECT epoch_us(max(event_time)) FROM {table} WHERE symbol = ? AND trade_id = ?",  # noqa: S608  one of two names
                [symbol, trade_id],
            ).fetchone()
            if row is not None and row[0] is not None:
                return int(row[0])
        return None

    def close_gap(self, gap_id: str, state: str, resolved_us: int, detail: str | None, commit_no: int) -> list[int]:
        """Set a gap's final state, and mark the bars at its ends, so that larger ones are judged again; returned as by ``add_gap``."""
        self._connection.execute(
            "UPDATE gaps SET state = ?, resolved_at = make_timestamptz(?), detail = ? WHERE gap_id = ?",
            [state, resolved_us, detail, gap_id],
        )
        return self._mark_ends(gap_id, commit_no)

    def _mark_ends(self, gap_id: str, commit_no: int) -> list[int]:
        marked = self._connection.execute(
            f"""INSERT INTO dirty_marks SELECT DISTINCT $commit, symbol, {bucket("unnest([from_time, to_time])", "1")}
                FROM gaps WHERE gap_id = $id RETURNING epoch_us(bucket)""",  # noqa: S608  constant text
            {"commit": commit_no, "id": gap_id},
        ).fetchall()
        return [ts_us for (ts_us,) in marked]

    def set_offset(self, source: str, offset: Offset) -> None:
        """Note how far a source has been landed."""
        self._connection.execute("DELETE FROM ingest_offsets WHERE source = ?", [source])
        self._connection.execute("INSERT INTO ingest_offsets VALUES (?, ?, ?, ?)", [source, offset.seq, offset.offset, offset.lines])

    def set_clock(self, clock: JournalClock, *, lateness_ms: int) -> None:
        """Replace the journal clock's one row."""
        self._connection.execute("DELETE FROM journal_clock")
        self._connection.execute(
            "INSERT INTO journal_clock VALUES (make_timestamptz(?), ?, ?, ?, now())",
            [clock.time_us, clock.commit_no, lateness_ms, clock.ended],
        )

    def count(self, source: str, counts: Mapping[str, int]) -> None:
        """Add to a source's counters."""
        grown = {name: number for name, number in counts.items() if number}
        table = pa.table({"name": pa.array(grown.keys(), pa.string()), "grown": pa.array(grown.values(), pa.int64())})
        self._connection.register("counts", table)
        try:
            there = self._connection.execute(
                """UPDATE landing_counts l SET "count" = l."count" + c.grown FROM counts c
                   WHERE l.source = ? AND l.name = c.name RETURNING l.name""",
                [source],
            ).fetchall()
            if len(there) < len(grown):
                self._connection.execute(
                    "INSERT INTO landing_counts SELECT ?, c.name, c.grown FROM counts c WHERE c.name NOT IN (SELECT unnest(?))",
                    [source, [name for (name,) in there]],
                )
        finally:
            self._connection.unregister("counts")

    def keep_samples(self, source: str, lines: Sequence[str], *, most: int = 100) -> None:
        """Keep a few malformed lines, the newest ``most`` of them."""
        self._connection.executemany("INSERT INTO malformed_samples VALUES (?, now(), ?)", [[source, line] for line in lines])
        self._connection.execute(
            """DELETE FROM malformed_samples
               WHERE rowid NOT IN (SELECT rowid FROM malformed_samples ORDER BY seen_at DESC, rowid DESC LIMIT ?)""",
            [most],
        )

    # ------------------------------------------------------------------ upkeep

    def prune(self) -> None:
        """Remove marks that all who follow them have passed, for every timeframe: resampling, and the measuring of liquidity."""
        self._connection.execute(
            """DELETE FROM dirty_marks WHERE commit_no <= ALL (
                   SELECT coalesce(r.commit_no, 0)
                   FROM timeframes t LEFT JOIN resample_cursors r ON r.timeframe = t.name WHERE t.seconds > 1
                   UNION ALL
                   SELECT coalesce(m.commit_no, 0) FROM timeframes t LEFT JOIN mark_cursors m ON m.consumer = 'liquidity/' || t.name
               )"""
        )

    def _insert(self, sql: str, rows: pa.Table, values: Mapping[str, object] | None = None, *, condition: str = "") -> int:
        self._connection.register("landing", rows)
        try:
            result = self._connection.execute(f"{sql} FROM landing{condition}", values).fetchone()
            return int(result[0]) if result else 0
        finally:
            self._connection.unregister("landing")
