"""Tables anew out of archive and journal: what a rebuild clears, seeds, compares and puts back.

The rebuild works in a copy of the database, with the old one attached beside it as ``old``, read-only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.bars import FROM_TICKS, bucket
from pipeline.store.binding import literal
from pipeline.store.connection import open_database
from pipeline.store.views import create_views
from pipeline.store.warehouse import LocalWarehouse

_LANDED = ("ticks_recent", "quotes_recent", "bars_1s_recent")
# What landing writes about itself. It is the old database's: a journal whose old part has been pruned counts fewer lines.
_LEDGERS = (
    "coverage",
    "gaps",
    "dirty_marks",
    "journal_clock",
    "ingest_offsets",
    "landing_counts",
    "malformed_samples",
    "stream_health",
)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is in neither archive nor journal: trades by id, quotes by number."""

    trades: int
    quotes: int

    def __bool__(self) -> bool:
        return self.trades > 0 or self.quotes > 0


class RebuildStore:
    """The new database. Close it before it takes the old one's place."""

    def __init__(self, database: Path, old: Path, archive: Path) -> None:
        self._archive = archive
        self.connection = open_database(database)
        try:
            self.connection.execute(f"ATTACH {literal(str(old))} AS old (READ_ONLY)")
            create_views(self.connection, archive)
        except BaseException:
            self.connection.close()
            raise
        self.warehouse = LocalWarehouse(self.connection)

    def close(self) -> None:
        """Write everything into the file and let go of both."""
        self.connection.execute("DETACH old")
        self.connection.execute("CHECKPOINT")
        self.connection.close()

    def abandon(self) -> None:
        """Let go of both."""
        self.connection.close()

    def check_archive(self) -> int:
        """Compare every file of the archive with its checksum; returns how many there are.

        Raises:
            StoreError: when one is missing or damaged.
        """
        rows = self.connection.execute("SELECT file, sha256 FROM archived WHERE state = 'archived' ORDER BY file").fetchall()
        for file, digest in rows:
            path = self._archive / str(file)
            try:
                with path.open("rb") as content:
                    found = hashlib.file_digest(content, "sha256").hexdigest()
            except FileNotFoundError:
                found = "nothing"
            if found != digest:
                msg = f"{path} is missing or not what it was when it was written; restore it from a backup, then rebuild again"
                raise StoreError(msg)
        return len(rows)

    def clear(self) -> None:
        """Empty what will be made anew, and note what the archive has as landed."""
        for table in (*_LANDED, *_LEDGERS, "resample_cursors"):
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
        # Bars of days that were removed for good cannot be made again.
        self.connection.execute(
            """DELETE FROM bars_resampled b WHERE NOT EXISTS (
                   SELECT 1 FROM archived a WHERE a.dataset = 'bars_1s' AND a.state = 'expired' AND a.symbol = b.symbol
                                              AND CAST(b.ts AS DATE) = a.day)"""
        )
        self.connection.execute(
            """INSERT INTO coverage
               SELECT symbol, min(trade_id), max(trade_id) FROM (
                   SELECT symbol, trade_id, trade_id - row_number() OVER (PARTITION BY symbol ORDER BY trade_id) AS island FROM ticks
               ) GROUP BY symbol, island"""
        )
        self.connection.execute(
            """INSERT INTO coverage
               SELECT c.symbol, greatest(c.first_id, a.first_id), least(c.last_id, a.last_id)
               FROM old.coverage c JOIN archived a ON a.dataset = 'ticks' AND a.state = 'expired' AND a.symbol = c.symbol
                                                  AND c.first_id <= a.last_id AND c.last_id >= a.first_id"""
        )

    def targets(self) -> dict[str, tuple[int, int]]:
        """How far (segment, offset) each source had been landed."""
        rows = self.connection.execute('SELECT source, seq, "offset" FROM old.ingest_offsets').fetchall()
        return {source: (seq, offset) for source, seq, offset in rows}

    def shortfall(self) -> Shortfall:
        """What the old database knows and the new one does not."""
        row = self.connection.execute(
            """WITH ends AS (
                   SELECT symbol, first_id AS edge, 1 AS old_step, 0 AS new_step FROM old.coverage UNION ALL
                   SELECT symbol, last_id + 1, -1, 0 FROM old.coverage UNION ALL
                   SELECT symbol, first_id, 0, 1 FROM coverage UNION ALL SELECT symbol, last_id + 1, 0, -1 FROM coverage
               ), steps AS (
                   SELECT symbol, edge, sum(old_step) AS old_step, sum(new_step) AS new_step FROM ends GROUP BY symbol, edge
               ), depth AS (
                   SELECT symbol, edge, lead(edge) OVER following AS until,
                          sum(old_step) OVER following AS there, sum(new_step) OVER following AS made
                   FROM steps WINDOW following AS (PARTITION BY symbol ORDER BY edge)
               )
               SELECT CAST(coalesce(sum(until - edge) FILTER (there > 0 AND made <= 0), 0) AS BIGINT) FROM depth"""
        ).fetchone()
        quotes = self.connection.execute(
            "SELECT (SELECT count(*) FROM old.quotes_recent) - (SELECT count(*) FROM quotes_recent)"
        ).fetchone()
        thawed = self.connection.execute(
            """SELECT coalesce(sum(o."rows"), 0) FROM old.archived o JOIN archived n USING (dataset, symbol, day)
               WHERE dataset = 'quotes' AND o.state = 'archived' AND n.state = 'thawed'"""
        ).fetchone()
        missing = int(quotes[0] if quotes else 0) + int(thawed[0] if thawed else 0)
        return Shortfall(int(row[0]) if row else 0, max(0, missing))

    def finish(self) -> None:
        """1s bars of days whose ticks alone are archived, and the ledgers of the old database."""
        days = self.connection.execute(
            """SELECT t.symbol, strftime(t.day, '%Y-%m-%d') FROM archived t
               LEFT JOIN archived b ON b.dataset = 'bars_1s' AND b.symbol = t.symbol AND b.day = t.day AND b.state <> 'thawed'
               WHERE t.dataset = 'ticks' AND t.state = 'archived' AND b.day IS NULL ORDER BY ALL"""
        ).fetchall()
        for symbol, day in days:
            start = f"TIMESTAMPTZ '{day} 00:00:00+00'"
            inside = f"symbol = {literal(symbol)} AND {{0}} >= {start} AND {{0}} < {start} + INTERVAL 24 HOUR"
            self.connection.execute(f"DELETE FROM bars_1s_recent WHERE {inside.format('ts')}")  # noqa: S608  constant pieces
            self.connection.execute(
                f"""INSERT INTO bars_1s_recent BY NAME SELECT symbol, {bucket("event_time", "1")} AS ts, {FROM_TICKS}, 0 AS revision
                    FROM ticks WHERE {inside.format("event_time")} GROUP BY ALL"""  # noqa: S608  constant pieces
            )
        for table in _LEDGERS:
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
            self.connection.execute(f"INSERT INTO {table} BY NAME FROM old.{table}")
