"""The regression line of every window from its centred second moments, without ever subtracting what has left a window."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.ols import tls_slope as _tls_slope

tls_slope = njit(cache=True, nogil=True, error_model="numpy")(_tls_slope)


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_lines(y: FloatArray, x: FloatArray, window: int, perpendicular: bool, intercept: bool) -> FloatArray:  # noqa: FBT001, PLR0915 - compiled
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
    beta_out, alpha_out, r_out = out[0], out[1], out[2]
    shares = 1.0 / np.arange(1, window + 1)
    tails, next_tails = np.zeros((window + 1, 5)), np.zeros((window + 1, 5))  # tails[k]: of the last k values of the block before
    for start in range(0, n, window):
        stop = min(start + window, n)
        last = stop - 1
        x0 = x[start]
        y0 = y[start]
        x_moved = 0.0
        y_moved = 0.0
        if start > 0:  # the tails move over to this block's origin
            x_moved = x[start - window] - x0
            y_moved = y[start - window] - y0
        hx = hy = hxx = hyy = hxy = 0.0  # the head: mean of x, mean of y, Sxx, Syy, Sxy
        tx = ty = txx = tyy = txy = 0.0  # the tail
        # From both ends at once: neither waits for the other, so the processor works on both. All in one loop over single
        # numbers, which stay in registers: through functions that fill arrays it takes almost twice as long.
        for k in range(stop - start):
            share = shares[k]
            t = start + k
            u = x[t] - x0  # Welford's step: a value more, which is ``share`` of them all
            v = y[t] - y0
            dx = u - hx
            dy = v - hy
            hx += dx * share
            hy += dy * share
            ey = v - hy
            hxx += dx * (u - hx)
            hyy += dy * ey
            hxy += dx * ey
            u = x[last - k] - x0
            v = y[last - k] - y0
            dx = u - tx
            dy = v - ty
            tx += dx * share
            ty += dy * share
            ey = v - ty
            txx += dx * (u - tx)
            tyy += dy * ey
            txy += dx * ey
            row = next_tails[k + 1]
            row[0] = tx
            row[1] = ty
            row[2] = txx
            row[3] = tyy
            row[4] = txy
            if k + 1 == window:
                sx, sy, sxx, syy, sxy = hx, hy, hxx, hyy, hxy
            elif start > 0:
                left = window - k - 1
                tail = tails[left]
                part = left * shares[window - 1]
                weight = part * (k + 1)
                gx = tail[0] + x_moved - hx  # both together: Chan, Golub and LeVeque, The American Statistician 37 (1983)
                gy = tail[1] + y_moved - hy
                sx = hx + gx * part
                sy = hy + gy * part
                sxx = hxx + tail[2] + gx * gx * weight
                syy = hyy + tail[3] + gy * gy * weight
                sxy = hxy + tail[4] + gx * gy * weight
            else:
                continue
            if sxx == 0.0 or syy == 0.0:
                continue
            x_mean = sx + x0
            y_mean = sy + y0
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
                beta_out[t] = beta
                alpha_out[t] = y_mean - beta * x_mean if intercept else 0.0
                r_out[t] = 1.0 - lost / syy
        tails, next_tails = next_tails, tails
    return out
