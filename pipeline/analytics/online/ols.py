"""The least-squares hedge ratio of everything so far."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_legs
from pipeline.analytics.hedge import MINIMUM, HedgeRatio
from pipeline.analytics.line_errors import student
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import require_value

_STATE = 9


class OnlineOls(Restorable):
    """Twin of :func:`pipeline.analytics.hedge_ratio` with ``method="ols"`` and an intercept.

    Welford's sums about the first bar; the residual sum of squares grows by each bar's recursive residual (Brown, Durbin
    and Evans, JRSS B 37, 1975), so that legs that hardly differ cost no precision.
    """

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = [0.0] * _STATE  # count; origins, means, centred sums (yy, xx, xy); residual sum of squares

    def update(self, y: float, x: float) -> None:
        """Take in one bar of both legs.

        Raises:
            NotFinite: when a value is NaN or infinite.
        """
        require_value("y", y)
        require_value("x", x)
        n, y_origin, x_origin, y_mean, x_mean, syy, sxx, sxy, lost = self._state
        if n == 0.0:
            y_origin, x_origin = y, x
        dy, dx = y - y_origin - y_mean, x - x_origin - x_mean
        if sxx > 0.0:
            missed = dy - sxy / sxx * dx
            lost += missed * missed / ((n + 1.0) / n + dx * dx / sxx)
        elif dx == 0.0:
            lost += dy * dy * (n / (n + 1.0))
        n += 1.0
        y_mean += dy / n
        x_mean += dx / n
        ex = x - x_origin - x_mean
        syy += dy * (y - y_origin - y_mean)
        self._state = [n, y_origin, x_origin, y_mean, x_mean, syy, sxx + dx * ex, sxy + dy * ex, lost]

    def update_many(self, y: ArrayLike, x: ArrayLike) -> None:
        """Take in many bars: the same as :meth:`update` for each, compiled.

        Raises:
            NotFinite: when a value is NaN or infinite; none is taken in.
            AnalyticsError: when the legs differ in length.
        """
        from pipeline.analytics.kernels.online import line  # noqa: PLC0415 - numba

        ys, xs = finite_legs(y, x, 0, varying=False)
        state = np.array(self._state)
        line(state, ys, xs)
        self._state = state.tolist()

    @property
    def value(self) -> HedgeRatio | None:
        """The fit of the bars so far; None with fewer than 3, or while a leg is constant."""
        count, y_origin, x_origin, y_mean, x_mean, syy, sxx, sxy, lost = self._state
        n = int(count)
        if n < MINIMUM or not (syy > 0 and sxx > 0):
            return None
        beta = sxy / sxx
        level = x_origin + x_mean
        variance = lost / (n - 2)
        beta_se, alpha_se = math.sqrt(variance / sxx), math.sqrt(variance * (1.0 / n + level**2 / sxx))
        reach = student(n - 2) * beta_se
        alpha = y_origin + y_mean - beta * level
        return HedgeRatio(beta, alpha, 1.0 - lost / syy, "ols", n, beta_se, alpha_se, beta - reach, beta + reach)

    def _numbers(self) -> tuple[float, ...]:
        return tuple(self._state)

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls()
        twin._state = list(numbers)
        if len(numbers) != _STATE:
            raise ValueError
        return twin
