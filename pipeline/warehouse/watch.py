"""What alert rules look at: a watch is one metric of one series, however many rules ask for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.alerts import (
    NO_VALUE,
    PIPELINE,
    AlertState,
    Metric,
    Phase,
    Reading,
    Rule,
    TargetKind,
    held_until_us,
    quiet,
)
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Watch:
    """One metric of one series, as rules of one timeframe and window look at it."""

    metric: Metric
    series: str
    frame: Timeframe | None
    window: int
    on_close: bool

    @classmethod
    def of(cls, rule: Rule, series: str) -> Watch:
        """What a rule looks at."""
        return cls(rule.metric, series, rule.timeframe, rule.window or 1, rule.on_bar_close)

    @property
    def pair(self) -> Pair:
        """The series as a pair."""
        return _pair(self.series)

    @property
    def legs(self) -> tuple[str, ...]:
        """The symbols whose trades change it; none when it belongs to the platform as a whole."""
        return () if self.series == PIPELINE else tuple(self.series.split("/"))


@lru_cache(maxsize=65_536)
def _pair(series: str) -> Pair:
    return Pair.parse(series)


@dataclass(slots=True, eq=False)
class Instance:
    """A rule on a series: its state, the values that change nothing, and the time at which time alone does."""

    rule: Rule
    state: AlertState
    low: float = math.inf
    high: float = -math.inf
    deadline: int | None = None

    def settle(self, value: float | None) -> None:
        """Work out anew which values need not be looked at, after a step with ``value``."""
        held_at_closes = self.rule.on_bar_close and held_until_us(self.rule, self.state) is not None
        known = value is not None and not math.isnan(value) and not held_at_closes
        self.low, self.high = quiet(self.rule, self.state, value) if known and value is not None else NO_VALUE

    def unmoved_by(self, reading: Reading) -> bool:
        """Whether a reading changes nothing."""
        if reading.value is not None:
            return self.low <= reading.value <= self.high
        if reading.failed:
            return self.state.phase is Phase.ERROR
        return self.state.phase is Phase.NODATA and (self.state.since_us is not None or self.state.reason == reading.why)


@dataclass(slots=True, eq=False)
class Cell:
    """A watch with the instances that hang on it.

    ``low`` and ``high`` are the values that move no instance at all. ``due`` is the time at which the value may change by itself.
    """

    watch: Watch
    instances: dict[str, Instance] = field(default_factory=dict)
    low: float = math.inf
    high: float = -math.inf
    due: int | None = None

    def envelope(self) -> None:
        """Work out anew which values move no instance."""
        self.low = max((instance.low for instance in self.instances.values()), default=-math.inf)
        self.high = min((instance.high for instance in self.instances.values()), default=math.inf)

    @property
    def held(self) -> bool:
        """Whether an instance is pending or recovering, so that each evaluation counts."""
        return any(held_until_us(instance.rule, instance.state) is not None for instance in self.instances.values())


def symbols_of(rule: Rule, series: str, universe: tuple[str, ...]) -> tuple[str, ...]:
    """The symbols whose trades a rule on a series needs."""
    if rule.metric is Metric.FLOW_FAILURES:
        return ()
    return universe if rule.kind is TargetKind.PIPELINE else tuple(series.split("/"))
