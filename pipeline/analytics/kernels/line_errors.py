"""Standard errors of a line in every window, from the window's own residuals."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_ols_errors(y: FloatArray, x: FloatArray, window: int, beta: FloatArray, intercept: bool) -> FloatArray:  # noqa: FBT001
    """``(2, n)``: errors of beta and alpha of the least-squares line with slope ``beta`` in the window that ends at each bar.

    The residuals are taken one by one, not as a difference of sums, so legs that hardly differ cost no precision;
    the work grows with the window. NaN where beta is; those of alpha are all NaN without intercept.
    Formulas as in :func:`pipeline.analytics.line_errors.ols_errors`.
    """
    out = np.full((2, y.size), np.nan)
    free = window - 1 - intercept
    for t in range(window - 1, y.size):
        if np.isnan(beta[t]):
            continue
        first = t - window + 1
        x0, y0 = (x[first], y[first]) if intercept else (0.0, 0.0)
        x_mean, y_mean = 0.0, 0.0
        if intercept:
            for i in range(first, t + 1):
                x_mean += (x[i] - x0) / window
                y_mean += (y[i] - y0) / window
        sxx, lost = 0.0, 0.0
        for i in range(first, t + 1):
            dx = x[i] - x0 - x_mean
            residual = y[i] - y0 - y_mean - beta[t] * dx
            sxx += dx * dx
            lost += residual * residual
        variance = lost / free
        out[0, t] = np.sqrt(variance / sxx)
        if intercept:
            out[1, t] = np.sqrt(variance * (1.0 / window + (x0 + x_mean) ** 2 / sxx))
    return out
