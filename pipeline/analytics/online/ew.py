"""Exponentially weighted moments, one value at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_series
from pipeline.analytics.ew import require_weight
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import require_value


@dataclass(frozen=True, slots=True)
class EwStep:
    """Exponentially weighted ``mean``, ``variance`` and ``zscore`` (NaN while the variance is 0) at the last value."""

    mean: float
    variance: float
    zscore: float


class OnlineEw(Restorable):
    """Twin of :func:`pipeline.analytics.ew_moments`.

    Raises:
        UsageError: when alpha is not in (0, 1).
    """

    __slots__ = ("_alpha", "_state")

    def __init__(self, alpha: float) -> None:
        require_weight(alpha)
        self._alpha = float(alpha)
        self._state = (0.0, 0.0, 0.0, 0.0, 0.0)  # count, origin, mean less the origin, variance, distance of the last value

    def update(self, value: float) -> None:
        """Take in one value.

        Raises:
            NotFinite: when it is NaN or infinite.
        """
        require_value("value", value)
        n, origin, mean, variance, _ = self._state
        if n == 0.0:
            origin = value
        apart = value - origin - mean
        mean += self._alpha * apart
        variance = (1.0 - self._alpha) * (variance + self._alpha * apart * apart)
        self._state = (n + 1.0, origin, mean, variance, value - origin - mean)

    def update_many(self, values: ArrayLike) -> None:
        """Take in many values: the same as :meth:`update` for each, compiled.

        Raises:
            NotFinite: when one is NaN or infinite; none is taken in.
        """
        from pipeline.analytics.kernels.online import ew  # noqa: PLC0415 - numba

        series = finite_series("values", values, 0, varying=False)
        state = np.array(self._state)
        ew(state, series, self._alpha)
        self._state = tuple(state.tolist())

    @property
    def value(self) -> EwStep | None:
        """Moments at the last value; None before the first."""
        n, origin, mean, variance, apart = self._state
        if n == 0.0:
            return None
        return EwStep(origin + mean, variance, apart / math.sqrt(variance) if variance > 0 else math.nan)

    def _numbers(self) -> tuple[float, ...]:
        return (self._alpha, *self._state)

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls(numbers[0])
        n, origin, mean, variance, apart = numbers[1:]
        twin._state = (n, origin, mean, variance, apart)
        return twin
