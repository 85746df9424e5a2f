"""The spread under a rolling hedge ratio, as a type that is not taken for one series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, as_series
from pipeline.analytics.hedge import rolling_hedge_ratio
from pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class RollingSpread:
    """A spread whose beta changes from bar to bar. Not an array: every test and statistic of this package refuses it.

    Attributes:
        values: ``y - alpha - beta x`` with the line of the window that ended one bar before; NaN until there is one.
        beta: the slope used at each bar.
        alpha: the intercept used at each bar.
        window: bars that each line was fitted on.
    """

    values: FloatArray
    beta: FloatArray
    alpha: FloatArray
    window: int

    def __array__(self, dtype: object = None, copy: object = None) -> FloatArray:
        """Refuse to be taken for one series by a function that asks for an array.

        Raises:
            UsageError: always.
        """
        del dtype, copy
        msg = (
            "the spread of a rolling beta is not one series: it reverts by construction, so a unit-root test would reject 90 % of"
            " unrelated walks; expected a spread under one beta; run engle_granger on the legs, or take `.values` for a z-score"
        )
        raise UsageError(msg)


def rolling_spread(y: ArrayLike, x: ArrayLike, window: int, *, method: str = "ols", intercept: bool = True) -> RollingSpread:
    """What each bar missed of the line through the ``window`` bars before it: a one-step forecast error, without look-ahead.

    It reverts by construction, whatever the legs do, since the line follows them: a plain unit-root test calls 90 % of
    unrelated walks stationary at a nominal 5 %, and a half-life of it says nothing of the legs. So this package's tests and
    statistics raise UsageError when given a ``RollingSpread``. Test the legs with
    :func:`pipeline.analytics.engle_granger`; take ``values`` for a z-score.

    Raises:
        UsageError, TooShort, NotFinite, AnalyticsError: as :func:`pipeline.analytics.rolling_hedge_ratio`.
    """
    rolled = rolling_hedge_ratio(y, x, window, method=method, intercept=intercept)
    ys, xs = as_series("y", y), as_series("x", x)
    beta, alpha, values = np.full((3, ys.size), np.nan)
    beta[1:], alpha[1:] = rolled.beta[:-1], rolled.alpha[:-1]
    values[:] = ys - alpha - beta * xs
    return RollingSpread(values, beta, alpha, window)
