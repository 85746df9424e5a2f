"""What an alert rule can watch, and which values each metric can take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class TargetKind(StrEnum):
    """What a metric is a property of."""

    SYMBOL = "symbol"
    PAIR = "pair"


class Metric(StrEnum):
    """The metrics that a rule can watch; `METRICS` says what each one is."""

    ZSCORE = "zscore"
    SPREAD = "spread"
    CORRELATION = "correlation"
    BETA = "beta"
    HALF_LIFE = "half_life"
    EG_P = "eg_p"
    PRICE = "price"
    RETURN = "return"
    VOLUME = "volume"
    DATA_AGE = "data_age"


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What is known about a metric before any data arrives.

    ``timed``: it depends on a timeframe. ``windowed``: the rule chooses over how many bars.
    ``low`` and ``high`` are the closed limits of its values, infinite where there is none;
    the z-score's depend on its window and come from `limits`.
    """

    label: str
    kind: TargetKind
    timed: bool
    windowed: bool
    low: float
    high: float
    unit: str
    meaning: str


_PAIR, _SYMBOL, _INF = TargetKind.PAIR, TargetKind.SYMBOL, math.inf

METRICS: Mapping[Metric, MetricFacts] = MappingProxyType(
    {
        Metric.ZSCORE: MetricFacts(
            "z-score",
            _PAIR,
            True,
            False,
            -_INF,
            _INF,
            "",
            "standard deviations of the spread from its rolling mean; above 0 the y leg is rich",
        ),
        Metric.SPREAD: MetricFacts("spread", _PAIR, True, False, -_INF, _INF, "", "y - beta*x under the pair's live model"),
        Metric.CORRELATION: MetricFacts("correlation", _PAIR, True, False, -1.0, 1.0, "", "rolling correlation of one-bar log returns"),
        Metric.BETA: MetricFacts("hedge ratio", _PAIR, True, False, -_INF, _INF, "", "beta of the pair's live model"),
        Metric.HALF_LIFE: MetricFacts(
            "half-life",
            _PAIR,
            True,
            False,
            0.0,
            _INF,
            "bars",
            "bars until half of a deviation is gone; infinite when the spread does not revert",
        ),
        Metric.EG_P: MetricFacts("Engle-Granger p", _PAIR, True, False, 0.0, 1.0, "", "p-value of the null hypothesis of no cointegration"),
        Metric.PRICE: MetricFacts("price", _SYMBOL, False, False, 0.0, _INF, "", "price of the latest trade"),
        Metric.RETURN: MetricFacts(
            "return", _SYMBOL, True, True, -1.0, _INF, "", "simple return over the last n bars: 0.01 is one percent"
        ),
        Metric.VOLUME: MetricFacts("volume", _SYMBOL, True, True, 0.0, _INF, "", "base-asset volume of the last n bars"),
        Metric.DATA_AGE: MetricFacts("data age", _SYMBOL, False, False, 0.0, _INF, "s", "journal time since the latest trade, in seconds"),
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
