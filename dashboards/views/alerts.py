"""Alerts: make a rule, see what fires, take note of it, look back."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from time import sleep
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import NONE, age, escape, short_time, significant
from dashboards.hub import STATUS, Status, Topic
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.table import LiveTable
from dashboards.tables.alerts import Alerts, AlertsTopic
from dashboards.theme import Palette
from dashboards.views.view import Desk
from pipeline.alerts import EVERYTHING, METRICS, AlertState, Condition, Metric, Phase, Rule, Severity, TargetKind, validate
from pipeline.errors import SpreadwatchError
from pipeline.store.requests import AcknowledgeAlert, Change, DeleteRule, EnableRule, PutRule, load_outcome, send

_OUTCOME_TRIES = 25
_OUTCOME_PAUSE_S = 0.2
_CONDITIONS = {
    "above": Condition.ABOVE.value,
    "below": Condition.BELOW.value,
    "outside a band": Condition.OUTSIDE.value,
    "inside a band": Condition.INSIDE.value,
    "crosses up": Condition.CROSSES_UP.value,
    "crosses down": Condition.CROSSES_DOWN.value,
}
_PHASES = {Phase.FIRING: "down", Phase.PENDING: "warn", Phase.NORMAL: "up", Phase.NODATA: "faint"}
_SEVERITIES = {Severity.CRITICAL: "down", Severity.WARNING: "warn", Severity.INFO: "accent"}
_KINDS = {
    "firing": "down",
    "pending": "warn",
    "resolved": "up",
    "cleared": "faint",
    "acknowledged": "accent",
    "nodata": "faint",
    "restored": "up",
}
_EVERY = "every one"

_FORM_CSS = asset("rule_form.css")
_SPLIT_CSS = """
:host(.sw-alerts) { display: grid !important; grid-template-columns: 380px minmax(0, 1fr); gap: 12px; align-items: start; }
@media (max-width: 1100px) { :host(.sw-alerts) { grid-template-columns: minmax(0, 1fr); } }
"""
_SAY_CSS = (
    ".say { padding: 10px 12px; border-radius: 6px; background: var(--sw-raised); line-height: 1.45; min-height: 40px; font-size: 12.5px; }"
)


class AlertsView:
    """The third tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._alerts: Alerts | None = None
        self._time: datetime | None = None
        universe = self._context.universe
        self._symbols, self._pairs = universe.symbols, tuple(spec.pair for spec in universe.pairs)
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        self._make_form()
        self._live = LiveTable(
            columns=[{"title": "State"}, {"title": "Series"}, {"title": "Rule", "hide": "s"}, {"title": "Value", "align": "right"},
                     {"title": "For", "align": "right", "hide": "s"}, {"title": "", "align": "right"}],
            label="State of every alert", on_action=self._acted,
            empty="<b>Nothing is watched yet</b>Create a rule: its state shows here within a second.",
        )  # fmt: skip
        self._rules = LiveTable(
            columns=[{"title": "Rule"}, {"title": "Condition"}, {"title": "Severity", "hide": "s"}, {"title": "", "align": "right"}],
            label="Rules", on_action=self._acted, empty="<b>No rules yet</b>The form makes the first one.",
        )  # fmt: skip
        self._history = LiveTable(
            columns=[{"title": "When (UTC)"}, {"title": "Event"}, {"title": "What"}], label="History of alerts", max_height=420,
            empty="<b>Nothing has happened yet</b>Every transition of an alert is kept here.", styles={"overflow": "auto"},
        )  # fmt: skip
        self._panel = self._layout()
        self.opened(desk.query)

    def _make_form(self) -> None:
        names = {METRICS[metric].label: metric.value for metric in Metric}
        self._metric = pmui.Select(label="Watch", options=names, value=Metric.ZSCORE.value, **FIELD)
        self._target = pmui.Select(label="Of", options=[_EVERY], value=_EVERY, **FIELD)
        self._frame = pmui.Select(
            label="Timeframe", options=list(self._timeframes), value="1m" if "1m" in self._timeframes else None, **FIELD
        )
        self._bars = pmui.IntInput(label="Over bars", value=1, start=1, end=10_000, visible=False, **FIELD)
        self._condition = pmui.Select(label="Fires when", options=_CONDITIONS, value=Condition.ABOVE.value, **FIELD)
        self._threshold = pmui.TextInput(label="Threshold", value="2", **FIELD)
        self._lower = pmui.TextInput(label="Lower end (empty: mirrored)", value="", visible=False, **FIELD)
        self._recovery = pmui.TextInput(label="Recovers at (optional)", value="0.5", **FIELD)
        self._for = pmui.TextInput(label="Held for (seconds)", value="0", **FIELD)
        self._severity = pmui.Select(label="Severity", options=[s.value for s in Severity], value=Severity.WARNING.value, **FIELD)
        self._name = pmui.TextInput(label="Name (optional)", value="", css_classes=["wide"], **FIELD)
        self._create = pmui.Button(
            name="Create rule", variant="contained", color="primary", margin=0, sizing_mode="stretch_width", css_classes=["wide"], height=38
        )
        self._say = html(css=_SAY_CSS, css_classes=["wide"])
        self._metric.param.watch(self._metric_picked, "value")
        self._condition.param.watch(self._condition_picked, "value")
        for widget in (
            self._target,
            self._frame,
            self._bars,
            self._threshold,
            self._lower,
            self._recovery,
            self._for,
            self._severity,
            self._name,
        ):
            widget.param.watch(self._judge, "value")
        for widget in (self._threshold, self._lower, self._recovery, self._for):
            widget.param.watch(self._judge, "value_input")
        self._create.on_click(self._create_clicked)
        self._metric_picked()

    def _layout(self) -> Viewable:
        form = grid(
            self._metric, self._target, self._frame, self._condition, self._threshold, self._lower, self._bars, self._recovery, self._for,
            self._severity, self._name, self._say, self._create,
            css=_FORM_CSS, name="sw-rule",
        )  # fmt: skip
        right = stack(
            card(title("Now"), self._live), card(title("Rules"), self._rules), card(title("History"), self._history)
        )  # fmt: skip
        return grid(card(title("New rule"), form), right, css=_SPLIT_CSS, name="sw-alerts")

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the alerts."""
        self._desk.session.want(self._show, [AlertsTopic(), STATUS])

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Nothing here is drawn on a canvas."""

    def opened(self, query: dict[str, str]) -> None:
        """``metric`` and ``target`` of a rule to make."""
        if query.get("metric") in set(Metric):
            self._metric.value = query["metric"]
        if query.get("target") in self._target.options:
            self._target.value = query["target"]

    def state(self) -> dict[str, str]:
        """Nothing that would have to be found again."""
        return {}

    # ------------------------------------------------------------------------------------------------ the form

    def _metric_picked(self, _event: Any = None) -> None:
        facts = METRICS[Metric(self._metric.value)]
        names = [str(pair) for pair in self._pairs] if facts.kind is TargetKind.PAIR else list(self._symbols)
        self._target.options = [*names, _EVERY]
        if self._target.value not in self._target.options:
            self._target.value = names[0] if names else _EVERY
        elif self._target.value == _EVERY and names:
            self._target.value = names[0]
        self._frame.visible = facts.timed
        self._bars.visible = facts.windowed
        self._judge()

    def _condition_picked(self, _event: Any = None) -> None:
        self._lower.visible = Condition(self._condition.value).is_band
        self._judge()

    def _asked(self) -> Rule:
        """The rule that the form describes.

        Raises:
            RuleError: when it makes no sense.
            ValueError: when a number is none.
        """
        metric = Metric(self._metric.value)
        facts = METRICS[metric]
        band = Condition(self._condition.value).is_band
        rule = Rule(
            rule_id=_rule_id(self._name.value or f"{self._target.value} {metric}"),
            name="?",
            target=EVERYTHING if self._target.value == _EVERY else self._target.value,
            metric=metric,
            condition=Condition(self._condition.value),
            threshold=_number("threshold", self._threshold) or 0.0,
            lower_threshold=_number("lower end", self._lower, optional=True) if band else None,
            recovery_threshold=_number("recovery threshold", self._recovery, optional=True),
            timeframe=self._timeframes[self._frame.value] if facts.timed else None,
            window=self._bars.value if facts.windowed else None,
            for_s=_number("time", self._for) or 0.0,
            severity=Severity(self._severity.value),
        )
        named = Rule.from_row({**rule.as_row(), "name": self._name.value.strip() or rule.text[:100]})
        validate(
            named,
            zscore_window=self._context.settings.zscore_window,
            known_symbols=self._symbols,
            known_pairs=self._pairs,
            timeframes=self._context.timeframes,
        )
        return named

    def _judge(self, _event: Any = None) -> Rule | None:
        try:
            rule = self._asked()
        except (SpreadwatchError, ValueError) as error:
            self._say.object = f'<div class="say down">{escape(_sentence(str(error)))}</div>'
            self._create.disabled = True
            return None
        self._say.object = f'<div class="say">Fires when <span class="strong">{escape(rule.text)}</span>.</div>'
        self._create.disabled = False
        return rule

    def _create_clicked(self, _event: Any) -> None:
        rule = self._judge()
        if rule is not None:
            self._request(PutRule(rule), f"Rule “{rule.name}” is in force", self._create)
            self._name.value = ""

    # ------------------------------------------------------------------------------------------------ asking for changes

    def _acted(self, action: str, key: str) -> None:
        rule_id, _, series = key.partition("|")
        match action:
            case "ack":
                self._request(AcknowledgeAlert(rule_id, series, "dashboard"), f"{series} acknowledged")
            case "enable" | "disable":
                self._request(EnableRule(rule_id, action == "enable"), f"Rule {action}d")
            case "delete":
                self._request(DeleteRule(rule_id), "Rule deleted")
            case _:
                pass

    def _request(self, change: Change, done: str, button: Any = None) -> None:
        """Ask for a change and wait, beside the event loop, until the warehouse says what became of it."""
        if button is not None:
            button.loading = True

        def told(outcome: str | None, problem: str) -> None:
            if button is not None:
                button.loading = False
            kind, text = ("error", problem) if problem else _told(outcome, done)
            self._desk.toast(kind, text)

        self._desk.work(lambda: self._ask(change), told)

    def _ask(self, change: Change) -> str | None:
        link = self._context.link
        request_id = link.use(lambda warehouse: send(warehouse, change, now=datetime.now(UTC)))
        for _ in range(_OUTCOME_TRIES):
            outcome = link.use(lambda warehouse: load_outcome(warehouse, request_id))
            if outcome is not None:
                return outcome
            sleep(_OUTCOME_PAUSE_S)
        return None

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Status):
            if value.clock is not None:
                self._time = value.clock.journal_time
        elif isinstance(value, Alerts):
            self._alerts = value
        if self._alerts is not None:
            self._draw(self._alerts)

    def _draw(self, alerts: Alerts) -> None:
        rules = {rule.rule_id: rule for rule in alerts.rules}
        order = {Phase.FIRING: 0, Phase.PENDING: 1, Phase.NODATA: 2, Phase.NORMAL: 3}
        live = [state for state in alerts.states if state.rule_id in rules and rules[state.rule_id].enabled]
        live.sort(key=lambda state: (order[state.phase], state.rule_id, state.series))
        self._live.rows = [self._state_row(state, rules[state.rule_id]) for state in live]
        self._rules.rows = [_rule_row(rule) for rule in alerts.rules]
        self._history.rows = [self._event_row(row) for row in alerts.events.iter_rows(named=True)]

    def _state_row(self, state: AlertState, rule: Rule) -> dict[str, Any]:
        since = None if state.since_us is None or self._time is None else self._time.timestamp() - state.since_us / 1e6
        told: Any = ""
        if state.acknowledged:
            told = {"t": "acknowledged", "c": "faint", "title": f"by {state.acknowledged_by}"}
        elif state.active:
            told = {"actions": [{"a": "ack", "l": "Acknowledge", "title": f"Acknowledge {state.series}, {rule.name}"}]}
        return {
            "id": f"{state.rule_id}|{state.series}",
            "cells": [
                {"t": state.phase.value, "chip": _PHASES[state.phase]},
                {"t": state.series, "c": "strong"},
                rule.name,
                {"t": significant(state.value, 4) + (f" {rule.facts.unit}" if rule.facts.unit and state.value is not None else "")},
                {"t": age(since), "c": "faint"},
                told,
            ],
        }

    def _event_row(self, row: dict[str, Any]) -> dict[str, Any]:
        time = row["occurred_at"]
        return {
            "id": row["event_id"],
            "cells": [
                {"t": short_time(time, self._time), "c": "faint", "title": f"{time:%Y-%m-%d %H:%M:%S} UTC"},
                {"t": row["kind"], "chip": _KINDS.get(row["kind"], "faint")},
                {"t": row["message"], "c": "wraps"},
            ],
        }


