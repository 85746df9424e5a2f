"""The rolling correlation, one pair of values at a time."""

from __future__ import annotations

import math
from typing import Self

from numpy.typing import ArrayLike

from pipeline.analytics.arrays import as_series, require_window, same_length
from pipeline.analytics.correlation import MINIMUM_WINDOW
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import SlidingSums


class OnlineCorrelation(Restorable):
    """Twin of :func:`pipeline.analytics.rolling_correlation`.

    Raises:
        TooShort: when the window is shorter than 3 bars.
    """

    __slots__ = ("_sums",)

    def __init__(self, window: int) -> None:
        require_window(window, MINIMUM_WINDOW)
        self._sums = SlidingSums(window)

    def update(self, a: float, b: float) -> None:
        """Take in one value of each series; a NaN makes ``value`` NaN while it is in the window."""
        self._sums.add(a, b)

    def update_many(self, a: ArrayLike, b: ArrayLike) -> None:
        """Take in many values: the same as :meth:`update` for each, at the cost of two windows.

        Raises:
            AnalyticsError: when the series differ in length.
        """
        first, second = as_series("a", a), as_series("b", b)
        same_length(first, second, ("a", "b"))
        self._sums.add_many(first, second)

    @property
    def value(self) -> float:
        """Correlation over the window; NaN until it is full and while a series is constant in it."""
        sums = self._sums.sums()
        if sums is None or not (sums.saa > 0 and sums.sbb > 0):
            return math.nan
        return max(-1.0, min(1.0, sums.sab / (math.sqrt(sums.saa) * math.sqrt(sums.sbb))))

    def _numbers(self) -> tuple[float, ...]:
        return (self._sums.window, *(value for pair in self._sums.pairs() for value in pair))

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls(int(numbers[0]))
        twin.update_many(numbers[1::2], numbers[2::2])
        return twin
