"""The rolling z-score of a spread."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, as_series, require_window

MINIMUM_WINDOW = 3


def rolling_zscore(s: ArrayLike, window: int) -> FloatArray:
    """``(s - mean) / sd`` over the last ``window`` values, the current one included, sd with ddof = 1.

    Because the current value is in its own window, ``|z| <= zscore_bound(window)``.
    Every value is a function of its own window alone (see :func:`pipeline.analytics.kernels.windows.window_moments`).

    Args:
        s: the spread, one value for each bar.
        window: bars in a window, at least 3.

    Returns:
        One value for each bar: NaN until the first full window, NaN while the window contains a NaN or an
        infinity, NaN when all values of the window are equal (0 / 0).

    Raises:
        TooShort: when the window is shorter than 3 bars. A series shorter than the window is all NaN.
        AnalyticsError: when ``s`` is not one-dimensional.
    """
    require_window(window, MINIMUM_WINDOW)
    series = as_series("s", s)
    from pipeline.analytics.kernels.windows import window_moments  # noqa: PLC0415 - numba

    mean, squares = window_moments(series[None, :], window)
    squares[squares == 0.0] = np.nan
    result = np.full(series.size, np.nan)
    full = slice(window - 1, None)
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(series[full], series[: max(series.size - window + 1, 0)], out=result[full])
        result[full] -= mean[full]
        result[full] /= np.sqrt(squares[full] / (window - 1))
    return result


def zscore_bound(window: int) -> float:
    """Largest |z| that :func:`rolling_zscore` can give: ``(n - 1) / sqrt(n)`` for a window of n.

    A threshold at or above it can never be crossed: at n = 10 a z of 3 is impossible.
    Source: Shiffler, "Maximum z scores and outliers", The American Statistician 42 (1988).

    Raises:
        TooShort: when the window is shorter than 3 bars.
    """
    require_window(window, MINIMUM_WINDOW)
    return (window - 1) / math.sqrt(window)
