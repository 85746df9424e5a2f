"""What every statistic asks of its input: one dimension, float64, finite, long enough, not constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import AnalyticsError, Constant, NotFinite, TooShort

LARGEST, SMALLEST = 1e150, 1e-140
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def as_series(name: str, values: ArrayLike) -> FloatArray:
    """Return ``values`` as a contiguous one-dimensional float64 array; NaN is allowed.

    Raises:
        AnalyticsError: when there is not exactly one dimension.
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if np.ndim(values) != 1:
        msg = f"{name} has {np.ndim(values)} dimensions; expected one; pass one value for each bar"
        raise AnalyticsError(msg)
    return series


def require_length(name: str, n: int, minimum: int) -> None:
    """Check that ``n`` observations are enough.

    Raises:
        TooShort: when ``n < minimum``.
    """
    if n < minimum:
        msg = f"{name} has {n} observations; at least {minimum} are needed; use a longer window or wait for more bars"
        raise TooShort(msg)


def require_finite(name: str, series: FloatArray) -> None:
    """Check that no value is NaN, infinite, or so large (1e150) that its square is.

    Raises:
        NotFinite: with the count of such values and the position of the first.
    """
    bad = np.flatnonzero(~(np.abs(series) < LARGEST))
    if bad.size:
        what = f"{bad.size} values that are NaN, infinite or beyond {LARGEST:g}, the first at position {bad[0]}"
        msg = f"{name} has {what}; drop or fill those bars"
        raise NotFinite(msg)


def require_varying(name: str, series: FloatArray) -> None:
    """Check that the values are not all equal, nor so near each other (1e-140) that squares of their differences vanish.

    Raises:
        Constant: when they are.
    """
    if not series.max() - series.min() > SMALLEST:
        msg = f"{name} is constant ({series[0]:g} throughout); the statistic needs variation; use a longer window"
        raise Constant(msg)


def finite_series(name: str, values: ArrayLike, minimum: int = 1, *, varying: bool = True) -> FloatArray:
    """Return ``values`` as a series of at least ``minimum`` finite values, not all equal unless ``varying`` is off.

    Raises:
        AnalyticsError, TooShort, NotFinite, Constant: as the checks above.
    """
    series = as_series(name, values)
    require_length(name, series.size, minimum)
    require_finite(name, series)
    if varying:
        require_varying(name, series)
    return series


def same_length(y: FloatArray, x: FloatArray, names: tuple[str, str] = ("y", "x")) -> None:
    """Check that two series have the same number of observations.

    Raises:
        AnalyticsError: when they do not.
    """
    if y.size != x.size:
        msg = f"{names[0]} has {y.size} observations and {names[1]} has {x.size}; expected the same number; align the legs first"
        raise AnalyticsError(msg)


def finite_legs(y: ArrayLike, x: ArrayLike, minimum: int = 2, *, varying: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return both legs as finite series of one length, each of at least ``minimum`` values.

    Raises:
        AnalyticsError, TooShort, NotFinite, Constant: as the checks above.
    """
    ys, xs = as_series("y", y), as_series("x", x)
    same_length(ys, xs)
    return finite_series("y", ys, minimum, varying=varying), finite_series("x", xs, minimum, varying=varying)


def require_window(window: int, minimum: int) -> None:
    """Check the length of a rolling window.

    Raises:
        TooShort: when ``window < minimum``.
    """
    if window < minimum:
        msg = f"window of {window} bars is too short; at least {minimum} are needed; choose a longer window"
        raise TooShort(msg)


def logarithms(name: str, prices: FloatArray) -> FloatArray:
    """Natural logarithms of prices; NaN stays NaN.

    Raises:
        NotFinite: when a price is zero or negative, so that its logarithm is not finite.
    """
    refused = np.flatnonzero(prices <= 0)
    if refused.size:
        position = int(refused[0])
        msg = f"{name} is {prices[position]:g} at position {position}; a log scale needs prices above zero; use scale='price'"
        raise NotFinite(msg)
    return np.log(prices)
