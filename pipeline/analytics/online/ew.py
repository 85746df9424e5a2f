"""Exponentially weighted moments, one value at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.analytics.ew import require_weight
from pipeline.analytics.online.sums import require_value


@dataclass(frozen=True, slots=True)
class EwStep:
    """Exponentially weighted ``mean``, ``variance`` and ``zscore`` (NaN while the variance is 0) at the last value."""

    mean: float
    variance: float
    zscore: float


class OnlineEw:
    """Twin of :func:`pipeline.analytics.ew_moments`.

    Raises:
        UsageError: when alpha is not in (0, 1).
    """

    __slots__ = ("_alpha", "_apart", "_mean", "_origin", "_variance")

    def __init__(self, alpha: float) -> None:
        require_weight(alpha)
        self._alpha = alpha
        self._origin: float | None = None
        self._mean = self._variance = self._apart = 0.0

    def update(self, value: float) -> None:
        """Take in one value.

        Raises:
            NotFinite: when it is NaN or infinite.
        """
        require_value("value", value)
        if self._origin is None:
            self._origin = value
        apart = value - self._origin - self._mean
        self._mean += self._alpha * apart
        self._variance = (1.0 - self._alpha) * (self._variance + self._alpha * apart * apart)
        self._apart = value - self._origin - self._mean

    @property
    def value(self) -> EwStep | None:
        """Moments at the last value; None before the first."""
        if self._origin is None:
            return None
        zscore = self._apart / math.sqrt(self._variance) if self._variance > 0 else math.nan
        return EwStep(self._origin + self._mean, self._variance, zscore)
