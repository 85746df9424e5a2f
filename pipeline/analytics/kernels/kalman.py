"""The Kalman filter of a two-dimensional random-walk state."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray


@njit(cache=True, nogil=True)
def predicted(y: FloatArray, x: FloatArray, delta: float, observation_var: float) -> FloatArray:
    """Predicted state, innovation and its standard deviation at each step; see :mod:`pipeline.analytics.kalman`."""
    n = y.size
    out = np.empty((4, n))
    drift = delta / (1.0 - delta)
    beta, alpha = 0.0, 0.0
    p00, p01, p11 = 0.0, 0.0, 0.0
    for t in range(n):
        if t > 0:
            p00 += drift
            p11 += drift
        fx = x[t]
        to_beta = p00 * fx + p01
        to_alpha = p01 * fx + p11
        variance = to_beta * fx + to_alpha + observation_var
        error = y[t] - (beta * fx + alpha)
        out[0, t], out[1, t], out[2, t], out[3, t] = beta, alpha, error, np.sqrt(variance)
        gain_beta = to_beta / variance
        gain_alpha = to_alpha / variance
        beta += gain_beta * error
        alpha += gain_alpha * error
        p00 -= gain_beta * to_beta
        p01 -= gain_beta * to_alpha
        p11 -= gain_alpha * to_alpha
    return out
