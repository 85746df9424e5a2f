"""A pair over one stretch of bars under one model: what is drawn, listed and downloaded, all of it by `pipeline.analytics`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dashboards.order import KALMAN, Order
from dashboards.tables.beside import NOTHING_BESIDE, Beside
from dashboards.tables.legs import BAR_COLUMNS, Legs, cut
from pipeline.analytics import (
    Aligned,
    Distribution,
    Evidence,
    Liquidity,
    distribution,
    evidence,
    fit_kalman,
    fit_model,
    liquidity,
    log_returns,
    rolling_correlation,
    rolling_hedge_ratio,
    signal_series,
)
from pipeline.analytics.spread import scaled
from pipeline.errors import AnalyticsError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """The model of a study. None where a number is not defined.

    Attributes:
        method: how the hedge ratio was found; a key of ``dashboards.order.METHODS``.
        scale: ``price`` or ``log``.
        n: bars that it was fitted on.
        beta: hedge ratio; of one that drifts, the newest.
        alpha: intercept, likewise.
        beta_se: standard error of beta, or standard deviation of the newest predicted one.
        r_squared: of the line.
        half_life: of the spread, in bars.
        hurst: exponent of the spread.
        start: first bar that it was fitted on.
        end: last bar.
        notes: why something is missing.
        model_id: of a stored model.
        fitted_at: of a stored model.
    """

    method: str
    scale: str
    n: int
    beta: float
    alpha: float | None
    beta_se: float | None
    r_squared: float | None
    half_life: float | None
    hurst: float | None
    start: datetime
    end: datetime
    notes: tuple[str, ...] = ()
    model_id: str = ""
    fitted_at: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One value for each bar of the stretch; NaN where not defined.

    Attributes:
        beta: hedge ratio of the model at each bar: one number, or what the filter predicted.
        alpha: intercept, likewise.
        spread: ``y - beta x``; of a beta that drifts ``y - alpha - beta x``, the error of the prediction.
        zscore: rolling z-score of the spread; of a beta that drifts the error over its predicted standard deviation.
        correlation: of one-bar log returns.
        rolling_beta: least-squares (or, with ``tls``, total least-squares) beta of the last bars.
        rolling_r_squared: of the same line.
    """

    beta: FloatArray
    alpha: FloatArray
    spread: FloatArray
    zscore: FloatArray
    correlation: FloatArray
    rolling_beta: FloatArray
    rolling_r_squared: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """An answer: the legs, the model, its series, and everything that says whether to trust it.

    Attributes:
        order: what was asked for.
        legs: the bars.
        line: the model.
        series: what follows from it, bar by bar.
        evidence: the tests, over the bars that the model was fitted on.
        residuals: how the spread is spread out over the stretch; None with the reason in ``no_residuals``.
        no_residuals: why there is none.
        liquidity: of y and of x over the stretch; None where it is not defined.
        beside: what flows have found out about the pair.
        at: when it was made.
        took_s: how long that took.
    """

    order: Order
    legs: Legs
    line: Line
    series: Series
    evidence: Evidence
    residuals: Distribution | None
    no_residuals: str
    liquidity: tuple[Liquidity | None, Liquidity | None]
    at: datetime
    beside: Beside = NOTHING_BESIDE
    took_s: float = 0.0

    @property
    def stretch(self) -> Aligned:
        """Closes of both legs."""
        return self.legs.stretch

    @property
    def ts(self) -> FloatArray:
        """Bar times in milliseconds."""
        return self.stretch.ts / 1000.0

    @property
    def drifts(self) -> bool:
        """Whether the hedge ratio changes from bar to bar."""
        return self.line.method == KALMAN

    @property
    def first(self) -> datetime:
        """Open time of the first bar."""
        return _time(self.stretch.ts[0])

    @property
    def last(self) -> datetime:
        """Open time of the last bar."""
        return _time(self.stretch.ts[-1])


def fit_study(order: Order, legs: Legs, *, now: datetime) -> Study:
    """Fit the order's method on the stretch and put the series under it.

    Raises:
        AnalyticsError: when the model is not defined on these bars.
    """
    return _drifting(order, legs, now) if order.method == KALMAN else _fitted(order, legs, now)


def model_study(order: Order, legs: Legs, line: Line, tests: Evidence, *, now: datetime) -> Study:
    """Put the series under a stored model that has these tests.

    Raises:
        AnalyticsError: when the series are not defined on these bars.
    """
    return _study(order, legs, line, _under(order, legs.whole, line), tests, now=now)


