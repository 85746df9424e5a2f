"""The rolling z-score, one value at a time."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import as_series, require_window
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import SlidingSums
from pipeline.analytics.zscore import MINIMUM_WINDOW


class OnlineZScore(Restorable):
    """Twin of :func:`pipeline.analytics.rolling_zscore`.

    Raises:
        TooShort: when the window is shorter than 3 bars.
    """

    __slots__ = ("_last", "_sums")

    def __init__(self, window: int) -> None:
        require_window(window, MINIMUM_WINDOW)
        self._sums = SlidingSums(window)
        self._last = math.nan

    def update(self, value: float) -> None:
        """Take in the spread of one bar; a NaN makes ``value`` NaN while it is in the window."""
        self._sums.add(value, 0.0)
        self._last = value

    def update_many(self, values: ArrayLike) -> None:
        """Take in many values: the same as :meth:`update` for each, at the cost of two windows.

        Raises:
            AnalyticsError: when they are not one-dimensional.
        """
        series = as_series("values", values)
        if series.size:
            self._sums.add_many(series, np.zeros(series.size))
            self._last = float(series[-1])

    @property
    def value(self) -> float:
        """z-score of the last value; NaN until the window is full and while it is constant."""
        sums = self._sums.sums()
        if sums is None or not sums.saa > 0:
            return math.nan
        return (self._last - sums.a_origin - sums.a_mean) / math.sqrt(sums.saa / (sums.n - 1))

    def _numbers(self) -> tuple[float, ...]:
        return (self._sums.window, *(value for value, _ in self._sums.pairs()))

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls(int(numbers[0]))
        twin.update_many(numbers[1:])
        return twin
