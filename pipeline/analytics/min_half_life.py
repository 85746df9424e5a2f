"""The hedge ratio whose spread reverts fastest."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.arrays import FloatArray, require_length
from pipeline.analytics.half_life import MINIMUM
from pipeline.analytics.ols import fit_ols
from pipeline.errors import AnalyticsError

_EXACT = 1e-13  # residuals below this share of y's variation are rounding


def fit_min_half_life(y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """``(beta, alpha)`` of the spread ``y - beta x`` with the least half-life; alpha is that spread's mean.

    The half-life grows with phi, the coefficient of the spread's AR(1) (with a constant; without ``intercept`` the
    spread is taken to revert to 0 and the AR(1) has none), so phi is minimised. phi is a ratio of two quadratic
    forms in ``(1, -beta)``, lagged covariance over variance, and its least value is the smaller root of a
    2 x 2 eigenvalue problem: the global minimum, exactly, without a search that could stop elsewhere. The forms are taken
    in the least-squares residual and x, which are nearly orthogonal, so collinear legs cost no precision.

    It looks for noise that reverts, and always finds it: of any two legs some spread has phi below 1 (the one that
    ends at its mean), and the bounce between bid and ask, or stale prices, are the fastest reversion there is. Where
    phi becomes negative the spread overshoots within one bar and :func:`pipeline.analytics.half_life` is None.
    Tests of a spread chosen like this reject too often.

    Raises:
        TooShort: with fewer than 10 bars.
        AnalyticsError: when the fastest spread is x alone, which is no hedge of y, or the legs do not move apart from
            their last bar.

    Source: arbitragelab's minimum half-life hedge ratio, which searches for the same minimum; the eigenvalue problem
    is that of Box and Tiao, "A canonical analysis of multiple time series", Biometrika 64 (1977), for one lag.
    """
    require_length("y", y.size, MINIMUM)
    start, _ = fit_ols(y, x, intercept=intercept)
    dx, dy = (x - x.mean(), y - y.mean()) if intercept else (x, y)
    residual = dy - start * dx
    unit_e, unit_x = float(np.linalg.norm(residual)), float(np.linalg.norm(dx))
    beta = start
    if unit_e > _EXACT * float(np.linalg.norm(dy)):
        legs = np.vstack((residual / unit_e, dx / unit_x))
        beta = start + _fastest(legs, intercept=intercept) * unit_e / unit_x
    return beta, float(y.mean()) - beta * float(x.mean()) if intercept else 0.0


def _fastest(legs: FloatArray, *, intercept: bool) -> float:
    """Return c with the least AR(1) coefficient of ``legs[0] - c legs[1]``."""
    before, after = legs[:, :-1], legs[:, 1:]
    if intercept:
        before = before - before.mean(axis=1, keepdims=True)  # the constant of the AR(1)
    variance = before @ before.T
    lagged = after @ before.T
    try:
        root = np.linalg.inv(np.linalg.cholesky(variance))
    except np.linalg.LinAlgError:
        root = None
    if root is None or not np.isfinite(root).all():
        msg = "the legs do not vary apart from their last bar, so no half-life is defined; use a longer window"
        raise AnalyticsError(msg)
    _, vectors = np.linalg.eigh(root @ (0.5 * (lagged + lagged.T)) @ root.T)
    weights = root.T @ vectors[:, 0]
    if not abs(weights[0]) > 1e-12 * abs(weights[1]):
        msg = "the spread of these legs that reverts fastest holds no y; use ols, or another pair"
        raise AnalyticsError(msg)
    return float(-weights[1] / weights[0])
