"""Alert events: the transitions of an alert, as they go to the history, to the outbox and to people."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pipeline.alerts.metric import Metric
from pipeline.alerts.reading import Reading
from pipeline.alerts.record import Labels, Names, Record
from pipeline.alerts.rule import Rule, Severity, number
from pipeline.model.timeframe import Timeframe


class Phase(StrEnum):
    """Where an alert stands."""

    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NODATA = "nodata"
    ERROR = "error"

    @property
    def is_missing(self) -> bool:
        """Whether the metric has no value."""
        return self in (Phase.NODATA, Phase.ERROR)


class EventKind(StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    """The condition holds, and must hold longer before the rule fires."""
    CLEARED = "cleared"
    """The condition stopped holding before the rule fired."""
    FIRING = "firing"
    """The rule fires."""
    RECOVERING = "recovering"
    """What fires has recovered, and must stay so for a while before it is over."""
    RELAPSED = "relapsed"
    """It has not stayed so: it fires on."""
    RESOLVED = "resolved"
    """What fired is over."""
    NODATA = "nodata"
    """The metric has no value any more."""
    ERROR = "error"
    """The metric cannot be computed from the data that is there."""
    RESTORED = "restored"
    """The metric has a value again; an alert that fired before still does, or recovers."""
    REMINDED = "reminded"
    """What people were not told, or asked to be told again, still stands: a snooze is over, active hours begin."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody has taken note of a firing alert."""
    SNOOZED = "snoozed"
    """Somebody wants to hear nothing of it until a time."""
    UNSNOOZED = "unsnoozed"
    """Somebody ended a snooze."""
    MUTED = "muted"
    """Somebody wants to hear nothing of it until it is unmuted."""
    UNMUTED = "unmuted"
    """Somebody ended that."""

    @property
    def notifies(self) -> bool:
        """Whether people may be told of it; the other kinds are history only. `AlertEvent.notifies` says whether they are."""
        return self in _TOLD


_TOLD = frozenset({EventKind.FIRING, EventKind.RESOLVED, EventKind.NODATA, EventKind.ERROR, EventKind.RESTORED, EventKind.REMINDED})


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
        notifies: whether people are told; other events are history only.
        reason: why there is no value (which leg is silent and since when), what the value is about (which flow failed), or what
            somebody did; empty otherwise.
        model_id: the model under which the value was computed, None when no model was needed.
        first_bar_us: open time of the oldest bar that the value was computed from, None when it needed none.
        last_bar_us: open time of the newest one.
        channels: names of the channels that are told; empty means all that are configured.
        labels: the rule's labels.
        note: the rule's note.
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
    notifies: bool = False
    reason: str = ""
    model_id: str | None = None
    first_bar_us: int | None = None
    last_bar_us: int | None = None
    channels: Names = ()
    labels: Labels = ()
    note: str = ""


def event_id(rule_id: str, series: str, at_us: int, kind: EventKind) -> str:
    """The id that such an event always has: the first 128 bits of a SHA-256, in hexadecimal."""
    return hashlib.sha256(f"{rule_id}\x1f{series}\x1f{at_us}\x1f{kind}".encode()).hexdigest()[:32]


def make_event(
    rule: Rule,
    series: str,
    kind: EventKind,
    at_us: int,
    reading: Reading,
    *,
    previous: Phase,
    phase: Phase,
    active_since_us: int | None,
    notifies: bool = False,
    said: str = "",
) -> AlertEvent:
    """Put an event together; ``said`` replaces the words about the value (who acknowledged, why it was retired)."""
    value = reading.value
    firing = active_since_us is not None
    severity = f"{rule.severity} " if kind in (EventKind.FIRING, EventKind.REMINDED) else ""
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
        text=f"{severity}{kind}: {series} {rule.what} {said or _words(rule, kind, reading, firing=firing)} [{rule.name}]",
        notifies=notifies,
        reason=said or reading.why,
        model_id=reading.model_id,
        first_bar_us=reading.first_bar_us,
        last_bar_us=reading.last_bar_us,
        channels=rule.channels,
        labels=rule.labels,
        note=rule.note,
    )


def _deciding(rule: Rule, kind: EventKind, value: float | None) -> float:
    over = kind in (EventKind.RESOLVED, EventKind.RECOVERING)
    upper, lower = (rule.recovery, rule.recovery_lower) if over else (rule.threshold, rule.lower)
    if rule.condition.is_band and value is not None and value < (lower + upper) / 2:
        return lower
    return upper


def _words(rule: Rule, kind: EventKind, reading: Reading, *, firing: bool) -> str:
    value = reading.value
    if value is None:
        missing = "cannot be computed" if reading.failed else "has no value"
        return f"{missing}: {reading.why}" if reading.why else missing
    unit = f" {rule.facts.unit}" if rule.facts.unit else ""
    shown = f"is {number(float(f'{value:.6g}') if abs(value) < 1 else value)}{unit}"
    because = f" ({reading.why})" if reading.why else ""
    match kind:
        case EventKind.RESOLVED | EventKind.RECOVERING:
            return f"{shown}, {rule.until or f'no longer {rule.when}'}"
        case EventKind.CLEARED:
            return f"{shown}, no longer {rule.when}"
        case EventKind.RESTORED:
            return f"{shown} again{', still firing' if firing else ''}"
        case EventKind.REMINDED:
            return f"{shown}, still firing{because}"
        case _:
            return f"{shown}, {rule.when}{because}"
