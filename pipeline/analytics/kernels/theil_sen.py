"""Exact selection among the n(n-1)/2 slopes between points, without holding them all."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray


@njit(cache=True, nogil=True)
def sample_slopes(y: FloatArray, x: FloatArray, size: int) -> FloatArray:
    """Up to ``size`` slopes between pairs of points drawn by a fixed congruential generator."""
    n = y.size
    out = np.empty(size)
    filled = 0
    state = np.uint64(88172645463325252)
    for _ in range(4 * size):
        if filled == size:
            break
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        i = np.int64((state >> np.uint64(33)) % np.uint64(n))
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        j = np.int64((state >> np.uint64(33)) % np.uint64(n))
        dx = x[j] - x[i]
        if dx != 0.0:
            out[filled] = (y[j] - y[i]) / dx
            filled += 1
    return out[:filled]


@njit(cache=True, nogil=True)
def count_slopes(y: FloatArray, x: FloatArray, low: float, high: float) -> tuple[int, int, int, int, int]:
    """How many slopes lie below ``low``, at it, strictly between, at ``high``, above it (``low == high``: none at high)."""
    n = y.size
    below, at_low, at_most_high, below_high, total = 0, 0, 0, 0, 0
    for i in range(n - 1):
        yi = y[i]
        xi = x[i]
        for j in range(i + 1, n):
            dx = x[j] - xi
            slope = (y[j] - yi) / dx if dx != 0.0 else np.nan
            total += dx != 0.0
            below += slope < low
            at_low += slope == low
            below_high += slope < high
            at_most_high += slope <= high
    return below, at_low, below_high, at_most_high, total


@njit(cache=True, nogil=True)
def slopes_between(y: FloatArray, x: FloatArray, low: float, high: float, size: int) -> FloatArray:
    """The ``size`` slopes strictly between ``low`` and ``high``."""
    n = y.size
    out = np.empty(size + 1)
    filled = 0
    for i in range(n - 1):
        yi = y[i]
        xi = x[i]
        for j in range(i + 1, n):
            dx = x[j] - xi
            if dx != 0.0:
                slope = (y[j] - yi) / dx
                if low < slope < high:
                    out[filled] = slope
                    filled += 1
    return out[:filled]
