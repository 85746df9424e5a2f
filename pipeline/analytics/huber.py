"""Huber's robust regression with its scale estimated beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.analytics.arrays import BoolArray, FloatArray
from pipeline.analytics.ols import fit_ols
from pipeline.errors import AnalyticsError

EPSILON = 1.35  # 95 % efficient on normal errors
_MAX_STEPS = 200
_SLOW = 40  # steps after which the scale is suspected of going to zero
_EXACT = 1e-13  # residuals below this share of y's spread are rounding: the fit is exact


@dataclass(frozen=True, slots=True)
class _Point:
    """A candidate: coefficients of the standardised design, scale, and what follows from them."""

    coefficients: FloatArray
    sigma: float
    residuals: FloatArray
    loss: float


def fit_huber(y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """``(beta, alpha)`` that minimise ``sum(sigma + H(r / sigma) * sigma)`` over beta, alpha and sigma together.

    ``H(z) = z^2`` for ``|z| <= 1.35`` and ``2 * 1.35 * |z| - 1.35^2`` beyond. This is the problem that
    scikit-learn's ``HuberRegressor(epsilon=1.35, alpha=0)`` solves (Owen, "A robust hybrid of lasso and ridge
    regression", 2007); because sigma is estimated, scaling either leg scales the answer and nothing else.
    It is convex. While the sets of inliers and outliers do not change its minimum has a closed form, so the
    search goes from set to set and ends exactly at the minimum, usually in under ten steps. Where nearly half of
    the points or more lie on one line (quiet markets), the best sigma is 0 and the minimum is that of the sum of
    absolute residuals, which is then returned.

    Raises:
        AnalyticsError: when the search does not end, which no input is known to cause.
    """
    x_mid, x_unit = (float(x.mean()), float(x.std())) if intercept else (0.0, float(np.sqrt(np.mean(x * x))))
    y_mid = float(y.mean()) if intercept else 0.0
    y_unit = float(np.sqrt(np.mean((y - y_mid) ** 2))) or 1.0
    slope, constant = _standardised((x - x_mid) / x_unit, (y - y_mid) / y_unit, intercept=intercept)
    beta = slope * y_unit / x_unit
    if not intercept:
        return beta, 0.0
    return beta, y_mid + constant * y_unit - beta * x_mid


def _standardised(u: FloatArray, v: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """Slope and constant: compiled where the sets settle, which is nearly always; else the search that knows every case."""
    from pipeline.analytics.kernels.huber import CONVERGED, descend  # noqa: PLC0415 - numba

    slope, constant, status = descend(u, v, float(u @ v) / float(u @ u), EPSILON, intercept)
    if status == CONVERGED:
        return float(slope), float(constant)
    design = np.column_stack((u, np.ones_like(u))) if intercept else u[:, None]
    coefficients = _minimise(design, v, intercept=intercept)
    return float(coefficients[0]), float(coefficients[1]) if intercept else 0.0


def _minimise(design: FloatArray, v: FloatArray, *, intercept: bool) -> FloatArray:
    start = np.array(fit_ols(v, design[:, 0], intercept=intercept)[: design.shape[1]])
    residuals = v - design @ start
    if np.abs(residuals).max() <= _EXACT:
        return start
    point = _at(design, v, start, float(np.sqrt(np.mean(residuals**2))))
    for step in range(_MAX_STEPS):
        if step == _SLOW:
            limit = _least_absolute(design, v)
            if 2 * EPSILON * float(np.abs(v - design @ limit).sum()) <= point.loss:
                return limit
        inliers = np.abs(point.residuals) <= EPSILON * point.sigma
        target = _solve(design, v, point, inliers)
        if target is None:
            target = _reweighted(design, v, point)
        following = _line_search(design, v, point, target)
        if following is None:
            return point.coefficients
        same = np.array_equal(np.abs(following.residuals) <= EPSILON * following.sigma, inliers)
        moved = float(np.abs(following.coefficients - point.coefficients).max())
        point = following
        if (same and moved <= 1e-14) or point.sigma <= _EXACT:
            return point.coefficients
    msg = f"Huber regression did not converge in {_MAX_STEPS} steps on {v.size} observations; use theil_sen for this window"
    raise AnalyticsError(msg)


def _at(design: FloatArray, v: FloatArray, coefficients: FloatArray, sigma: float) -> _Point:
    residuals = v - design @ coefficients
    size = np.abs(residuals)
    far = size > EPSILON * sigma
    loss = v.size * sigma + float(np.sum(residuals[~far] ** 2)) / sigma
    loss += float(np.sum(2 * EPSILON * size[far] - sigma * EPSILON**2))
    return _Point(coefficients, sigma, residuals, loss)


def _solve(design: FloatArray, v: FloatArray, point: _Point, inliers: BoolArray) -> tuple[FloatArray, float] | None:
    """Minimum for fixed sets: w = w_in + sigma d, with w_in the inliers' least squares. None where there is none."""
    near, far = design[inliers], design[~inliers]
    if near.shape[0] <= design.shape[1]:
        return None
    gram = near.T @ near
    pull = EPSILON * (far.T @ np.sign(point.residuals[~inliers]))
    try:
        solution = np.linalg.solve(gram, np.column_stack((near.T @ v[inliers], pull)))
    except np.linalg.LinAlgError:
        return None
    base, shift = solution[:, 0], solution[:, 1]
    free = v.size - far.shape[0] * EPSILON**2 - float(shift @ gram @ shift)
    left = v[inliers] - near @ base
    sum_of_squares = float(left @ left)
    if free <= 0 or not np.isfinite(sum_of_squares):
        return None
    sigma = float(np.sqrt(sum_of_squares / free))
    return base + sigma * shift, sigma


