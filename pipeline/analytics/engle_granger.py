"""The Engle-Granger test of cointegration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.adf import check_options, longest_lag, regress
from pipeline.analytics.arrays import FloatArray, finite_legs
from pipeline.analytics.mackinnon import TRENDS, CriticalValues, critical_values, p_value
from pipeline.errors import Collinear, Constant

COLLINEAR_R_SQUARED = 1.0 - 100.0 * float(np.sqrt(np.finfo(np.float64).eps))
"""R^2 of the first step from which the legs count as one series twice: 1 - 1.5e-6, as in statsmodels."""

_NOTHING_LEFT = 1e-24  # share of a leg's variation below which it is rounding


@dataclass(frozen=True, slots=True)
class EngleGranger:
    """Outcome of a test of the null hypothesis that the legs are *not* cointegrated.

    Attributes:
        null: the null hypothesis.
        statistic: t-statistic of the residual's level; the more negative, the stronger the case for cointegration.
        p_value: MacKinnon's with N = 2: it allows for beta having been estimated on the same data.
        critical_values: for two series; None for ``trend="n"``, for which none were published.
        beta: hedge ratio of the first step.
        alpha: its constant; 0 for ``trend="n"``. Time runs 1 .. n where there is a trend.
        used_lag: lagged differences in the second step.
        nobs: observations in it.
        trend: deterministic terms of the first step.
    """

    null: ClassVar[str] = "the legs are not cointegrated: no spread of them reverts"

    statistic: float
    p_value: float
    critical_values: CriticalValues | None
    beta: float
    alpha: float
    used_lag: int
    nobs: int
    trend: str


def engle_granger(y: ArrayLike, x: ArrayLike, *, trend: str = "c", maxlag: int | None = None, autolag: str | None = "aic") -> EngleGranger:
    """Test whether ``y - beta x`` reverts, with beta estimated here.

    Step one: least squares of y on x and the deterministic terms. Step two: the Dickey-Fuller regression of its
    residual without terms. p and critical values are MacKinnon's for two series. Equal to statsmodels' ``coint``,
    lag included. The order of the legs matters: choose the direction beforehand; the smaller p of both directions
    is not a p-value (it rejects 7.7 % at a nominal 5 %); :func:`pipeline.analytics.engle_granger_both` makes it one.

    Args:
        y: dependent leg, finite.
        x: hedge at the same bars, finite.
        trend: terms of step one: ``n``, ``c``, ``ct`` or ``ctt``.
        maxlag: as in :func:`pipeline.analytics.adf`.
        autolag: as in :func:`pipeline.analytics.adf`.

    Raises:
        TooShort: with fewer than 25 bars, or too few for ``maxlag``.
        NotFinite: on NaN or infinity.
        Constant: when a leg does not vary (apart from the trend).
        Collinear: when the legs are the same series but for scale (R^2 above 1 - 1.5e-6): the residual is rounding.
        AnalyticsError: when the legs differ in length.
        UsageError: when an option is unknown.

    Source: Engle and Granger, Econometrica 55 (1987); tables in :mod:`pipeline.analytics.mackinnon`.
    """
    check_options(trend, autolag)
    ys, xs = finite_legs(y, x, 3)
    lags = longest_lag(ys.size, "n", maxlag)
    beta, residual = first_step(ys, xs, trend)
    statistic, used_lag = regress(residual, "n", lags, autolag)
    return EngleGranger(
        statistic=statistic,
        p_value=p_value(statistic, trend, 2),
        critical_values=critical_values(trend, 2, ys.size - 1),
        beta=beta,
        alpha=constant_of(ys - beta * xs, trend),
        used_lag=used_lag,
        nobs=ys.size - 1 - used_lag,
        trend=trend,
    )


def first_step(y: FloatArray, x: FloatArray, trend: str) -> tuple[float, FloatArray]:
    """``(beta, residual)`` of the regression of y on x and the deterministic terms; checked legs.

    Raises:
        Constant: when x is nothing but its deterministic terms.
        Collinear: when the residual is rounding.
    """
    basis = terms_basis(y.size, trend)
    dy, dx = without_terms(y, basis), without_terms(x, basis)
    if not float(dx @ dx) > _NOTHING_LEFT * float(np.sum((x - x.mean()) ** 2)):
        msg = f"x is nothing but its deterministic terms (trend={trend!r}); expected variation around them; use fewer terms"
        raise Constant(msg)
    beta = float(dx @ dy) / float(dx @ dx)
    residual = dy - beta * dx
    total = y - y.mean() if trend != "n" else y
    if 1.0 - float(residual @ residual) / float(total @ total) >= COLLINEAR_R_SQUARED:
        msg = "the legs are collinear: one is a linear function of the other, so there is no spread to test; choose another pair"
        raise Collinear(msg)
    return beta, residual


@lru_cache(maxsize=16)
def terms_basis(n: int, trend: str) -> FloatArray:
    """Orthonormal columns that span the deterministic terms: shape ``(n, 0 to 3)``, read-only."""
    powers = np.vander(np.linspace(-1.0, 1.0, n), 3, increasing=True)[:, : TRENDS.index(trend)]
    basis = np.ascontiguousarray(np.linalg.qr(powers)[0])
    basis.setflags(write=False)
    return basis


def without_terms(series: FloatArray, basis: FloatArray) -> FloatArray:
    """The part of a series that is orthogonal to the deterministic terms; twice, so that the level leaves no rounding."""
    for _ in range(2):
        series = series - basis @ (basis.T @ series)
    return series


def constant_of(series: FloatArray, trend: str) -> float:
    """Constant of the regression of a series on the terms, with time 1 .. n as statsmodels has it."""
    terms = TRENDS.index(trend)
    if terms == 0:
        return 0.0
    if terms == 1:
        return float(series.mean())
    time = np.arange(1, series.size + 1) / series.size  # scaled: the constant is the value at time 0 either way
    return float(np.linalg.lstsq(np.vander(time, terms, increasing=True), series, rcond=None)[0][0])
