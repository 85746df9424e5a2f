"""Alert events: the transitions of an alert, as they go to the history, to the outbox and to people."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pipeline.alerts.metric import Metric
from pipeline.alerts.record import Record
from pipeline.alerts.rule import Rule, Severity, number
from pipeline.model.timeframe import Timeframe


class Phase(StrEnum):
    """Where an alert stands."""

    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    NODATA = "nodata"


class EventKind(StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    """The condition holds, and must hold longer before the rule fires."""
    CLEARED = "cleared"
    """The condition stopped holding before the rule fired."""
    FIRING = "firing"
    """The rule fires."""
    RESOLVED = "resolved"
    """What fired is over."""
    NODATA = "nodata"
    """The metric has no value any more."""
    RESTORED = "restored"
    """The metric has a value again, and an alert that fired before still does."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody has taken note of a firing alert."""

    @property
    def notifies(self) -> bool:
        """Whether people are told; the other kinds are history only."""
        return self in _TOLD


_TOLD = frozenset({EventKind.FIRING, EventKind.RESOLVED, EventKind.NODATA, EventKind.RESTORED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent(Record):
    """One transition of one alert instance.

    Attributes:
        event_id: 32 hexadecimal digits that depend on nothing but rule, series, time and kind: the idempotency key.
        rule_id: the rule's id.
        rule_name: the rule's name at that moment.
        series: the symbol or pair.
        kind: what happened.
        previous: phase before.
        phase: phase after.
        at_us: journal time of the transition, in microseconds since the epoch.
        value: the metric's value, None when there is none.
        threshold: the threshold that decided: of a band the end that was passed; the recovery threshold when resolved.
        metric: the metric.
        timeframe: its timeframe, if it has one.
        severity: the rule's severity at that moment.
        active_since_us: when the alert began to fire, None when it does not.
        text: the event in one line, for people.
    """

    record_name: ClassVar[str] = "alert event"

    event_id: str
    rule_id: str
    rule_name: str
    series: str
    kind: EventKind
    previous: Phase
    phase: Phase
    at_us: int
    value: float | None
    threshold: float
    metric: Metric
    timeframe: Timeframe | None
    severity: Severity
    active_since_us: int | None
    text: str

    @property
    def notifies(self) -> bool:
        """Whether the event goes to the outbox."""
        return self.kind.notifies


def event_id(rule_id: str, series: str, at_us: int, kind: EventKind) -> str:
    """The id that such an event always has: the first 128 bits of a SHA-256, in hexadecimal."""
    return hashlib.sha256(f"{rule_id}\x1f{series}\x1f{at_us}\x1f{kind}".encode()).hexdigest()[:32]


def make_event(
    rule: Rule,
    series: str,
    kind: EventKind,
    at_us: int,
    value: float | None,
    *,
    previous: Phase,
    phase: Phase,
    active_since_us: int | None,
    said: str = "",
) -> AlertEvent:
    """Put an event together; ``said`` replaces the words about the value (who acknowledged, why it was retired)."""
    severity = f"{rule.severity} " if kind is EventKind.FIRING else ""
    return AlertEvent(
        event_id=event_id(rule.rule_id, series, at_us, kind),
        rule_id=rule.rule_id,
        rule_name=rule.name,
        series=series,
        kind=kind,
        previous=previous,
        phase=phase,
        at_us=at_us,
        value=value,
        threshold=_deciding(rule, kind, value),
        metric=rule.metric,
        timeframe=rule.timeframe,
        severity=rule.severity,
        active_since_us=active_since_us,
        text=f"{severity}{kind}: {series} {rule.what} {said or _words(rule, kind, value, firing=phase is Phase.FIRING)} [{rule.name}]",
    )


def _deciding(rule: Rule, kind: EventKind, value: float | None) -> float:
    over = kind is EventKind.RESOLVED
    upper, lower = (rule.recovery, rule.recovery_lower) if over else (rule.threshold, rule.lower)
    if rule.condition.is_band and value is not None and value < (lower + upper) / 2:
        return lower
    return upper


def _words(rule: Rule, kind: EventKind, value: float | None, *, firing: bool) -> str:
    if value is None:
        return "has no value"
    unit = f" {rule.facts.unit}" if rule.facts.unit else ""
    shown = f"is {number(float(f'{value:.6g}') if abs(value) < 1 else value)}{unit}"
    match kind:
        case EventKind.RESOLVED:
            return f"{shown}, {rule.until or f'no longer {rule.when}'}"
        case EventKind.CLEARED:
            return f"{shown}, no longer {rule.when}"
        case EventKind.RESTORED:
            return f"{shown} again{', still firing' if firing else ''}"
        case _:
            return f"{shown}, {rule.when}"
