"""What is kept of alerts: rules, the state of each instance, the history."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.alerts import AlertState, Rule
from pipeline.store.protocol import Warehouse

_RULES = "SELECT CAST(rule AS VARCHAR) AS rule, enabled FROM alert_rules ORDER BY created_at, rule_id"
_STATES = "SELECT CAST(snapshot AS VARCHAR) AS snapshot FROM alert_states ORDER BY rule_id, series"
_EVENTS = """
    SELECT event_id, rule_id, series, kind, occurred_at, value, threshold, severity, message
    FROM alert_events ORDER BY occurred_at DESC, event_id LIMIT $most
"""

_PERIOD = """
    SELECT event_id, rule_id, series, kind, occurred_at, value, threshold, severity, message
    FROM alert_events WHERE occurred_at >= $start AND occurred_at < $end ORDER BY occurred_at, event_id
"""


def load_rules(warehouse: Warehouse) -> tuple[Rule, ...]:
    """Every alert rule, oldest first.

    Raises:
        RuleError: when a kept rule does not read, which means that another version wrote it.
    """
    rows = warehouse.select(_RULES)
    return tuple(_with_enabled(Rule.from_json(text), enabled=enabled) for text, enabled in rows.iter_rows())


def load_states(warehouse: Warehouse) -> tuple[AlertState, ...]:
    """The state of every instance: one for each rule and series.

    Raises:
        RuleError: when a kept state does not read, which means that another version wrote it.
    """
    return tuple(AlertState.from_json(text) for text in warehouse.select(_STATES)["snapshot"])


def load_events(warehouse: Warehouse, *, most: int = 200) -> pl.DataFrame:
    """The newest transitions: event_id, rule_id, series, kind, occurred_at, value, threshold, severity, message."""
    return warehouse.select(_EVENTS, most=most)


def events_between(warehouse: Warehouse, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Transitions with ``start <= occurred_at < end`` in time order; columns as of ``load_events``."""
    return warehouse.select(_PERIOD, start=start, end=end)


def _with_enabled(rule: Rule, *, enabled: bool) -> Rule:
    return rule if rule.enabled == enabled else Rule.from_row({**rule.as_row(), "enabled": enabled})
