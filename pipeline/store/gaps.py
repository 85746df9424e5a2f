"""What is missing: the gap ledger beside the ids that have been landed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.model.coverage import Coverage
from pipeline.store.protocol import Warehouse

_COVERAGE = "SELECT symbol, first_id, last_id FROM coverage ORDER BY symbol, first_id"
_LEDGER = "SELECT gap_id, symbol, first_missing, last_missing, from_time, to_time, state FROM gaps ORDER BY symbol, first_missing"
_STATES = "SELECT gap_id, state FROM gaps WHERE gap_id IN (SELECT unnest($ids))"
_OF_SYMBOL = """
    FROM (
        SELECT from_time, to_time, state, greatest(last_missing - first_missing + 1, 0) AS missing FROM gaps
        WHERE symbol = $symbol ORDER BY state = 'open' DESC, from_time DESC LIMIT $most
    ) ORDER BY from_time
"""
_AROUND = """
    SELECT (SELECT max(event_time) FROM ticks WHERE symbol = $symbol AND trade_id = $before) AS from_time,
           (SELECT max(event_time) FROM ticks WHERE symbol = $symbol AND trade_id = $behind) AS to_time
"""


@dataclass(frozen=True, slots=True)
class Hole:
    """Ids of a symbol that are missing: an open gap, or a hole that the ledger does not know.

    Attributes:
        gap_id: the row of the ledger; None when there is none.
        symbol: whose.
        first: first id that was missing when it was found.
        last: last id that was missing then.
        from_time: event time of the trade before it.
        to_time: event time of the trade behind it.
        missing: what is missing of it now, as intervals of ids, ascending.
    """

    gap_id: str | None
    symbol: str
    first: int
    last: int
    from_time: datetime
    to_time: datetime
    missing: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many ids are missing now."""
        return sum(high - low + 1 for low, high in self.missing)


def load_coverage(warehouse: Warehouse) -> dict[str, Coverage]:
    """Landed ids by symbol."""
    found: dict[str, Coverage] = {}
    for symbol, first, last in warehouse.select(_COVERAGE).iter_rows():
        found.setdefault(symbol, Coverage()).add(first, last)
    return found


def load_holes(warehouse: Warehouse) -> list[Hole]:
    """Every open gap with what is missing of it now, and every hole in the landed ids that is part of no gap, open or settled.

    Smallest first. A gap that is open and wholly landed does not occur: landing closes it.
    """
    coverage = load_coverage(warehouse)
    ledger: dict[str, list[tuple[int, int]]] = {}
    holes = []
    for gap_id, symbol, first, last, from_time, to_time, state in warehouse.select(_LEDGER).iter_rows():
        ledger.setdefault(symbol, []).append((first, last))
        if state == "open":
            missing = tuple(coverage.get(symbol, Coverage()).missing(first, last))
            holes.append(Hole(gap_id, symbol, first, last, from_time, to_time, missing))
    for symbol, landed in coverage.items():
        for first, last in landed.holes():
            if not any(low <= first and last <= high for low, high in ledger.get(symbol, ())):
                since, until = warehouse.select(_AROUND, symbol=symbol, before=first - 1, behind=last + 1).row(0)
                if since is not None and until is not None:
                    holes.append(Hole(None, symbol, first, last, since, until, ((first, last),)))
    return sorted(holes, key=lambda hole: (hole.count, hole.symbol, hole.first))


def load_gaps(warehouse: Warehouse, symbol: str, *, most: int = 400) -> pl.DataFrame:
    """The ledger of one symbol in time order, the open and then the newest where there are more than ``most``.

    Returns:
        from_time, to_time, state, missing (trades that were missing when the gap was found; 0 for a halt).
    """
    return warehouse.select(_OF_SYMBOL, symbol=symbol, most=most)


def gap_states(warehouse: Warehouse, gap_ids: list[str]) -> dict[str, str]:
    """The state of some gaps."""
    return dict(warehouse.select(_STATES, ids=gap_ids).iter_rows()) if gap_ids else {}
