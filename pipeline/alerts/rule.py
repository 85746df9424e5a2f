"""An alert rule: what is watched, when it fires and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pipeline.alerts.hours import ActiveHours
from pipeline.alerts.metric import METRICS, Metric, MetricFacts, TargetKind
from pipeline.alerts.record import Labels, Names, Record
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe

EVERYTHING = "*"
"""The target that stands for every configured pair, or every configured symbol when the metric belongs to symbols."""
PIPELINE = "pipeline"
"""The target, and the name of the only series, of what is a property of the platform as a whole."""


class Condition(StrEnum):
    """How a value is held against the threshold.

    ``above`` and ``below`` are strict. ``outside`` is strict and ``inside`` closed, so that one is the
    opposite of the other. ``crosses_up`` is ``above`` after a value that was not above has been seen, so
    it stays silent when the series is already there; ``crosses_down`` likewise.
    """

    ABOVE = "above"
    BELOW = "below"
    OUTSIDE = "outside"
    INSIDE = "inside"
    CROSSES_UP = "crosses_up"
    CROSSES_DOWN = "crosses_down"

    @property
    def is_band(self) -> bool:
        """Whether the threshold is a band with two ends."""
        return self in (Condition.OUTSIDE, Condition.INSIDE)

    @property
    def is_crossing(self) -> bool:
        """Whether the other side must have been seen first."""
        return self in (Condition.CROSSES_UP, Condition.CROSSES_DOWN)


class Severity(StrEnum):
    """How much a firing rule matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Evaluate(StrEnum):
    """When a rule looks at its metric."""

    EVERY_UPDATE = "every_update"
    """Whenever the value may have changed, the bar of the moment included."""
    BAR_CLOSE = "bar_close"
    """Once a bar, when it is complete: at its end plus the setting ``lateness_ms``, on complete bars only."""
    ONCE = "once"
    """As every update, until a series has fired and recovered; then never again, unless the rule is put or enabled anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Record):
    """One alert rule.

    Attributes:
        rule_id: 1 to 64 letters, digits, ``.``, ``_``, ``:`` or ``-``; chosen by whoever creates the rule.
        name: what people call it, one line.
        target: a symbol, a pair ``Y/X``, ``*`` for every one, ``pipeline``, or the name of a flow.
        metric: what is watched.
        condition: how the value is held against the threshold.
        threshold: the threshold; of a band its upper end.
        lower_threshold: lower end of a band; None means ``-threshold``. Only for bands.
        recovery_threshold: where a firing rule is over (hysteresis): at or under it for ``above``, at or over it
            for ``below``. Of a band the upper end of the recovery band, which has the middle of the firing band.
            None means as soon as the condition no longer holds.
        timeframe: bars that the metric is computed on; None for metrics that have none. A price has one when the rule
            looks at it on bar close.
        window: number of bars of a return or a volume, None means 1; for other metrics always None.
        for_s: seconds for which the condition must hold without interruption before the rule fires.
        severity: how much it matters.
        enabled: whether it is evaluated.
        note: free text, which events carry.
        keep_firing_for_s: seconds for which the recovery must hold without interruption before a firing rule is over.
        evaluate: when the rule looks.
        channels: names of the channels that are told; empty means all that are configured.
        labels: names and values that events carry, for routing and templates.
        expires_at_us: journal time, in microseconds since the epoch, at which the rule switches itself off; None never.
        active_hours: when people are told; None always. Outside of them the rule is evaluated and the history written; what
            still fires when they begin is told then.
    """

    record_name: ClassVar[str] = "alert rule"

    rule_id: str
    name: str
    target: str
    metric: Metric
    condition: Condition
    threshold: float
    lower_threshold: float | None = None
    recovery_threshold: float | None = None
    timeframe: Timeframe | None = None
    window: int | None = None
    for_s: float = 0.0
    severity: Severity = Severity.WARNING
    enabled: bool = True
    note: str = ""
    keep_firing_for_s: float = 0.0
    evaluate: Evaluate = Evaluate.EVERY_UPDATE
    channels: Names = ()
    labels: Labels = ()
    expires_at_us: int | None = None
    active_hours: ActiveHours | None = None

    @property
    def facts(self) -> MetricFacts:
        """What is known about the metric."""
        return METRICS[self.metric]

    @property
    def for_us(self) -> int:
        """``for_s`` in microseconds."""
        return round(self.for_s * 1_000_000)

    @property
    def keep_firing_for_us(self) -> int:
        """``keep_firing_for_s`` in microseconds."""
        return round(self.keep_firing_for_s * 1_000_000)

    @property
    def kind(self) -> TargetKind:
        """What the target is."""
        return TargetKind.PIPELINE if self.target == PIPELINE and self.facts.of_pipeline else self.facts.kind

    @property
    def on_bar_close(self) -> bool:
        """Whether it looks at complete bars only."""
        return self.evaluate is Evaluate.BAR_CLOSE

    @property
    def lower(self) -> float:
        """Lower end of the band; meaningless for other conditions."""
        return -self.threshold if self.lower_threshold is None else self.lower_threshold

    @property
    def recovery(self) -> float:
        """The recovery threshold in force."""
        return self.threshold if self.recovery_threshold is None else self.recovery_threshold

    @property
    def recovery_lower(self) -> float:
        """Lower end of the recovery band, as far from the middle as `recovery`; meaningless without a band."""
        return self.lower if self.recovery_threshold is None else self.lower + self.threshold - self.recovery_threshold

    def breached(self, value: float) -> bool:
        """Whether the condition holds for ``value``; of a crossing, whether ``value`` is on the far side. Not for NaN."""
        match self.condition:
            case Condition.ABOVE | Condition.CROSSES_UP:
                return value > self.threshold
            case Condition.BELOW | Condition.CROSSES_DOWN:
                return value < self.threshold
            case Condition.OUTSIDE:
                return not self.lower <= value <= self.threshold
            case Condition.INSIDE:
                return self.lower <= value <= self.threshold

    def recovered(self, value: float) -> bool:
        """Whether ``value`` ends an alert that fires. Never true where `breached` is. Not for NaN."""
        if self.breached(value):
            return False
        match self.condition:
            case Condition.ABOVE | Condition.CROSSES_UP:
                return value <= self.recovery
            case Condition.BELOW | Condition.CROSSES_DOWN:
                return value >= self.recovery
            case Condition.OUTSIDE:
                return self.recovery_lower <= value <= self.recovery
            case Condition.INSIDE:
                return not self.recovery_lower < value < self.recovery

    def watches(self, series: str) -> bool:
        """Whether ``series`` (a symbol or pair text) is of the rule's target."""
        return self.target in (EVERYTHING, series)

    def series(self, symbols: Iterable[str], pairs: Iterable[Pair]) -> tuple[str, ...]:
        """The series of a universe that the rule watches: one instance of the state machine each, in the given order."""
        if self.kind is TargetKind.PIPELINE:
            return (self.target,)
        names = symbols if self.kind is TargetKind.SYMBOL else map(str, pairs)
        return tuple(name for name in names if self.watches(name))

    @property
    def what(self) -> str:
        """The metric in words, with timeframe and window: ``z-score 1m``, ``5-bar return 1m``."""
        bars = f"{self.window}-bar " if self.facts.windowed and self.window not in (None, 1) else ""
        return f"{bars}{self.facts.label}{f' {self.timeframe}' if self.timeframe else ''}"

    @property
    def when(self) -> str:
        """The firing condition in words: ``above 2 for 30 s``."""
        held = f" for {number(self.for_s)} s" if self.for_s else ""
        return f"{_WORDS[self.condition]} {self._ends(self.lower, self.threshold)}{held}"

    @property
    def until(self) -> str:
        """The recovery condition in words, ``recovers under 0.5``; empty when there is none of its own."""
        if self.recovery_threshold is None:
            return ""
        return f"recovers {_RECOVERY_WORDS[self.condition]} {self._ends(self.recovery_lower, self.recovery)}"

    @property
    def text(self) -> str:
        """The rule in one line: ``ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5``."""
        target = f"every {self.kind}" if self.target == EVERYTHING else self.target
        kept = f"for {number(self.keep_firing_for_s)} s" if self.keep_firing_for_s else ""
        over = f"{self.until or 'recovers'} {kept}" if kept else self.until
        when = {Evaluate.EVERY_UPDATE: "", Evaluate.BAR_CLOSE: "on bar close", Evaluate.ONCE: "once"}[self.evaluate]
        return ", ".join(part for part in (f"{target} {self.what} {self.when}", over, when) if part)

    def _ends(self, lower: float, upper: float) -> str:
        unit = f" {self.facts.unit}" if self.facts.unit else ""
        return f"{number(lower)} to {number(upper)}{unit}" if self.condition.is_band else f"{number(upper)}{unit}"


def number(value: float) -> str:
    """A number for people: up to ten significant digits, no exponent before it is needed, no trailing zeros."""
    return f"{value:.10g}"


_WORDS = {
    Condition.ABOVE: "above",
    Condition.BELOW: "below",
    Condition.OUTSIDE: "outside",
    Condition.INSIDE: "inside",
    Condition.CROSSES_UP: "crosses up through",
    Condition.CROSSES_DOWN: "crosses down through",
}
_RECOVERY_WORDS = {
    Condition.ABOVE: "under",
    Condition.CROSSES_UP: "under",
    Condition.BELOW: "over",
    Condition.CROSSES_DOWN: "over",
    Condition.OUTSIDE: "inside",
    Condition.INSIDE: "outside",
}
