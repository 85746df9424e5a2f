"""How well a hedge ratio is known: standard errors and 95 % intervals, by the theory of each method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.theil_sen import slope_interval

CONFIDENCE = 0.95
_HUBER = 1.35  # where Huber's loss turns linear, as in pipeline.analytics.huber
_ROUNDING = 1e-13  # a scale below this share of y's spread is rounding: half of the points lie on the line


@dataclass(frozen=True, slots=True)
class LineErrors:
    """Uncertainty of a fitted line. NaN where the method has no theory for it, or where it is not defined.

    Attributes:
        beta_se: standard error of beta.
        alpha_se: standard error of alpha; NaN without intercept.
        beta_low: lower end of the 95 % interval of beta.
        beta_high: its upper end.
    """

    beta_se: float = math.nan
    alpha_se: float = math.nan
    beta_low: float = math.nan
    beta_high: float = math.nan


UNKNOWN = LineErrors()


class ErrorsOf(Protocol):
    """``(y, x, beta, alpha, intercept=...) -> LineErrors`` of a line that was fitted to finite, varying arrays."""

    def __call__(self, y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> LineErrors:
        """Judge the line."""
        ...


def ols_errors(y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> LineErrors:
    """Classical errors of least squares: ``s^2 (X'X)^-1`` with ``s^2 = RSS / (n - k)``, interval by Student's t.

    They hold for independent residuals of one variance. A spread that reverts slowly is not that: the errors
    are then too small, the more so the longer its half-life.
    Source: any textbook, for instance Greene, "Econometric Analysis", chapter 4. Equal to statsmodels' ``OLS.bse``.
    """
    residuals = _residuals(y, x, beta, alpha, intercept=intercept)
    free = y.size - 1 - intercept
    unit = _inverse(x, intercept=intercept)
    return _symmetric(beta, unit * (float(residuals @ residuals) / free), student(free), intercept=intercept)


def huber_errors(y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> LineErrors:
    """Asymptotic errors of Huber's estimator with its finite-sample factor, interval by Student's t.

    ``K^2 [sum psi^2 / (n - k)] / [mean psi']^2 (X'X)^-1``, ``K = 1 + (k / n) var psi' / (mean psi')^2``, at the scale
    that minimises the loss for this line. NaN where that scale is zero: half of the points lie on the line.
    Source: Huber, "Robust Statistics" (1981), equation 7.6.5. Equal to statsmodels' ``RLM``, covariance H1, at this line.
    """
    residuals = _residuals(y, x, beta, alpha, intercept=intercept)
    sigma = huber_scale(residuals)
    if not sigma > _ROUNDING * float(np.std(y) if intercept else np.sqrt(np.mean(y * y))):
        return UNKNOWN
    n, k = y.size, 1 + intercept
    inside = np.abs(residuals) <= _HUBER * sigma
    share = float(inside.mean())
    factor = 1.0 + k / n * share * (1.0 - share) / share**2
    clipped = np.clip(residuals, -_HUBER * sigma, _HUBER * sigma)
    variance = factor**2 * float(clipped @ clipped) / (n - k) / share**2
    return _symmetric(beta, _inverse(x, intercept=intercept) * variance, student(n - k), intercept=intercept)


def huber_scale(residuals: FloatArray) -> float:
    """The scale at which ``sum min(r^2 / sigma^2, 1.35^2) = n``: where the loss of :mod:`pipeline.analytics.huber` is least.

    0 where there is none: 45 % of the residuals, or more, are zero.
    """
    size = np.sort(np.abs(residuals))
    n = size.size
    inliers = np.arange(1, n + 1)
    room = n - (n - inliers) * _HUBER**2
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.sqrt(np.where(room > 0, np.cumsum(size**2) / room, np.nan))
    beyond = np.append(size[1:], np.inf)
    found = np.flatnonzero((size <= _HUBER * sigma) & (_HUBER * sigma <= beyond))
    return float(sigma[found[0]]) if found.size else 0.0


def tls_errors(y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> LineErrors:
    """Errors of total least squares by the jackknife: every bar is left out once. Interval by Student's t, n - 2.

    NaN where leaving one bar out makes the line vertical. Computed in the coordinates along and across the line,
    so that legs that hardly differ cost no precision.
    Source: Linnet, "Evaluation of regression procedures for methods comparison studies", Clinical Chemistry 39 (1993).
    """
    del alpha
    n = y.size
    x_mean = float(x.mean()) if intercept else 0.0
    dx, dy = x - x_mean, y - (float(y.mean()) if intercept else 0.0)
    length = math.hypot(1.0, beta)
    along, across = (dx + beta * dy) / length, (dy - beta * dx) / length
    weight = n / (n - 1) if intercept else 1.0
    moments = [_without_each(a, b, weight) for a, b in ((along, along), (across, across), (along, across))]
    half = 0.5 * (moments[1] - moments[0])
    root = np.hypot(half, moments[2])
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.where(half > 0, (half + root) / moments[2], moments[2] / (root - half))
        moved = turn * length**2 / (1.0 - beta * turn)  # beta without the bar, minus beta
    if not np.isfinite(moved).all():
        return UNKNOWN
    shifts = [moved]
    if intercept:
        shifts.append((beta * dx - dy) / (n - 1) - moved * (x_mean - dx / (n - 1)))
    variances = np.array([(n - 1) / n * np.sum((shift - shift.mean()) ** 2) for shift in shifts])
    return _symmetric(beta, variances, student(n - 2), intercept=intercept)


def theil_sen_errors(y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> LineErrors:
    """Sen's distribution-free interval of the slope, as scipy's ``theilslopes`` has it; there is no standard error.

    All NaN without intercept, where beta is a median of ratios.
    Source: Sen, JASA 63 (1968), equation 2.6.
    """
    del beta, alpha
    return LineErrors(math.nan, math.nan, *slope_interval(y, x)) if intercept else UNKNOWN


def _residuals(y: FloatArray, x: FloatArray, beta: float, alpha: float, *, intercept: bool) -> FloatArray:
    if not intercept:
        return y - beta * x
    x_mean, y_mean = float(x.mean()), float(y.mean())
    return (y - y_mean) - beta * (x - x_mean) - (alpha - (y_mean - beta * x_mean))


def _inverse(x: FloatArray, *, intercept: bool) -> FloatArray:
    """Diagonal of ``(X'X)^-1``: of beta and, with intercept, of alpha."""
    if not intercept:
        return np.array([1.0 / float(x @ x)])
    x_mean = float(x.mean())
    dx = x - x_mean
    sxx = float(dx @ dx)
    return np.array([1.0 / sxx, 1.0 / x.size + x_mean**2 / sxx])


def _symmetric(beta: float, variances: FloatArray, quantile: float, *, intercept: bool) -> LineErrors:
    beta_se = math.sqrt(variances[0])
    alpha_se = math.sqrt(variances[1]) if intercept else math.nan
    return LineErrors(beta_se, alpha_se, beta - quantile * beta_se, beta + quantile * beta_se)


def student(free: int) -> float:
    """97.5 % point of Student's t with ``free`` degrees of freedom."""
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

    return float(stdtrit(free, 0.5 + CONFIDENCE / 2))


def _without_each(a: FloatArray, b: FloatArray, weight: float) -> FloatArray:
    """Sum of products without each bar in turn; a bar that holds nearly all of the sum is left out by summing the others."""
    products = a * b
    left = float(products.sum()) - weight * products
    sizes = float(np.abs(products).sum())
    for i in np.flatnonzero(weight * np.abs(products) > 0.9 * sizes):
        first, second = np.delete(a, i), np.delete(b, i)
        if weight > 1.0:
            first, second = first - first.mean(), second - second.mean()
        left[i] = first @ second
    return left
