"""Least squares of y on x, from centred sums."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.arrays import FloatArray
from pipeline.errors import AnalyticsError


def fit_ols(y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """``(beta, alpha)`` that minimise the sum of squared vertical distances; ``alpha`` is 0 without intercept.

    The sums are taken about the means (about zero without intercept), so the level of prices costs no precision.
    """
    if not intercept:
        return float(x @ y) / float(x @ x), 0.0
    x_mean, y_mean = float(x.mean()), float(y.mean())
    dx, dy = x - x_mean, y - y_mean
    beta = float(dx @ dy) / float(dx @ dx)
    # the means are rounded; what rounding left in the deviations goes to the intercept
    alpha = y_mean - beta * x_mean + float(np.mean(dy - beta * dx))
    return beta, alpha


def fit_tls(y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """``(beta, alpha)`` that minimise the sum of squared perpendicular distances (total least squares, Deming ratio 1).

    Symmetric in the legs: swapping them gives ``1 / beta``. Not free of scale: multiplying one leg's prices by a
    constant changes more than the units of beta, so log prices or legs of similar variance suit it best.

    Raises:
        AnalyticsError: when the best line is vertical, so that beta is not finite.
    """
    x_mean, y_mean = (float(x.mean()), float(y.mean())) if intercept else (0.0, 0.0)
    dx, dy = x - x_mean, y - y_mean
    beta = tls_slope(float(dx @ dx), float(dy @ dy), float(dx @ dy))
    if not np.isfinite(beta):
        msg = "total least squares has no finite hedge ratio: y varies more than x and they are uncorrelated; swap the legs or use ols"
        raise AnalyticsError(msg)
    return beta, y_mean - beta * x_mean if intercept else 0.0


def tls_slope(sxx: float, syy: float, sxy: float) -> float:
    """Slope of the first principal axis from centred sums; infinite when that axis is vertical.

    Of the two equal forms of the root of ``sxy b^2 - (syy - sxx) b - sxy = 0`` the one without cancellation is taken.
    """
    half = 0.5 * (syy - sxx)
    root = float(np.hypot(half, sxy))
    if half > 0:
        return (half + root) / sxy if sxy != 0 else np.inf
    if root == half:  # both zero: every direction is as good
        return np.inf
    return sxy / (root - half)
