"""Alerts as rows of tables: where each stands, the rules, what has happened, what could not be delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from dashboards.charts.moment import moment_text
from dashboards.clock import Clock
from dashboards.format import NONE, age, decimals_of, price, significant
from pipeline.alerts import METRICS, AlertState, Metric, Phase, Rule, Severity, TargetKind

PHASES = {
    Phase.FIRING: "down",
    Phase.RECOVERING: "warn",
    Phase.ERROR: "down",
    Phase.PENDING: "warn",
    Phase.NODATA: "faint",
    Phase.NORMAL: "up",
}
"""Colours, in the order in which alerts are shown."""
KINDS = {
    "pending": "warn",
    "cleared": "faint",
    "firing": "down",
    "recovering": "warn",
    "relapsed": "down",
    "resolved": "up",
    "nodata": "faint",
    "error": "down",
    "restored": "up",
    "reminded": "down",
    "acknowledged": "accent",
    "snoozed": "accent",
    "unsnoozed": "accent",
    "muted": "accent",
    "unmuted": "accent",
}
"""Colours of what happens."""
SEVERITIES = {Severity.CRITICAL: "down", Severity.WARNING: "warn", Severity.INFO: "accent"}
_SNOOZES = [["900", "15 min"], ["3600", "1 hour"], ["14400", "4 hours"]]
_WORDS = {Phase.NODATA: "no data"}
_MOST = 300


@dataclass(frozen=True, slots=True)
class Reader:
    """Who the rows are for: how times are told, and whether there are buttons."""

    clock: Clock
    operator: bool

    def acts(self, *acts: dict[str, Any], two: bool = False) -> dict[str, Any]:
        """The cell of buttons; an empty one for who may only look."""
        return {"c": "acts two" if two else "acts", "actions": list(acts)} if self.operator else {"t": ""}


def state_rows(states: tuple[AlertState, ...], rules: dict[str, Rule], now: datetime | None, reader: Reader) -> list[dict[str, Any]]:
    """Instances of the rules that are on, those that fire first."""
    order = {phase: at for at, phase in enumerate(PHASES)}
    live = [state for state in states if state.rule_id in rules and rules[state.rule_id].enabled]
    live.sort(key=lambda state: (order[state.phase], state.rule_id, state.series))
    return [_state_row(state, rules[state.rule_id], now, reader) for state in live[:_MOST]]


def _state_row(state: AlertState, rule: Rule, now: datetime | None, reader: Reader) -> dict[str, Any]:
    at_s = None if now is None else now.timestamp()
    since = None if state.since_us is None or at_s is None else max(0.0, at_s - state.since_us / 1e6)
    snoozed = at_s is not None and state.snoozed(round(at_s * 1e6))
    unit = f" {rule.facts.unit}" if rule.facts.unit and state.value is not None else ""
    value: dict[str, Any] = {"t": _value(state, rule) + unit}
    if state.reason:
        value = {"t": NONE, "title": state.reason}
    return {
        "id": f"{state.rule_id}|{state.series}",
        "cells": [
            {
                "t": _WORDS.get(state.phase, state.phase.value),
                "chip": PHASES[state.phase],
                "sub": _notes(state, reader.clock, now, snoozed=snoozed),
            },
            {"t": state.series, "c": "strong", "sub": state.reason},
            {"t": rule.name, "c": "wraps"},
            value,
            {"t": age(since), "c": "faint"},
            reader.acts(*_acts(state, rule, reader.clock, snoozed=snoozed)),
        ],
    }


def _value(state: AlertState, rule: Rule) -> str:
    """The value as its kind is written: a price with the decimals of its ticks."""
    if rule.metric is Metric.PRICE and state.value is not None:
        return price(state.value, decimals_of([state.value, rule.threshold]))
    return significant(state.value, 4)


def _notes(state: AlertState, clock: Clock, now: datetime | None, *, snoozed: bool) -> str:
    notes = []
    if state.acknowledged:
        notes.append(f"acknowledged by {state.acknowledged_by}")
    if snoozed and state.snoozed_until_us is not None:
        notes.append(f"snoozed until {clock.short(datetime.fromtimestamp(state.snoozed_until_us / 1e6, tz=UTC), now)}")
    if state.muted:
        notes.append("muted")
    return ", ".join(notes)


def _acts(state: AlertState, rule: Rule, clock: Clock, *, snoozed: bool) -> list[dict[str, Any]]:
    of = f"{state.series}, {rule.name}"
    acts: list[dict[str, Any]] = []
    if state.active and not state.acknowledged:
        acts.append({"a": "ack", "l": "Acknowledge", "c": "main", "title": f"Acknowledge {of}"})
    if snoozed:
        acts.append({"a": "snooze:end", "l": "End snooze", "title": f"End the snooze of {of}"})
    elif state.phase is not Phase.NORMAL and not state.muted:
        acts.append({"a": "snooze", "l": "Snooze", "menu": [*_SNOOZES, ["tomorrow", f"until 00:00 {clock.city}"]], "title": f"Snooze {of}"})
    if state.muted:
        acts.append({"a": "unmute", "l": "Unmute", "title": f"Unmute {of}"})
    else:
        acts.append({"a": "mute", "l": "Mute", "title": f"Mute {of}"})
    return acts


def rule_row(rule: Rule, reader: Reader) -> dict[str, Any]:
    """A rule with what can be done to it."""
    turn = ("disable", "Disable") if rule.enabled else ("enable", "Enable")
    acts = [
        {"a": "edit", "l": "Edit", "title": f"Edit {rule.name}"},
        {"a": "duplicate", "l": "Duplicate", "title": f"Duplicate {rule.name}"},
        {"a": turn[0], "l": turn[1], "title": f"{turn[1]} {rule.name}"},
        {"a": "delete", "l": "Delete", "c": "danger", "title": f"Delete {rule.name}", "sure": "Really delete?"},
    ]
    extra = [f"{name}={text}" for name, text in rule.labels]
    if rule.channels:
        extra.append(f"to {', '.join(rule.channels)}")
    if rule.active_hours is not None:
        extra.append(f"told {rule.active_hours}")
    if rule.expires_at_us is not None:
        expires = datetime.fromtimestamp(rule.expires_at_us / 1e6, tz=UTC)
        extra.append(f"until {reader.clock.text(expires, seconds=False)} {reader.clock.name}")
    own = rule.name != rule.text[:100]
    return {
        "id": rule.rule_id,
        "c": "" if rule.enabled else "off",
        "cells": [
            {"t": rule.name if own else rule.text, "c": "strong wraps", "sub": "; ".join([*([rule.text] if own else []), *extra])},
            {"t": rule.severity.value, "chip": SEVERITIES[rule.severity]},
            reader.acts(*acts, two=True),
        ],
    }


def event_row(row: dict[str, Any], now: datetime | None, clock: Clock) -> dict[str, Any]:
    """What happened, with what it was judged from and the way to the chart."""
    time: datetime = row["occurred_at"]
    view, query = chart_of(row)
    href = "?" + urlencode({"view": view, **query}, safe="/:")
    evidence = []
    if row["first_bar"] is not None and row["last_bar"] is not None:
        bars = row["first_bar"], row["last_bar"]
        evidence.append(f"{row['timeframe'] or ''} bars {clock.short(bars[0])} to {clock.short(bars[1])}".strip())
    if row["model_id"]:
        evidence.append(f"model {row['model_id'][:8]}")
    if row["note"]:
        evidence.append(row["note"])
    return {
        "id": row["event_id"],
        "cells": [
            {"t": clock.short(time, now), "href": href, "a": "chart", "title": f"Chart at {clock.text(time)} {clock.name}"},
            {"t": row["kind"], "chip": KINDS.get(row["kind"], "faint")},
            {"t": row["message"], "c": "wraps", "sub": ", ".join(evidence)},
        ],
    }


def chart_of(row: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The view that shows the moment of an event, and its state."""
    at = {"at": moment_text(row["occurred_at"])}
    frame = {"timeframe": row["timeframe"]} if row["timeframe"] else {}
    if "/" in row["series"]:
        return "pair", {"pair": row["series"], **frame, **at}
    kind = METRICS[Metric(row["metric"])].kind if row["metric"] in set(Metric) else TargetKind.SYMBOL
    if kind is TargetKind.PIPELINE or row["series"] == "pipeline":
        return "health", {}
    return "overview", {"symbol": row["series"], **frame, **at}


def dead_row(row: dict[str, Any], now: datetime | None, reader: Reader) -> dict[str, Any]:
    """A delivery that was given up."""
    when = row["done_at"] or row["occurred_at"]
    return {
        "id": f"{row['event_id']}|{row['channel']}",
        "cells": [
            {"t": reader.clock.short(when, now), "c": "faint"},
            {"t": row["channel"], "c": "strong", "sub": f"{row['attempts']} tries"},
            {"t": row["message"] or row["event_id"], "c": "wraps", "sub": row["last_error"] or ""},
            reader.acts({"a": "resend", "l": "Send again", "title": f"Send again to {row['channel']}"}),
        ],
    }
