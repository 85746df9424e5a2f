"""Mean and variance of everything so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_series
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import require_value


@dataclass(frozen=True, slots=True)
class Moments:
    """Attributes: ``n`` values; their ``mean`` (NaN for none); their ``variance`` with ddof = 1 (NaN under two)."""

    n: int
    mean: float
    variance: float


class OnlineMoments(Restorable):
    """Welford's algorithm, summed about the first value."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = (0.0, 0.0, 0.0, 0.0)  # count, origin, mean less the origin, centred sum of squares

    def update(self, value: float) -> None:
        """Take in one value.

        Raises:
            NotFinite: when it is NaN or infinite.
        """
        require_value("value", value)
        n, origin, mean, squares = self._state
        if n == 0.0:
            origin = value
        n += 1.0
        apart = value - origin - mean
        mean += apart / n
        self._state = (n, origin, mean, squares + apart * (value - origin - mean))

    def update_many(self, values: ArrayLike) -> None:
        """Take in many values: the same as :meth:`update` for each, compiled.

        Raises:
            NotFinite: when one is NaN or infinite; none is taken in.
        """
        from pipeline.analytics.kernels.online import moments  # noqa: PLC0415 - numba

        series = finite_series("values", values, 0, varying=False)
        state = np.array(self._state)
        moments(state, series)
        self._state = tuple(state.tolist())

    @property
    def value(self) -> Moments:
        """Moments of the values so far."""
        n, origin, mean, squares = self._state
        return Moments(int(n), origin + mean if n else math.nan, squares / (n - 1.0) if n > 1 else math.nan)

    def _numbers(self) -> tuple[float, ...]:
        return self._state

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls()
        n, origin, mean, squares = numbers
        twin._state = (n, origin, mean, squares)
        return twin
