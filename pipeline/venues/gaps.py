"""Holes in the ids of each symbol: found and filled in the order of the journal's lines, so that batches change nothing.

Ids in, changes of gaps out. No stream says by itself what it has missed, and several sources (capture, repair, backfill) bring ids of
one symbol, so this is asked where all of them come together, at landing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.model.coverage import Coverage
from pipeline.model.event import Gap

OPEN = "open"
REFILLED = "refilled"


@dataclass(frozen=True, slots=True)
class GapChange:
    """A gap that has been found (``open``) or filled (``refilled``), by the id at position ``at`` among those that were landed.

    ``was_open`` is false when what was filled had been given up before.
    """

    gap: Gap
    state: str
    at: int
    was_open: bool = True


class GapLedger:
    """Which ids of which symbol have been landed, and the gaps between them.

    Args:
        coverage: landed ids by symbol; kept up to date here.
        known: every gap ever written, with its state.
    """

    def __init__(self, coverage: dict[str, Coverage], known: Iterable[tuple[Gap, str]]) -> None:
        self.coverage = coverage
        self._gaps: dict[str, dict[str, tuple[Gap, str]]] = {}
        for gap, state in known:
            if state != REFILLED and gap.first_missing <= gap.last_missing:  # a halt has no ids to fill
                self._gaps.setdefault(gap.symbol, {})[gap.gap_id] = (gap, state)

    def land(self, symbol: str, ids: NDArray[np.int64]) -> list[GapChange]:
        """Cover ids that were not covered, in the order of their lines; what that did to the gaps, in order.

        A gap is what was missing when it was found: some of it may land at once. A hole inside a gap that is known already,
        open or given up, is part of that gap and no gap of its own.
        """
        coverage = self.coverage[symbol]
        gaps = self._gaps.setdefault(symbol, {})
        changes = []
        at = 0
        for first, last in _runs(ids):
            # The holes that a stretch leaves are seen at its first id; the others only make them smaller. Judged at its last
            # id, they would depend on where batches end.
            coverage.add(first, first)
            for low, high in coverage.holes_beside(first):
                if not any(gap.first_missing <= low and high <= gap.last_missing for gap, _ in gaps.values()):
                    gap = Gap(f"{symbol}-{low}-{high}", symbol, low, high)
                    gaps[gap.gap_id] = (gap, OPEN)
                    changes.append(GapChange(gap, OPEN, at))
            coverage.add(first, last)
            for gap, state in list(gaps.values()):
                touched = first <= gap.last_missing and gap.first_missing <= last
                if touched and not coverage.missing(gap.first_missing, gap.last_missing):
                    del gaps[gap.gap_id]
                    changes.append(GapChange(gap, REFILLED, at + min(gap.last_missing, last) - first, state == OPEN))
            at += last - first + 1
        return changes

    def settle(self, gap_id: str, state: str) -> str | None:
        """Give an open gap its final state; its symbol, None when there is no such open gap."""
        for gaps in self._gaps.values():
            gap, now = gaps.get(gap_id, (None, ""))
            if gap is not None and now == OPEN:
                gaps[gap_id] = (gap, state)
                return gap.symbol
        return None


def _runs(ids: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The ids, in their order, as stretches that go up by one."""
    cuts = np.flatnonzero(np.diff(ids) != 1)
    starts = np.concatenate([[0], cuts + 1])
    ends = np.concatenate([cuts, [ids.size - 1]])
    return [(int(ids[start]), int(ids[end])) for start, end in zip(starts, ends, strict=True)]
