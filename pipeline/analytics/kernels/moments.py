"""The regression line of every window from its centred second moments, without ever subtracting what has left a window."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.ols import tls_slope as _tls_slope

tls_slope = njit(cache=True, nogil=True, error_model="numpy")(_tls_slope)


@njit(cache=True, nogil=True)
def _enter(sums: FloatArray, share: float, x: float, y: float) -> None:
    """Welford's step: ``sums`` (mean of x, mean of y, Sxx, Syy, Sxy) with one value more, which is ``share`` of them all."""
    dx = x - sums[0]
    dy = y - sums[1]
    sums[0] += dx * share
    sums[1] += dy * share
    ey = y - sums[1]
    sums[2] += dx * (x - sums[0])
    sums[3] += dy * ey
    sums[4] += dx * ey


@njit(cache=True, nogil=True)
def _merge(out: FloatArray, head: FloatArray, tail: FloatArray, share: float, weight: float) -> None:
    """The sums of two sets together: Chan, Golub and LeVeque, The American Statistician 37 (1983).

    The tail is ``share`` of both; ``weight`` is its share times the size of the head.
    """
    gx = tail[0] - head[0]
    gy = tail[1] - head[1]
    out[0] = head[0] + gx * share
    out[1] = head[1] + gy * share
    out[2] = head[2] + tail[2] + gx * gx * weight
    out[3] = head[3] + tail[3] + gy * gy * weight
    out[4] = head[4] + tail[4] + gx * gy * weight


@njit(cache=True, nogil=True, error_model="numpy")
def _line(out: FloatArray, sums: FloatArray, x0: float, y0: float, window: int, perpendicular: bool, intercept: bool) -> None:  # noqa: FBT001, PLR0917 - compiled
    """Beta, alpha and R squared of a window from its sums; NaN where a leg is constant or no finite line is best."""
    x_mean, y_mean = sums[0] + x0, sums[1] + y0
    sxx, syy, sxy = sums[2], sums[3], sums[4]
    if sxx == 0.0 or syy == 0.0:
        return
    if not intercept:  # sums about zero
        sxx += window * x_mean * x_mean
        syy += window * y_mean * y_mean
        sxy += window * x_mean * y_mean
    if perpendicular:
        beta = tls_slope(sxx, syy, sxy)
        lost = syy - 2.0 * beta * sxy + beta * beta * sxx
    else:
        beta = sxy / sxx
        lost = syy - sxy * beta
    if np.isfinite(beta):
        out[0] = beta
        out[1] = y_mean - beta * x_mean if intercept else 0.0
        out[2] = 1.0 - lost / syy


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_lines(y: FloatArray, x: FloatArray, window: int, perpendicular: bool, intercept: bool) -> FloatArray:  # noqa: FBT001
    """The line through the ``window`` points that end at each position, by least squares or ``perpendicular`` ones.

    The series is cut into blocks of ``window`` values. A window is the tail of one block and the head of the
    next: running sums over tails (from the back) and heads (from the front) are merged. Values only ever enter,
    so an outlier that has left leaves no rounding behind, the cost does not grow with the window, and the value
    at t uses nothing after t. Each block is summed about its first value, so the level costs no precision.

    Returns:
        ``(3, n)``: beta, alpha, R squared. NaN before the first full window and where a window has no line.
    """
    n = y.size
    out = np.full((3, n), np.nan)
    sums = np.empty(5)
    shares = 1.0 / np.arange(1, window + 1)
    tails, next_tails = np.zeros((window + 1, 5)), np.zeros((window + 1, 5))  # tails[k]: of the last k values of the block before
    for start in range(0, n, window):
        stop = min(start + window, n)
        x0 = x[start]
        y0 = y[start]
        if start > 0:  # the tails move over to this block's origin
            tails[:, 0] += x[start - window] - x0
            tails[:, 1] += y[start - window] - y0
        head, tail = np.zeros(5), np.zeros(5)
        # From both ends at once: neither waits for the other, so the processor works on both.
        for k in range(stop - start):
            t = start + k
            _enter(head, shares[k], x[t] - x0, y[t] - y0)
            _enter(tail, shares[k], x[stop - 1 - k] - x0, y[stop - 1 - k] - y0)
            next_tails[k + 1] = tail
            if k + 1 == window:
                _line(out[:, t], head, x0, y0, window, perpendicular, intercept)
            elif start > 0:
                left = window - k - 1
                share = left * shares[window - 1]
                _merge(sums, head, tails[left], share, share * (k + 1))
                _line(out[:, t], sums, x0, y0, window, perpendicular, intercept)
        tails, next_tails = next_tails, tails
    return out
