"""How far a series moves in k bars, for many k."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _spread(s: FloatArray, lag: int) -> float:
    """Standard deviation (ddof = 0) of ``s[t + lag] - s[t]``, about its mean in a second pass."""
    n = s.size - lag
    later, earlier = s[lag:], s[:n]
    total = 0.0
    for t in range(n):
        total += later[t] - earlier[t]
    mean = total / n
    squares = 0.0
    for t in range(n):
        apart = later[t] - earlier[t] - mean
        squares += apart * apart
    return float(np.sqrt(squares / n))


@njit(cache=True, nogil=True)
def spreads(s: FloatArray, longest: int) -> FloatArray:
    """Standard deviations of the differences over 2 .. ``longest`` bars, which must be less than the series has."""
    out = np.empty(longest - 1)
    for lag in range(2, longest + 1):
        out[lag - 2] = _spread(s, lag)
    return out


@njit(cache=True, nogil=True)
def exponent(spread: FloatArray, noise: float) -> float:
    """Slope of their logarithms on the logarithms of the lags 2, 3 ...; NaN when one of them is not above ``noise``."""
    lags = np.log(np.arange(2, spread.size + 2))
    lags -= np.mean(lags)
    numerator, denominator = 0.0, 0.0
    for i in range(spread.size):
        if not spread[i] > noise:
            return np.nan
        numerator += lags[i] * np.log(spread[i])
        denominator += lags[i] * lags[i]
    return numerator / denominator