def _rule_row(rule: Rule) -> dict[str, Any]:
    turn = ("disable", "Disable") if rule.enabled else ("enable", "Enable")
    return {
        "id": rule.rule_id,
        "c": "" if rule.enabled else "off",
        "cells": [
            {"t": rule.name if rule.name != rule.text[:100] else NONE, "c": "strong"},
            {"t": rule.text, "c": "wraps"},
            {"t": rule.severity.value, "chip": _SEVERITIES[rule.severity]},
            {
                "actions": [
                    {"a": turn[0], "l": turn[1], "title": f"{turn[1]} {rule.name}"},
                    {"a": "delete", "l": "Delete", "c": "danger", "title": f"Delete {rule.name}"},
                ]
            },
        ],
    }


def _told(outcome: str | None, done: str) -> tuple[str, str]:
    if outcome is None:
        return "info", "Sent. The warehouse has not applied it yet; it will, as soon as it runs."
    return ("success", done) if outcome.startswith(("applied", "done", "ok")) else ("error", outcome)


def _number(name: str, widget: Any, *, optional: bool = False) -> float | None:
    text = str(widget.value_input if widget.value_input not in (None, "") else widget.value).strip().replace("\u2212", "-")
    if not text and optional:
        return None
    try:
        return float(text)
    except ValueError:
        msg = f"the {name} {text!r} is no number; write one such as 2 or -0.5"
        raise ValueError(msg) from None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _rule_id(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48]
    return f"{words or 'rule'}-{secrets.token_hex(3)}"
