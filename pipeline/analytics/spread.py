"""The spread of a pair under a given hedge ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, as_series, logarithms, same_length
from pipeline.errors import UsageError


def scaled(name: str, prices: ArrayLike, scale: str) -> FloatArray:
    """Prices on the scale that a hedge ratio is fitted on: themselves for ``price``, logarithms for ``log``.

    Raises:
        UsageError: when the scale has another name.
        NotFinite: when a price is not above zero on the log scale.
    """
    series = as_series(name, prices)
    if scale == "price":
        return series
    if scale == "log":
        return logarithms(name, series)
    msg = f"scale {scale!r} is not known; expected price or log"
    raise UsageError(msg)


def spread(y: ArrayLike, x: ArrayLike, beta: float, *, scale: str = "price") -> FloatArray:
    """``y - beta * x`` on prices, or ``log y - beta * log x`` with ``scale="log"``.

    The intercept is not taken off: it is part of the model and reported with it; a z-score is the same with
    and without. ``beta`` is one number: the spread of a beta that changes from bar to bar reverts by construction, so it is
    :func:`pipeline.analytics.rolling_spread`'s, a type that tests refuse, or the innovation of
    :func:`pipeline.analytics.kalman_hedge_ratio`.

    Args:
        y: prices of the dependent leg, one for each bar.
        x: prices of the hedge, at the same bars.
        beta: units of x held against one unit of y (``price``), or notional against notional (``log``).
        scale: ``price`` or ``log``.

    Returns:
        One value for each bar; NaN where an input is NaN.

    Raises:
        AnalyticsError: when the legs differ in length.
        NotFinite: when a price is not above zero on the log scale.
        UsageError: when the scale is unknown, or beta is not one number.
    """
    if np.ndim(beta):
        msg = f"beta has {np.size(beta)} values; expected one number; use rolling_spread, or the innovation of kalman_hedge_ratio"
        raise UsageError(msg)
    ys, xs = scaled("y", y, scale), scaled("x", x, scale)
    same_length(ys, xs)
    return ys - beta * xs
