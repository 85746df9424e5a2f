"""Alert rules and their state machine: pure, time is an argument."""

from __future__ import annotations

from pipeline.alerts.acts import acknowledge, mute, snooze, unmute, unsnooze, utc
from pipeline.alerts.check import validate
from pipeline.alerts.event import AlertEvent, EventKind, Phase, event_id
from pipeline.alerts.hours import ActiveHours
from pipeline.alerts.metric import METRICS, MadeBy, Metric, MetricFacts, TargetKind, limits, zscore_bound
from pipeline.alerts.quiet import EVERY, NO_VALUE, Interval, quiet
from pipeline.alerts.reading import Reading
from pipeline.alerts.rule import EVERYTHING, PIPELINE, Condition, Evaluate, Rule, Severity
from pipeline.alerts.state import GRID_US, AlertState, deadline_us, grid_us, held_until_us, look, retire, step

__all__ = [
    "EVERY",
    "EVERYTHING",
    "GRID_US",
    "METRICS",
    "NO_VALUE",
    "PIPELINE",
    "ActiveHours",
    "AlertEvent",
    "AlertState",
    "Condition",
    "Evaluate",
    "EventKind",
    "Interval",
    "MadeBy",
    "Metric",
    "MetricFacts",
    "Phase",
    "Reading",
    "Rule",
    "Severity",
    "TargetKind",
    "acknowledge",
    "deadline_us",
    "event_id",
    "grid_us",
    "held_until_us",
    "limits",
    "look",
    "mute",
    "quiet",
    "retire",
    "snooze",
    "step",
    "unmute",
    "unsnooze",
    "utc",
    "validate",
    "zscore_bound",
]
