"""How much has been landed: rows of the main tables, and the landed position of a journal source."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.store.protocol import Warehouse

_TOTALS = """
    WITH filed AS (SELECT dataset, CAST(sum("rows") AS BIGINT) AS "rows" FROM archived WHERE state = 'archived' GROUP BY dataset)
    SELECT (SELECT count(*) FROM ticks_recent) + coalesce((SELECT "rows" FROM filed WHERE dataset = 'ticks'), 0) AS ticks,
           (SELECT count(*) FROM quotes_recent) + coalesce((SELECT "rows" FROM filed WHERE dataset = 'quotes'), 0) AS quotes,
           (SELECT count(*) FROM gaps) AS gaps, (SELECT count(*) FROM bars_resampled) AS bars
"""
_OFFSET = 'SELECT seq, "offset", lines FROM ingest_offsets WHERE source = $source'


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows in ticks, quotes, gaps and resampled bars."""

    ticks: int
    quotes: int
    gaps: int
    bars: int

    def since(self, before: Totals) -> Totals:
        """What has come since ``before``."""
        return Totals(self.ticks - before.ticks, self.quotes - before.quotes, self.gaps - before.gaps, self.bars - before.bars)


def load_totals(warehouse: Warehouse) -> Totals:
    """Rows now."""
    return Totals(**warehouse.select(_TOTALS).row(0, named=True))


def load_offset(warehouse: Warehouse, source: str) -> tuple[int, int, int]:
    """Segment number, offset and lines that have been landed of a source; zeros when nothing has."""
    rows = warehouse.select(_OFFSET, source=source)
    return rows.row(0) if rows.height else (0, 0, 0)
