"""The rolling correlation, one pair of values at a time."""

from __future__ import annotations

import math

from pipeline.analytics.arrays import require_window
from pipeline.analytics.correlation import MINIMUM_WINDOW
from pipeline.analytics.online.sums import SlidingSums


class OnlineCorrelation:
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

    @property
    def value(self) -> float:
        """Correlation over the window; NaN until it is full and while a series is constant in it."""
        sums = self._sums.sums()
        if sums is None or not (sums.saa > 0 and sums.sbb > 0):
            return math.nan
        return max(-1.0, min(1.0, sums.sab / (math.sqrt(sums.saa) * math.sqrt(sums.sbb))))
