"""One pair, one window: the hedge ratio and everything that says whether to trust it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.adf import adf
from pipeline.analytics.arrays import finite_legs
from pipeline.analytics.engle_granger import engle_granger
from pipeline.analytics.half_life import half_life
from pipeline.analytics.hedge import MINIMUM, hedge_ratio
from pipeline.analytics.hurst import hurst
from pipeline.analytics.spread import scaled
from pipeline.analytics.verdict import Verdict, verdict
from pipeline.errors import AnalyticsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairFit:
    """A model of one pair, fitted on one window. A statistic that is not defined is None and named in ``notes``.

    Attributes:
        method: how beta was estimated.
        scale: ``price`` or ``log``; beta, alpha and the spread are on this scale.
        n: bars in the window.
        beta: hedge ratio.
        alpha: intercept, which the spread does not take off.
        beta_se: standard error of beta, as in :class:`pipeline.analytics.HedgeRatio`; None where the method has none.
        alpha_se: standard error of alpha, likewise.
        r_squared: of the fitted line.
        adf_stat: Dickey-Fuller statistic of the spread, constant included, lag by AIC.
        adf_p: its plain p-value: too small, because beta was estimated on the same bars.
        adf_lag: lags it used.
        eg_stat: Engle-Granger statistic of the legs (its own least-squares beta, whatever the method).
        eg_p: its p-value, which allows for the estimated beta: the one to judge by.
        eg_lag: lags it used.
        half_life: of the spread, in bars.
        hurst: exponent of the spread.
        spread_mean: mean of ``y - beta x`` over the window.
        spread_sd: its standard deviation, ddof = 1.
        spread_min: its least value.
        spread_max: its greatest value.
        verdict: what the tests say at the chosen significance, in words.
        notes: one line for each undefined statistic: its name and the reason.
    """

    method: str
    scale: str
    n: int
    beta: float
    alpha: float
    beta_se: float | None
    alpha_se: float | None
    r_squared: float
    adf_stat: float | None
    adf_p: float | None
    adf_lag: int | None
    eg_stat: float | None
    eg_p: float | None
    eg_lag: int | None
    half_life: float | None
    hurst: float | None
    spread_mean: float
    spread_sd: float
    spread_min: float
    spread_max: float
    verdict: Verdict
    notes: tuple[str, ...]


def fit_model(y: ArrayLike, x: ArrayLike, *, method: str = "ols", scale: str = "price", significance: float = 0.05) -> PairFit:
    """Fit the hedge ratio of ``y/x`` and test its spread.

    Args:
        y: closes of the dependent leg, aligned with x.
        x: closes of the hedge.
        method: one of :func:`pipeline.analytics.hedge_methods`.
        scale: ``price`` or ``log``.
        significance: level of the verdict.

    Returns:
        The fit. Tests that are not defined for these data (too short, collinear, ...) are None with a note.

    Raises:
        TooShort: with fewer than 3 bars.
        NotFinite: on NaN, infinity, or a price not above zero on the log scale.
        Constant: when a leg does not vary.
        AnalyticsError: when the legs differ in length, or the method has no answer.
        UsageError: when method or scale is unknown.
    """
    ys, xs = finite_legs(scaled("y", y, scale), scaled("x", x, scale), MINIMUM)
    hedge = hedge_ratio(ys, xs, method=method)
    values = ys - hedge.beta * xs
    notes: list[str] = []
    unit_root = or_note("ADF", notes, lambda: adf(values))
    cointegration = or_note("Engle-Granger", notes, lambda: engle_granger(ys, xs))
    reversion = or_note("half-life", notes, lambda: half_life(values))
    if reversion is None and not any(note.startswith("half-life") for note in notes):
        notes.append("half-life: none, because the spread does not revert (phi is not between 0 and 1)")
    exponent = or_note("Hurst", notes, lambda: hurst(values))
    eg_p = cointegration.p_value if cointegration else None
    adf_p = unit_root.p_value if unit_root else None
    return PairFit(
        method=hedge.method,
        scale=str(scale),
        n=hedge.n,
        beta=hedge.beta,
        alpha=hedge.alpha,
        beta_se=hedge.beta_se if math.isfinite(hedge.beta_se) else None,
        alpha_se=hedge.alpha_se if math.isfinite(hedge.alpha_se) else None,
        r_squared=hedge.r_squared,
        adf_stat=unit_root.statistic if unit_root else None,
        adf_p=adf_p,
        adf_lag=unit_root.used_lag if unit_root else None,
        eg_stat=cointegration.statistic if cointegration else None,
        eg_p=eg_p,
        eg_lag=cointegration.used_lag if cointegration else None,
        half_life=reversion.bars if reversion else None,
        hurst=exponent.exponent if exponent else None,
        spread_mean=float(values.mean()),
        spread_sd=float(np.std(values, ddof=1)),
        spread_min=float(values.min()),
        spread_max=float(values.max()),
        verdict=verdict(eg_p, adf_p, significance),
        notes=tuple(notes),
    )


def or_note(name: str, notes: list[str], compute: Callable[[], T]) -> T | None:
    """The statistic, or None with a note that says why it is not defined."""
    try:
        return compute()
    except AnalyticsError as error:
        notes.append(f"{name}: {error}")
        return None
