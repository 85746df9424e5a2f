"""Mean and variance of everything so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.analytics.online.sums import Sums, require_value


@dataclass(frozen=True, slots=True)
class Moments:
    """Attributes: ``n`` values; their ``mean`` (NaN for none); their ``variance`` with ddof = 1 (NaN under two)."""

    n: int
    mean: float
    variance: float


class OnlineMoments:
    """Welford's algorithm, summed about the first value."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums = Sums()

    def update(self, value: float) -> None:
        """Take in one value.

        Raises:
            NotFinite: when it is NaN or infinite.
        """
        require_value("value", value)
        self._sums.add(value, 0.0)

    @property
    def value(self) -> Moments:
        """Moments of the values so far."""
        n = self._sums.n
        mean = self._sums.a_origin + self._sums.a_mean if n else math.nan
        return Moments(n, mean, self._sums.saa / (n - 1) if n > 1 else math.nan)
