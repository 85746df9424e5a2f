"""Log returns and their rolling correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, as_series, logarithms, require_window, same_length
from pipeline.analytics.spread import scaled

MINIMUM_WINDOW = 3


def log_returns(prices: ArrayLike) -> FloatArray:
    """``log(p[t] / p[t-1])``, one value for each price.

    Returns:
        As long as the input, so that returns stay beside their bars: the first value is NaN, as is each return
        that touches a NaN.

    Raises:
        NotFinite: when a price is not above zero.
        AnalyticsError: when the input is not one-dimensional.
    """
    series = as_series("prices", prices)
    result = np.full(series.size, np.nan)
    if series.size > 1:
        logarithms("prices", series)  # checks only: the ratio is more precise than a difference of logarithms
        with np.errstate(invalid="ignore", over="ignore"):
            result[1:] = np.log1p((series[1:] - series[:-1]) / series[:-1])
    return result


def rolling_correlation(a: ArrayLike, b: ArrayLike, window: int) -> FloatArray:
    """Pearson's correlation over the last ``window`` values of both series, the current one included.

    Correlate returns, not prices: two unrelated random walks easily show a correlation of levels near one
    (:func:`return_correlation` and :func:`level_correlation` say which is which).
    Every value is a function of its own window alone (see :func:`pipeline.analytics.kernels.windows.window_moments`).

    Args:
        a: one value for each bar.
        b: one value for each bar.
        window: bars in a window, at least 3.

    Returns:
        One value in [-1, 1] for each bar: NaN until the first full window, NaN while the window contains a NaN
        or an infinity, NaN when either series is constant in the window.

    Raises:
        TooShort: when the window is shorter than 3 bars. Series shorter than the window give all NaN.
        AnalyticsError: when the series differ in length.
    """
    require_window(window, MINIMUM_WINDOW)
    first, second = as_series("a", a), as_series("b", b)
    same_length(first, second, ("a", "b"))
    from pipeline.analytics.kernels.windows import window_moments  # noqa: PLC0415 - numba

    _, _, saa, sbb, sab = window_moments(np.vstack((first, second)), window)
    with np.errstate(invalid="ignore", over="ignore"):
        norm = np.sqrt(saa) * np.sqrt(sbb)
        norm[norm == 0.0] = np.nan
        correlation: FloatArray = np.clip(sab / norm, -1.0, 1.0)
    return correlation


def return_correlation(y: ArrayLike, x: ArrayLike, window: int) -> FloatArray:
    """:func:`rolling_correlation` of one-bar log returns: do the legs move together from bar to bar?

    Args:
        y: prices of one leg.
        x: prices of the other, at the same bars.
        window: returns in a window, at least 3: the first value is at bar ``window``.

    Raises:
        TooShort: when the window is shorter than 3 bars.
        NotFinite: when a price is not above zero.
        AnalyticsError: when the legs differ in length.
    """
    return rolling_correlation(log_returns(y), log_returns(x), window)


def level_correlation(y: ArrayLike, x: ArrayLike, window: int, *, scale: str = "price") -> FloatArray:
    """:func:`rolling_correlation` of prices or of their logarithms: are the legs high and low at the same time?

    Descriptive only. Levels that wander are correlated by chance: of two unrelated random walks half of all windows show
    more than 0.4 in size (Granger and Newbold, "Spurious regressions in econometrics", Journal of Econometrics 2, 1974;
    Yule, JRSS 89, 1926). Whether levels stay together is asked by :func:`pipeline.analytics.engle_granger`.

    Args:
        y: prices of one leg.
        x: prices of the other, at the same bars.
        window: bars in a window, at least 3.
        scale: ``price`` or ``log``.

    Raises:
        TooShort: when the window is shorter than 3 bars.
        NotFinite: when a price is not above zero on the log scale.
        AnalyticsError: when the legs differ in length.
        UsageError: when the scale is unknown.
    """
    return rolling_correlation(scaled("y", y, scale), scaled("x", x, scale), window)