def _least_absolute(design: FloatArray, v: FloatArray) -> FloatArray:
    """The limit for sigma at zero: coefficients of the least sum of absolute residuals, by linear programming."""
    from scipy.optimize import linprog  # noqa: PLC0415 - seldom needed
    from scipy.sparse import eye_array, hstack  # noqa: PLC0415 - seldom needed

    n, k = design.shape
    cost = np.concatenate((np.zeros(k), np.ones(2 * n)))
    blocks: Any = (design, eye_array(n), -eye_array(n))  # the stubs do not mix dense and sparse
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * k + [(0.0, None)] * (2 * n)
    solution = linprog(cost, A_eq=hstack(blocks), b_eq=v, bounds=bounds).x
    if solution is None:
        msg = f"the line of least absolute residuals was not found on {n} observations; use theil_sen for this window"
        raise AnalyticsError(msg)
    return np.asarray(solution[:k], dtype=np.float64)


def _reweighted(design: FloatArray, v: FloatArray, point: _Point) -> tuple[FloatArray, float]:
    """One step of iteratively reweighted least squares: always downhill, never far."""
    weights = np.minimum(1.0, EPSILON * point.sigma / np.maximum(np.abs(point.residuals), 1e-300))
    root = np.sqrt(weights)
    coefficients = np.asarray(np.linalg.lstsq(design * root[:, None], v * root, rcond=None)[0], dtype=np.float64)
    clipped = np.minimum(np.abs(v - design @ coefficients), EPSILON * point.sigma)
    return coefficients, max(float(np.sqrt(np.mean(clipped**2))), _EXACT / 2)


def _line_search(design: FloatArray, v: FloatArray, point: _Point, target: tuple[FloatArray, float]) -> _Point | None:
    """The first of full step, half, quarter ... that does not go uphill; None when none does: the minimum is reached."""
    coefficients, sigma = target
    step = 1.0
    for _ in range(50):
        candidate = _at(
            design,
            v,
            point.coefficients + step * (coefficients - point.coefficients),
            max(point.sigma + step * (sigma - point.sigma), _EXACT / 2),
        )
        if candidate.loss < point.loss or (step == 1.0 and candidate.loss <= point.loss * (1 + 1e-15)):
            return candidate
        step /= 2
    return None