def model_evidence(whole: Aligned, line: Line) -> Evidence:
    """The tests over the bars that a stored model was fitted on, as far as they are in ``whole``.

    Raises:
        AnalyticsError: when there are too few of them.
    """
    low, high = (int(edge.timestamp() * 1e6) for edge in (line.start, line.end))
    window = cut(whole, slice(int(np.searchsorted(whole.ts, low)), int(np.searchsorted(whole.ts, high, side="right"))))
    return evidence(window.y, window.x, line.beta, scale=line.scale)


def _fitted(order: Order, legs: Legs, now: datetime) -> Study:
    y, x = legs.stretch.y, legs.stretch.x
    fit = fit_model(y, x, method=order.method, scale=order.scale, significance=order.significance)
    tests = evidence(y, x, fit.beta, scale=order.scale)
    line = Line(
        method=fit.method, scale=fit.scale, n=fit.n, beta=fit.beta, alpha=fit.alpha, beta_se=fit.beta_se, r_squared=fit.r_squared,
        half_life=fit.half_life, hurst=fit.hurst, start=_time(legs.stretch.ts[0]), end=_time(legs.stretch.ts[-1]),
        notes=tuple(note for note in fit.notes if note not in tests.notes),
    )  # fmt: skip
    return _study(order, legs, line, _under(order, legs.whole, line), tests, now=now)


def _drifting(order: Order, legs: Legs, now: datetime) -> Study:
    whole = legs.whole
    fit = fit_kalman(whole.y, whole.x, scale=order.scale)
    noises = f"Kalman: drift {fit.delta:.3g} and noise {fit.observation_var:.3g}, the likeliest over all of these bars"
    line = Line(
        method=KALMAN, scale=order.scale, n=len(whole) - fit.start, beta=float(fit.beta[-1]), alpha=float(fit.alpha[-1]),
        beta_se=float(fit.beta_sd[-1]), r_squared=None, half_life=None, hurst=None, start=_time(legs.stretch.ts[0]),
        end=_time(legs.stretch.ts[-1]), notes=(noises,),
    )  # fmt: skip
    correlation = rolling_correlation(log_returns(whole.y), log_returns(whole.x), order.correlation_window)
    series = Series(fit.beta, fit.alpha, fit.spread, fit.zscore, correlation, *_rolling(order, whole))
    return _study(order, legs, line, series, evidence(legs.stretch.y, legs.stretch.x, None, scale=order.scale), now=now)


def _under(order: Order, whole: Aligned, line: Line) -> Series:
    """Series under one beta."""
    found = signal_series(
        whole.y, whole.x, line.beta, scale=line.scale, zscore_window=order.zscore_window, correlation_window=order.correlation_window
    )
    beta = np.full(len(whole), line.beta)
    alpha = np.full(len(whole), np.nan if line.alpha is None else line.alpha)
    return Series(beta, alpha, found.spread, found.zscore, found.correlation, *_rolling(replace(order, scale=line.scale), whole))


def _rolling(order: Order, whole: Aligned) -> tuple[FloatArray, FloatArray]:
    """Beta and R squared of the last bars. Other methods than these two fit every window anew, which takes minutes."""
    method = "tls" if order.method == "tls" else "ols"
    y, x = scaled("y", whole.y, order.scale), scaled("x", whole.x, order.scale)
    found = rolling_hedge_ratio(y, x, order.hedge_window, method=method)
    return found.beta, found.r_squared


def _study(order: Order, legs: Legs, line: Line, series: Series, tests: Evidence, *, now: datetime) -> Study:
    inside = Series(*(getattr(series, name)[legs.lead :] for name in Series.__slots__))
    values = inside.zscore if line.method == KALMAN else inside.spread
    try:
        shape, reason = distribution(values[np.isfinite(values)]), ""
    except AnalyticsError as error:
        shape, reason = None, str(error)
    return Study(order, legs, line, inside, tests, shape, reason, (_liquidity(legs, 0), _liquidity(legs, 1)), now)


def _liquidity(legs: Legs, leg: int) -> Liquidity | None:
    """Over the whole stretch: the last value of each average."""
    bars = legs.bars[leg]
    try:
        return liquidity(**{name: bars[name].to_numpy() for name in BAR_COLUMNS}, window=bars.height - 2)
    except AnalyticsError:
        return None


def _time(us: float) -> datetime:
    return datetime.fromtimestamp(int(us) / 1e6, UTC)
