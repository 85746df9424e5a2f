"""The search for Huber's minimum from set to set of inliers, on a standardised design of one slope and at most one constant."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray

CONVERGED, UNSURE = 0, 1
_MAX_STEPS = 40
_HALVINGS = 50
_ROUNDING = 1e-13
_SETTLED = 1e-14
_FREE = 1e-9  # least determinant of the inliers' design, as a share of its diagonal


@njit(cache=True, nogil=True)
def _loss(u: FloatArray, v: FloatArray, slope: float, constant: float, sigma: float, epsilon: float) -> float:  # noqa: PLR0917 - compiled
    """``sum(sigma + H(r / sigma) * sigma)``."""
    near, far, outliers = 0.0, 0.0, 0
    limit = epsilon * sigma
    for i in range(v.size):
        size = abs(v[i] - slope * u[i] - constant)
        if size > limit:
            far += size
            outliers += 1
        else:
            near += size * size
    return v.size * sigma + near / sigma + 2.0 * epsilon * far - outliers * sigma * epsilon * epsilon


@njit(cache=True, nogil=True)
def _target(u: FloatArray, v: FloatArray, near: FloatArray, signs: FloatArray, epsilon: float, intercept: bool) -> FloatArray:  # noqa: FBT001, PLR0917 - compiled
    """Slope, constant and sigma of the minimum for fixed sets; sigma is NaN where there is none."""
    count, su, suu, sv, suv, pull_u, pull_1, outliers = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(v.size):
        w, s = near[i], signs[i]
        count += w
        su += w * u[i]
        suu += w * u[i] * u[i]
        sv += w * v[i]
        suv += w * u[i] * v[i]
        outliers += 1.0 - w
        pull_u += (1.0 - w) * s * u[i]
        pull_1 += (1.0 - w) * s
    found = np.full(3, np.nan)
    pull_u *= epsilon
    pull_1 *= epsilon
    if intercept:
        determinant = suu * count - su * su
        if count <= 2 or not determinant > _FREE * suu * count:
            return found
        slope, constant = (count * suv - su * sv) / determinant, (suu * sv - su * suv) / determinant
        slope_shift, constant_shift = (count * pull_u - su * pull_1) / determinant, (suu * pull_1 - su * pull_u) / determinant
        bent = slope_shift * pull_u + constant_shift * pull_1
    else:
        if count <= 1 or not suu > 0.0:
            return found
        slope, constant, slope_shift, constant_shift = suv / suu, 0.0, pull_u / suu, 0.0
        bent = slope_shift * pull_u
    squares = 0.0
    for i in range(v.size):
        left = v[i] - slope * u[i] - constant
        squares += near[i] * left * left
    free = v.size - outliers * epsilon * epsilon - bent
    if free > 0.0:
        sigma = np.sqrt(squares / free)
        found[0], found[1], found[2] = slope + sigma * slope_shift, constant + sigma * constant_shift, sigma
    return found


@njit(cache=True, nogil=True)
def descend(u: FloatArray, v: FloatArray, start: float, epsilon: float, intercept: bool) -> tuple[float, float, int]:  # noqa: FBT001
    """``(slope, constant, status)`` from a starting slope; with the status ``UNSURE`` another search is to be used.

    Args:
        u: standardised x.
        v: standardised y.
        start: slope to begin with, at a constant of 0.
        epsilon: from how many sigmas on a residual is an outlier's.
        intercept: whether there is a constant.
    """
    n = v.size
    slope, constant = start, 0.0
    squares = 0.0
    for i in range(n):
        squares += (v[i] - slope * u[i]) ** 2
    sigma = np.sqrt(squares / n)
    if not sigma > _ROUNDING:
        return slope, constant, UNSURE
    loss = _loss(u, v, slope, constant, sigma, epsilon)
    near, signs = np.full(n, -1.0), np.empty(n)
    moved = np.inf
    for _ in range(_MAX_STEPS):
        changed = 0
        for i in range(n):
            left = v[i] - slope * u[i] - constant
            inside = 1.0 if abs(left) <= epsilon * sigma else 0.0
            if inside != near[i]:
                changed += 1
            near[i], signs[i] = inside, np.sign(left)
        if changed == 0 and moved <= _SETTLED:
            return slope, constant, CONVERGED
        wanted = _target(u, v, near, signs, epsilon, intercept)
        if not wanted[2] > _ROUNDING:
            return slope, constant, UNSURE
        share, found = 1.0, False
        for _halving in range(_HALVINGS):
            try_slope = slope + share * (wanted[0] - slope)
            try_constant = constant + share * (wanted[1] - constant)
            try_sigma = max(sigma + share * (wanted[2] - sigma), _ROUNDING / 2)
            try_loss = _loss(u, v, try_slope, try_constant, try_sigma, epsilon)
            if try_loss < loss or (share == 1.0 and try_loss <= loss * (1.0 + 1e-15)):
                found = True
                break
            share /= 2.0
        if not found:
            return slope, constant, CONVERGED
        moved = max(abs(try_slope - slope), abs(try_constant - constant))
        slope, constant, sigma, loss = try_slope, try_constant, try_sigma, try_loss
    return slope, constant, UNSURE
