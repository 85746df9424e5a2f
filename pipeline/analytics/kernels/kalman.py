"""The Kalman filter of a two-dimensional random-walk state."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray

STATE = 12
"""Numbers in a state: steps; beta, alpha; their covariance (bb, ba, aa); of the last step beta, alpha, innovation, its sd, sds of both."""


@njit(cache=True, nogil=True)
def step(state: FloatArray, y: float, x: float, drift: float, drift_both: float, drift_alpha: float, noise: float) -> None:  # noqa: PLR0917 - compiled
    """Predict one bar from the state, then take it in; see :mod:`pipeline.analytics.kalman`.

    ``drift``, ``drift_both`` and ``drift_alpha`` are the covariance of what beta and alpha drift by in a bar (bb, ba, aa).
    """
    if state[0] > 0.0:
        state[3] += drift
        state[4] += drift_both
        state[5] += drift_alpha
    state[0] += 1.0
    to_beta = state[3] * x + state[4]
    to_alpha = state[4] * x + state[5]
    variance = to_beta * x + to_alpha + noise
    error = y - (state[1] * x + state[2])
    state[6] = state[1]
    state[7] = state[2]
    state[8] = error
    state[9] = np.sqrt(variance)
    state[10] = np.sqrt(max(state[3], 0.0))
    state[11] = np.sqrt(max(state[5], 0.0))
    gain_beta = to_beta / variance
    gain_alpha = to_alpha / variance
    state[1] += gain_beta * error
    state[2] += gain_alpha * error
    state[3] -= gain_beta * to_beta
    state[4] -= gain_beta * to_alpha
    state[5] -= gain_alpha * to_alpha


@njit(cache=True, nogil=True)
def predicted_from(  # noqa: PLR0917 - compiled
    state: FloatArray, y: FloatArray, x: FloatArray, drift: float, drift_both: float, drift_alpha: float, noise: float
) -> FloatArray:
    """``(6, n)``: predicted state, innovation, its standard deviation, and those of beta and alpha, at each step; ``state`` moves on."""
    out = np.empty((6, y.size))
    for t in range(y.size):
        step(state, y[t], x[t], drift, drift_both, drift_alpha, noise)
        out[:, t] = state[6:]
    return out


@njit(cache=True, nogil=True)
def predicted(y: FloatArray, x: FloatArray, drift: float, drift_alpha: float, noise: float) -> FloatArray:
    """The same from zero, without uncertainty."""
    return predicted_from(np.zeros(STATE), y, x, drift, 0.0, drift_alpha, noise)
