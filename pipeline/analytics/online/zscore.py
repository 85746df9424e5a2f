"""The rolling z-score, one value at a time."""

from __future__ import annotations

import math

from pipeline.analytics.arrays import require_window
from pipeline.analytics.online.sums import SlidingSums
from pipeline.analytics.zscore import MINIMUM_WINDOW


class OnlineZScore:
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

    @property
    def value(self) -> float:
        """z-score of the last value; NaN until the window is full and while it is constant."""
        sums = self._sums.sums()
        if sums is None or not sums.saa > 0:
            return math.nan
        return (self._last - sums.a_origin - sums.a_mean) / math.sqrt(sums.saa / (sums.n - 1))
