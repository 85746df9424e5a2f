"""Many updates of an online statistic at once: the same operations in the same order as one at a time, so the same bits.

Each takes the state as an array, changes it in place, and is the twin of the ``update`` that its docstring names.
"""

from __future__ import annotations

from numba import njit

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.kernels.kalman import step


@njit(cache=True, nogil=True)
def moments(state: FloatArray, values: FloatArray) -> None:
    """``OnlineMoments.update``: count, origin, mean, centred sum of squares."""
    for value in values:
        if state[0] == 0.0:
            state[1] = value
        state[0] += 1.0
        apart = value - state[1] - state[2]
        state[2] += apart / state[0]
        state[3] += apart * (value - state[1] - state[2])


@njit(cache=True, nogil=True, error_model="numpy")
def line(state: FloatArray, y: FloatArray, x: FloatArray) -> None:
    """``OnlineOls.update``: count, origins, means, centred sums (yy, xx, xy), residual sum of squares."""
    for t in range(y.size):
        n = state[0]
        if n == 0.0:
            state[1] = y[t]
            state[2] = x[t]
        dy = y[t] - state[1] - state[3]
        dx = x[t] - state[2] - state[4]
        if state[6] > 0.0:
            missed = dy - state[7] / state[6] * dx
            state[8] += missed * missed / ((n + 1.0) / n + dx * dx / state[6])
        elif dx == 0.0:
            state[8] += dy * dy * (n / (n + 1.0))
        state[0] = n + 1.0
        state[3] += dy / state[0]
        state[4] += dx / state[0]
        ex = x[t] - state[2] - state[4]
        state[5] += dy * (y[t] - state[1] - state[3])
        state[6] += dx * ex
        state[7] += dy * ex


@njit(cache=True, nogil=True)
def ew(state: FloatArray, values: FloatArray, alpha: float) -> None:
    """``OnlineEw.update``: count, origin, mean, variance, distance of the last value from the mean."""
    for value in values:
        if state[0] == 0.0:
            state[1] = value
        state[0] += 1.0
        apart = value - state[1] - state[2]
        state[2] += alpha * apart
        state[3] = (1.0 - alpha) * (state[3] + alpha * apart * apart)
        state[4] = value - state[1] - state[2]


@njit(cache=True, nogil=True)
def kalman(state: FloatArray, y: FloatArray, x: FloatArray, drift: float, drift_alpha: float, noise: float) -> None:  # noqa: PLR0917 - compiled
    """``OnlineKalman.update``; the state is that of :func:`pipeline.analytics.kernels.kalman.step`."""
    for t in range(y.size):
        step(state, y[t], x[t], drift, 0.0, drift_alpha, noise)
