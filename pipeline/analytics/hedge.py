"""Hedge ratios: how many x to hold against one y."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_legs, require_window
from pipeline.analytics.huber import fit_huber
from pipeline.analytics.ols import fit_ols, fit_tls, tls_slope
from pipeline.analytics.theil_sen import fit_theil_sen
from pipeline.errors import AnalyticsError, UsageError

MINIMUM = 3
ENTRY_POINTS = "spreadwatch.hedge_methods"


class HedgeMethod(Protocol):
    """``(y, x, intercept=...) -> (beta, alpha)`` on finite, varying float64 arrays of one length."""

    def __call__(self, y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
        """Fit the line; alpha is 0 without intercept."""
        ...


_METHODS: dict[str, HedgeMethod] = {"ols": fit_ols, "huber": fit_huber, "theil_sen": fit_theil_sen, "tls": fit_tls}


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
    """

    beta: float
    alpha: float
    r_squared: float
    method: str
    n: int


@dataclass(frozen=True, slots=True)
class RollingHedge:
    """Hedge ratio over the window that ends at each bar, that bar included; NaN where it is not defined."""

    beta: FloatArray
    alpha: FloatArray
    r_squared: FloatArray


def register_hedge_method(name: str, fit: HedgeMethod) -> None:
    """Add a method under ``name``; every function that takes ``method=`` then knows it.

    A package can do the same without being imported first, by an entry point in the group
    ``spreadwatch.hedge_methods`` whose value is the function.

    Raises:
        UsageError: when the name is taken by another function.
    """
    if _METHODS.get(name, fit) is not fit:
        msg = f"hedge method {name!r} exists already; expected a new name; choose another"
        raise UsageError(msg)
    _METHODS[name] = fit


def hedge_methods() -> tuple[str, ...]:
    """Names of all methods, registered ones and those of installed packages included, sorted."""
    return tuple(sorted(_METHODS.keys() | _installed().keys()))


def hedge_ratio(y: ArrayLike, x: ArrayLike, *, method: str = "ols", intercept: bool = True) -> HedgeRatio:
    """Fit ``y = alpha + beta * x``.

    Methods: ``ols`` least squares; ``huber`` robust with estimated scale; ``theil_sen`` exact median of slopes;
    ``tls`` total least squares, symmetric in the legs. All are unharmed by high price levels.

    Args:
        y: dependent leg, finite.
        x: hedge, at the same bars, finite.
        method: one of :func:`hedge_methods`.
        intercept: whether alpha is fitted.

    Raises:
        TooShort: with fewer than 3 bars.
        NotFinite: on NaN or infinity.
        Constant: when a leg does not vary.
        AnalyticsError: when the legs differ in length, or the method has no answer.
        UsageError: when the method is unknown.
    """
    fit = _method(method)
    ys, xs = finite_legs(y, x, MINIMUM)
    beta, alpha = fit(ys, xs, intercept=intercept)
    if not (np.isfinite(beta) and np.isfinite(alpha)):
        msg = f"{method} gave beta {beta:g} and alpha {alpha:g} on {ys.size} bars; expected finite numbers; check the scale of the legs"
        raise AnalyticsError(msg)
    dy = ys - ys.mean() if intercept else ys
    residuals = ys - alpha - beta * xs
    return HedgeRatio(beta, alpha, 1.0 - float(residuals @ residuals) / float(dy @ dy), str(method), ys.size)


def rolling_hedge_ratio(y: ArrayLike, x: ArrayLike, window: int, *, method: str = "ols", intercept: bool = True) -> RollingHedge:
    """Hedge ratio over every window of the last ``window`` bars, the current bar included.

    To trade on a rolling beta use the one of the bar before. The spread under a rolling beta is not the residual
    of one regression: a unit-root test of it rejects 90 % of unrelated walks at a nominal 5 %; do not run one.

    ``ols`` and ``tls`` cost the same whatever the window; other methods fit each window anew.

    Returns:
        Arrays as long as the legs: NaN until the first full window, and where a leg is constant in its window or
        the method has no answer. A bar that is NaN makes the windows that hold it NaN.

    Raises:
        TooShort: when the window is shorter than 3 bars. Legs shorter than the window give all NaN.
        AnalyticsError: when the legs differ in length.
        NotFinite: on NaN or infinity.
        UsageError: when the method is unknown.
    """
    _method(method)  # known, or an error before any work
    require_window(window, MINIMUM)
    ys, xs = finite_legs(y, x, 0, varying=False) if np.size(y) else (np.empty(0), np.empty(0))
    if method in {"ols", "tls"} and ys.size >= window:
        return _from_sums(ys, xs, window, str(method), intercept=intercept)
    beta, alpha, r_squared = (np.full(ys.size, np.nan) for _ in range(3))
    for stop in range(window, ys.size + 1):
        part = slice(stop - window, stop)
        try:
            fitted = hedge_ratio(ys[part], xs[part], method=method, intercept=intercept)
        except AnalyticsError:  # undefined in this window: NaN, as documented
            continue
        beta[stop - 1], alpha[stop - 1], r_squared[stop - 1] = fitted.beta, fitted.alpha, fitted.r_squared
    return RollingHedge(beta, alpha, r_squared)


def _from_sums(y: FloatArray, x: FloatArray, window: int, method: str, *, intercept: bool) -> RollingHedge:
    from pipeline.analytics.kernels.moments import rolling_sums  # noqa: PLC0415 - numba

    x_mean, y_mean, sxx, syy, sxy = rolling_sums(y, x, window).T
    constant = (sxx == 0) | (syy == 0)
    if not intercept:  # sums about zero
        sxx, syy, sxy = sxx + window * x_mean**2, syy + window * y_mean**2, sxy + window * x_mean * y_mean
    with np.errstate(invalid="ignore", divide="ignore"):
        if method == "ols":
            beta = sxy / sxx
            lost = syy - sxy * beta
        else:
            beta = np.array([tls_slope(*sums) for sums in zip(sxx, syy, sxy, strict=True)])
            lost = syy - 2 * beta * sxy + beta * beta * sxx
        undefined = ~np.isfinite(beta) | constant
        r_squared = 1.0 - lost / syy
    beta[undefined] = np.nan
    r_squared[undefined] = np.nan
    alpha = y_mean - beta * x_mean if intercept else np.where(undefined, np.nan, 0.0)
    return RollingHedge(beta, alpha, r_squared)


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
