"""What an alert rule can watch, and which values each metric can take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class TargetKind(StrEnum):
    """What a metric is a property of."""

    SYMBOL = "symbol"
    PAIR = "pair"
    PIPELINE = "pipeline"


class MadeBy(StrEnum):
    """What makes a metric's value change, besides time."""

    TRADES = "trades"
    """Trades, as they land."""
    MODEL = "model"
    """A model that goes live, from the first bar after that."""
    FLOW = "flow"
    """A flow, when its row lands."""


class Metric(StrEnum):
    """The metrics that a rule can watch; `METRICS` says what each one is."""

    ZSCORE = "zscore"
    SPREAD = "spread"
    CORRELATION = "correlation"
    BETA = "beta"
    BETA_CHANGE = "beta_change"
    HALF_LIFE = "half_life"
    EG_P = "eg_p"
    PRICE = "price"
    RETURN = "return"
    VOLUME = "volume"
    DATA_AGE = "data_age"
    GAPS = "gaps"
    QUOTE_VOLUME = "quote_volume"
    TAKER_IMBALANCE = "taker_imbalance"
    AMIHUD = "amihud"
    ROLL_SPREAD = "roll_spread"
    CORWIN_SCHULTZ = "corwin_schultz"
    QUOTED_SPREAD_BPS = "quoted_spread_bps"
    VOLUME_PERCENTILE = "volume_percentile"
    FLOW_FAILURES = "flow_failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """What is known about a metric before any data arrives.

    ``timed``: it depends on a timeframe. ``windowed``: the rule chooses over how many bars.
    ``barred``: it is a property of a bar, so that a rule may look at it on bar close.
    ``of_pipeline``: a rule may have the target ``pipeline``.
    ``low`` and ``high`` are the closed limits of its values, infinite where there is none;
    the z-score's depend on its window and come from `limits`.
    """

    label: str
    kind: TargetKind
    meaning: str
    made_by: MadeBy = MadeBy.TRADES
    timed: bool = True
    windowed: bool = False
    barred: bool = True
    of_pipeline: bool = False
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""


def _pair(label: str, meaning: str, **more: Any) -> MetricFacts:
    return MetricFacts(label=label, kind=TargetKind.PAIR, meaning=meaning, **more)


def _model(label: str, meaning: str, **more: Any) -> MetricFacts:
    return _pair(label, meaning, made_by=MadeBy.MODEL, **more)


def _symbol(label: str, meaning: str, **more: Any) -> MetricFacts:
    return MetricFacts(label=label, kind=TargetKind.SYMBOL, meaning=meaning, **more)


def _liquidity(label: str, meaning: str, **more: Any) -> MetricFacts:
    return _symbol(label, f"{meaning}; of the newest bar that the flow liquidity measured", made_by=MadeBy.FLOW, barred=False, **more)


METRICS: Mapping[Metric, MetricFacts] = MappingProxyType(
    {
        Metric.ZSCORE: _pair("z-score", "standard deviations of the spread from its rolling mean; above 0 the y leg is rich"),
        Metric.SPREAD: _pair("spread", "y - beta*x under the pair's live model"),
        Metric.CORRELATION: _pair("correlation", "rolling correlation of one-bar log returns", low=-1.0, high=1.0),
        Metric.BETA: _model("hedge ratio", "beta of the pair's live model"),
        Metric.BETA_CHANGE: _model(
            "change of hedge ratio", "beta of the live model against the one before, as a fraction: 0.1 is ten percent more"
        ),
        Metric.HALF_LIFE: _model(
            "half-life", "bars until half of a deviation is gone; infinite when the spread does not revert", low=0.0, unit="bars"
        ),
        Metric.EG_P: _model("Engle-Granger p", "p-value of the null hypothesis of no cointegration", low=0.0, high=1.0),
        Metric.PRICE: _symbol("price", "price of the latest trade", timed=False, low=0.0),
        Metric.RETURN: _symbol("return", "simple return over the last n bars: 0.01 is one percent", windowed=True, low=-1.0),
        Metric.VOLUME: _symbol("volume", "base-asset volume of the last n bars", windowed=True, low=0.0),
        Metric.DATA_AGE: _symbol(
            "data age",
            "journal time since the latest trade, in whole seconds' steps; of the pipeline since the latest of any symbol",
            timed=False,
            barred=False,
            of_pipeline=True,
            low=0.0,
            unit="s",
        ),
        Metric.GAPS: _symbol(
            "open gaps", "gaps in the trade ids that are neither refilled nor settled", timed=False, barred=False, of_pipeline=True, low=0.0
        ),
        Metric.QUOTE_VOLUME: _liquidity("quote volume", "quote-asset volume", low=0.0),
        Metric.TAKER_IMBALANCE: _liquidity("taker imbalance", "(bought - sold) / volume by takers", low=-1.0, high=1.0),
        Metric.AMIHUD: _liquidity("Amihud illiquidity", "mean of |log return| / quote volume", low=0.0),
        Metric.ROLL_SPREAD: _liquidity("Roll spread", "effective relative spread from the covariance of successive returns", low=0.0),
        Metric.CORWIN_SCHULTZ: _liquidity("Corwin-Schultz spread", "relative spread from the ranges of successive bars", low=0.0),
        Metric.QUOTED_SPREAD_BPS: _liquidity("quoted spread", "time-weighted spread of the best quotes", low=0.0, unit="bps"),
        Metric.VOLUME_PERCENTILE: _liquidity("volume percentile", "rank of the quote volume among the last bars", low=0.0, high=1.0),
        Metric.FLOW_FAILURES: MetricFacts(
            label="flow failures",
            kind=TargetKind.PIPELINE,
            meaning="runs in a row of a flow that failed; of the pipeline the most of any flow",
            made_by=MadeBy.FLOW,
            timed=False,
            barred=False,
            of_pipeline=True,
            low=0.0,
        ),
    }
)


def zscore_bound(window: int) -> float:
    """The largest absolute z-score that a window of ``window`` values can show: ``(n - 1) / sqrt(n)``.

    It holds because the current value is part of the window and the standard deviation has ddof=1
    (Samuelson's inequality; R. E. Shiffler, "Maximum Z scores and outliers", The American
    Statistician 42, 1988).
    """
    return (window - 1) / math.sqrt(window)


def limits(metric: Metric, *, zscore_window: int) -> tuple[float, float]:
    """The closed interval of values that ``metric`` can take, with infinite ends where there is no limit."""
    if metric is Metric.ZSCORE:
        bound = zscore_bound(zscore_window)
        return -bound, bound
    facts = METRICS[metric]
    return facts.low, facts.high
