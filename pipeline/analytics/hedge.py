"""Hedge ratios: how many x to hold against one y."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import (
    BoolArray,
    FloatArray,
    as_series,
    finite_legs,
    finite_series,
    require_varying,
    require_window,
    same_length,
)
from pipeline.analytics.huber import fit_huber
from pipeline.analytics.line_errors import UNKNOWN, ErrorsOf, huber_errors, ols_errors, theil_sen_errors, tls_errors
from pipeline.analytics.min_half_life import fit_min_half_life
from pipeline.analytics.ols import fit_ols, fit_tls
from pipeline.analytics.theil_sen import fit_theil_sen
from pipeline.errors import AnalyticsError, UsageError

MINIMUM = 3
ENTRY_POINTS = "spreadwatch.hedge_methods"


class HedgeMethod(Protocol):
    """``(y, x, intercept=...) -> (beta, alpha)`` on finite, varying float64 arrays of one length."""

    def __call__(self, y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
        """Fit the line; alpha is 0 without intercept."""
        ...


_METHODS: dict[str, HedgeMethod] = {
    "ols": fit_ols,
    "huber": fit_huber,
    "theil_sen": fit_theil_sen,
    "tls": fit_tls,
    "min_half_life": fit_min_half_life,
}
_ERRORS: dict[str, ErrorsOf] = {"ols": ols_errors, "huber": huber_errors, "theil_sen": theil_sen_errors, "tls": tls_errors}


@dataclass(frozen=True, slots=True)
class HedgeRatio:
    """A fitted line ``y = alpha + beta * x``.

    Attributes:
        beta: units of x against one unit of y.
        alpha: intercept, 0 when fitted without.
        r_squared: ``1 - SS_residual / SS_total`` of vertical residuals, about the mean of y (about zero without
            intercept). For methods other than OLS it can be below what OLS reaches, even negative.
        method: name of the method.
        n: observations used.
        beta_se: standard error of beta: classical for ``ols``, asymptotic for ``huber``, by the jackknife for ``tls``
            (:mod:`pipeline.analytics.line_errors`). All assume independent residuals: for a spread that reverts slowly
            they are too small. NaN for ``theil_sen``, which has an interval instead, for ``min_half_life``, for whose
            estimate there is no theory, and for registered methods that bring none.
        alpha_se: standard error of alpha, under the same conditions; NaN without intercept, when there is none.
        beta_low: lower end of the 95 % confidence interval of beta; of ``theil_sen``, Sen's distribution-free one.
        beta_high: its upper end.
    """

    beta: float
    alpha: float
    r_squared: float
    method: str
    n: int
    beta_se: float = math.nan
    alpha_se: float = math.nan
    beta_low: float = math.nan
    beta_high: float = math.nan


@dataclass(frozen=True, slots=True)
class RollingHedge:
    """Hedge ratio over the window that ends at each bar, that bar included; NaN where it is not defined.

    ``beta_se`` and ``alpha_se``, as in :class:`HedgeRatio`, are None unless they were asked for.
    """

    beta: FloatArray
    alpha: FloatArray
    r_squared: FloatArray
    beta_se: FloatArray | None = None
    alpha_se: FloatArray | None = None


def register_hedge_method(name: str, fit: HedgeMethod, errors: ErrorsOf | None = None) -> None:
    """Add a method under ``name``; every function that takes ``method=`` then knows it.

    ``errors`` gives the standard errors of its lines; without it they are NaN.

    A package can do the same without being imported first, by an entry point in the group
    ``spreadwatch.hedge_methods`` whose value is the function.

    Raises:
        UsageError: when the name is taken by another function.
    """
    if _METHODS.get(name, fit) is not fit:
        msg = f"hedge method {name!r} exists already; expected a new name; choose another"
        raise UsageError(msg)
    _METHODS[name] = fit
    if errors is not None:
        _ERRORS[name] = errors


def hedge_methods() -> tuple[str, ...]:
    """Names of all methods, registered ones and those of installed packages included, sorted."""
    return tuple(sorted(_METHODS.keys() | _installed().keys()))


def hedge_ratio(y: ArrayLike, x: ArrayLike, *, method: str = "ols", intercept: bool = True, errors: bool = True) -> HedgeRatio:
    """Fit ``y = alpha + beta * x``.

    Methods: ``ols`` least squares; ``huber`` robust with estimated scale; ``theil_sen`` exact median of slopes;
    ``tls`` total least squares, symmetric in the legs; ``min_half_life`` the spread that reverts fastest. All are unharmed
    by high price levels. Pass logarithms of prices for a notional ratio (:func:`pipeline.analytics.fit_model` does by
    ``scale="log"``). A ratio that drifts is :func:`pipeline.analytics.kalman_hedge_ratio`'s.

    Args:
        y: dependent leg, finite.
        x: hedge, at the same bars, finite.
        method: one of :func:`hedge_methods`.
        intercept: whether alpha is fitted.
        errors: whether standard errors and interval come too; they cost as much again for some methods, and are NaN without.

    Raises:
        TooShort: with fewer than 3 bars.
        NotFinite: on NaN or infinity.
        Constant: when a leg does not vary.
        AnalyticsError: when the legs differ in length, or the method has no answer.
        UsageError: when the method is unknown.
    """
    _method(method)  # known, or an error before any work
    ys, xs = finite_legs(y, x, MINIMUM)
    return _fitted(ys, xs, method, intercept=intercept, errors=errors)


def _fitted(ys: FloatArray, xs: FloatArray, method: str, *, intercept: bool, errors: bool) -> HedgeRatio:
    beta, alpha = _method(method)(ys, xs, intercept=intercept)
    if not (np.isfinite(beta) and np.isfinite(alpha)):
        msg = f"{method} gave beta {beta:g} and alpha {alpha:g} on {ys.size} bars; expected finite numbers; check the scale of the legs"
        raise AnalyticsError(msg)
    dy = ys - ys.mean() if intercept else ys
    residuals = ys - alpha - beta * xs
    r_squared = 1.0 - float(residuals @ residuals) / float(dy @ dy)
    judge = _ERRORS.get(method) if errors else None
    known = judge(ys, xs, beta, alpha, intercept=intercept) if judge else UNKNOWN
    return HedgeRatio(beta, alpha, r_squared, str(method), ys.size, known.beta_se, known.alpha_se, known.beta_low, known.beta_high)


def rolling_hedge_ratio(
    y: ArrayLike,
    x: ArrayLike,
    window: int,
    *,
    method: str = "ols",
    intercept: bool = True,
    errors: bool = False,
) -> RollingHedge:
    """Hedge ratio over every window of the last ``window`` bars, the current bar included.

    To trade on a rolling beta use the one of the bar before. The spread under a rolling beta is not the residual
    of one regression: a unit-root test of it rejects 90 % of unrelated walks at a nominal 5 %; do not run one
    (:func:`pipeline.analytics.rolling_spread` gives it as a type that the tests refuse).

    ``ols`` and ``tls`` cost the same whatever the window; other methods, and ``tls`` with ``errors``, fit each window
    anew. With ``errors`` the standard errors of every window come too.

    Returns:
        Arrays as long as the legs: NaN until the first full window, and where a leg is constant in its window or
        the method has no answer. A bar that is NaN in a leg (missing, or masked for want of liquidity) makes the windows
        that hold it NaN and leaves no trace in the others.

    Raises:
        TooShort: when the window is shorter than 3 bars. Legs shorter than the window give all NaN.
        AnalyticsError: when the legs differ in length.
        NotFinite: on infinity.
        UsageError: when the method is unknown.
    """
    _method(method)  # known, or an error before any work
    require_window(window, MINIMUM)
    ys, xs, holes = _bridged(y, x)
    beta, alpha, r_squared, beta_se, alpha_se = _rolled(ys, xs, window, method, intercept=intercept, errors=errors)
    if holes.any():
        held = np.cumsum(holes)
        held[window:] = held[window:] - held[:-window]
        for series in (beta, alpha, r_squared, beta_se, alpha_se):
            series[held > 0] = np.nan
    return RollingHedge(beta, alpha, r_squared, beta_se, alpha_se) if errors else RollingHedge(beta, alpha, r_squared)


def _bridged(y: ArrayLike, x: ArrayLike) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Both legs with a neighbour's value where one is NaN, and where that was. The windows that hold such a bar are not kept."""
    ys, xs = as_series("y", y), as_series("x", x)
    same_length(ys, xs)
    holes = np.isnan(ys) | np.isnan(xs)
    there = np.flatnonzero(~holes)
    if holes.any() and there.size:
        before = np.maximum(np.searchsorted(there, np.arange(ys.size), side="right") - 1, 0)
        ys, xs = ys[there[before]], xs[there[before]]
    elif holes.any():
        ys, xs = np.zeros(ys.size), np.zeros(ys.size)
    return finite_series("y", ys, 0, varying=False), finite_series("x", xs, 0, varying=False), holes


