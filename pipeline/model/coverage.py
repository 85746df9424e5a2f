"""Intervals of trade ids that have been landed: the judge of duplicates and gaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Coverage:
    """Disjoint, merged, closed intervals ``[first, last]`` of ids of one symbol, in ascending order.

    An id is a duplicate if and only if it is covered; the holes between intervals are the gaps.
    """

    __slots__ = ("_first", "_last")

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in intervals:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._first, self._last, strict=True))

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, trade_id: int) -> bool:
        at = bisect_right(self._first, trade_id) - 1
        return at >= 0 and trade_id <= self._last[at]

    @property
    def last(self) -> int | None:
        """The highest covered id, None when nothing is covered."""
        return self._last[-1] if self._last else None

    def add(self, first: int, last: int) -> None:
        """Cover ``first`` to ``last`` inclusive, merging with what touches or overlaps.

        Raises:
            ValueError: when ``last < first``.
        """
        if last < first:
            msg = f"interval {first}..{last} runs backwards"
            raise ValueError(msg)
        low = bisect_left(self._last, first - 1)
        high = bisect_right(self._first, last + 1)
        if low < high:
            first = min(first, self._first[low])
            last = max(last, self._last[high - 1])
        self._first[low:high] = [first]
        self._last[low:high] = [last]

    def holes(self) -> list[tuple[int, int]]:
        """The uncovered intervals between the first and the last covered id."""
        return [(last + 1, first - 1) for last, first in zip(self._last, self._first[1:], strict=False)]

    def holes_beside(self, trade_id: int) -> list[tuple[int, int]]:
        """The holes next to the interval that covers ``trade_id``: the one before it and the one after it, where there is one."""
        at = bisect_right(self._first, trade_id) - 1
        before = [(self._last[at - 1] + 1, self._first[at] - 1)] if at > 0 else []
        after = [(self._last[at] + 1, self._first[at + 1] - 1)] if at + 1 < len(self._first) else []
        return before + after

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of ``first..last`` that are not covered, ascending."""
        found = []
        at = first
        for low, high in self:
            if high < at:
                continue
            if low > last:
                break
            if low > at:
                found.append((at, low - 1))
            at = max(at, high + 1)
        if at <= last:
            found.append((at, last))
        return found
