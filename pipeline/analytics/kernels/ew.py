"""The recursion of exponentially weighted moments."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray


@njit(cache=True, nogil=True)
def recursion(s: FloatArray, alpha: float) -> FloatArray:
    """``(3, n)``: mean, variance, and distance of each value from its mean; see :mod:`pipeline.analytics.ew`."""
    out = np.empty((3, s.size))
    if s.size == 0:
        return out
    origin = s[0]  # the level costs no precision
    mean, variance = 0.0, 0.0
    for t in range(s.size):
        apart = s[t] - origin - mean
        mean += alpha * apart
        variance = (1.0 - alpha) * (variance + alpha * apart * apart)
        out[0, t] = origin + mean
        out[1, t] = variance
        out[2, t] = s[t] - origin - mean
    return out