def _rolled(ys: FloatArray, xs: FloatArray, window: int, method: str, *, intercept: bool, errors: bool) -> FloatArray:
    """``(5, n)``: beta, alpha, R squared and both standard errors (NaN unless they are asked for)."""
    rolled = np.full((5, ys.size), np.nan)
    if ys.size < window:
        return rolled
    if method == "ols" or (method == "tls" and not errors):
        from pipeline.analytics.kernels.line_errors import rolling_ols_errors  # noqa: PLC0415 - numba
        from pipeline.analytics.kernels.moments import rolling_lines  # noqa: PLC0415 - numba

        rolled[:3] = rolling_lines(ys, xs, window, method == "tls", intercept)
        if errors:
            rolled[3:] = rolling_ols_errors(ys, xs, window, rolled[0], intercept)
        return rolled
    for stop in range(window, ys.size + 1):
        part = slice(stop - window, stop)
        try:
            require_varying("y", ys[part])
            require_varying("x", xs[part])
            fitted = _fitted(ys[part], xs[part], method, intercept=intercept, errors=errors)
        except AnalyticsError:  # undefined in this window: NaN, as documented
            continue
        rolled[:, stop - 1] = fitted.beta, fitted.alpha, fitted.r_squared, fitted.beta_se, fitted.alpha_se
    return rolled


def _method(name: str) -> HedgeMethod:
    known = _METHODS.get(name)
    if known is None:
        installed = _installed()
        if name not in installed:
            msg = f"hedge method {name!r} is not known; expected one of {', '.join(hedge_methods())}"
            raise UsageError(msg)
        known = _METHODS[name] = installed[name]()
    return known


def _installed() -> dict[str, Callable[[], HedgeMethod]]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - reads the disk, and seldom

    return {point.name: point.load for point in entry_points(group=ENTRY_POINTS)}
