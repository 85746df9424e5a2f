"""Alert rules and their state machine: pure, time is an argument."""

from __future__ import annotations

from pipeline.alerts.check import validate
from pipeline.alerts.event import AlertEvent, EventKind, Phase, event_id
from pipeline.alerts.metric import METRICS, Metric, MetricFacts, TargetKind, limits, zscore_bound
from pipeline.alerts.rule import EVERYTHING, Condition, Rule, Severity
from pipeline.alerts.state import GRID_US, AlertState, acknowledge, advance, deadline_us, grid_us, retire, step

__all__ = [
    "EVERYTHING",
    "GRID_US",
    "METRICS",
    "AlertEvent",
    "AlertState",
    "Condition",
    "EventKind",
    "Metric",
    "MetricFacts",
    "Phase",
    "Rule",
    "Severity",
    "TargetKind",
    "acknowledge",
    "advance",
    "deadline_us",
    "event_id",
    "grid_us",
    "limits",
    "retire",
    "step",
    "validate",
    "zscore_bound",
]
