"""Alerts: make a rule, see what fires, take note of it, look back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.asking import outcome_text
from dashboards.assets import asset
from dashboards.format import escape
from dashboards.hub import STATUS, Status, Topic
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.table import LiveTable
from dashboards.tables.alerts import Alerts, AlertsTopic, Found, HistoryTopic
from dashboards.theme import Palette
from dashboards.views.alert_rows import KINDS, Reader, chart_of, dead_row, event_row, rule_row, state_rows
from dashboards.views.rule_form import RuleForm
from dashboards.views.rule_test import try_rule
from dashboards.views.view import Desk
from pipeline.alerts import Rule, Severity
from pipeline.errors import UsageError
from pipeline.model.universe import Universe
from pipeline.store.alert_history import EventSearch
from pipeline.store.requests import (
    AcknowledgeAlert,
    Change,
    DeleteRule,
    EnableRule,
    MuteAlert,
    PutRule,
    ResendEvent,
    SnoozeAlert,
)

_ANY_KIND, _ANY_SEVERITY = "every event", "every severity"
_SPLIT_CSS = """
:host(.sw-alerts) { display: grid !important; grid-template-columns: 380px minmax(0, 1fr); gap: 12px; align-items: start; }
@media (max-width: 1100px) { :host(.sw-alerts) { grid-template-columns: minmax(0, 1fr); } :host(.sw-alerts) > .sw-rule-card { order: 1; } }
"""
_EXPORT = '<a href="?view=data&table=alert_events">Export</a>'


class AlertsView:
    """The third tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._alerts: Alerts | None = None
        self._found: Found | None = None
        self._time: datetime | None = None
        self._shown = False
        self._search = EventSearch()
        self._reader = Reader(desk.clock, desk.operator)
        self._form = RuleForm(self._context, desk.clock, operator=desk.operator, submit=self._submitted, test=self._tried)
        self._make_tables()
        self._make_search()
        self._panel = self._layout()
        self.opened(desk.query)

    def _make_tables(self) -> None:
        self._live = LiveTable(
            columns=[{"title": "State"}, {"title": "Series"}, {"title": "Rule", "hide": "s"}, {"title": "Value", "align": "right"},
                     {"title": "For", "align": "right", "hide": "s"}, {"title": "", "align": "right"}],
            label="State of every alert", on_action=self._acted,
            empty="<b>Nothing is watched yet</b>Create a rule: its state shows here within a second.",
        )  # fmt: skip
        self._rules = LiveTable(
            columns=[{"title": "Rule"}, {"title": "Severity", "hide": "s"}, {"title": "", "align": "right"}],
            label="Rules", on_action=self._acted, empty="<b>No rules yet</b>The form makes the first one.",
        )  # fmt: skip
        self._history = LiveTable(
            columns=[{"title": f"When ({self._desk.clock.city})"}, {"title": "Event"}, {"title": "What"}],
            label="History of alerts", max_height=520,
            empty="<b>Nothing has happened yet</b>Every transition of an alert is kept here.", styles={"overflow": "auto"},
            on_action=self._acted,
        )  # fmt: skip
        self._dead = LiveTable(
            columns=[{"title": "Given up"}, {"title": "Channel"}, {"title": "What"}, {"title": "", "align": "right"}],
            label="Alerts that could not be delivered", on_action=self._acted, max_height=300, styles={"overflow": "auto"},
        )  # fmt: skip

    def _make_search(self) -> None:
        self._words = pmui.TextInput(label="Find", placeholder="rule, pair or words", value="", css_classes=["wide"], **FIELD)
        self._kind = pmui.Select(label="Event", options=[_ANY_KIND, *KINDS], value=_ANY_KIND, **FIELD)
        self._severity = pmui.Select(label="Severity", options=[_ANY_SEVERITY, *Severity], value=_ANY_SEVERITY, **FIELD)
        self._from = pmui.TextInput(label=f"From ({self._desk.clock.city})", placeholder="2026-11-22 14:00", value="", **FIELD)
        self._to = pmui.TextInput(label=f"Before ({self._desk.clock.city})", placeholder="now", value="", **FIELD)
        self._search_say = html(css=".down { padding: 0 14px 8px; }", visible=False)
        self._searching = {"find": self._words, "event": self._kind, "severity": self._severity, "from": self._from, "to": self._to}
        for widget in self._searching.values():
            widget.param.watch(self._searched, "value")

    def _layout(self) -> Viewable:
        search = grid(
            self._words, self._kind, self._severity, self._from, self._to, css=asset("history_form.css"), name="sw-find"
        )  # fmt: skip
        self._lost = card(title("Not delivered", "given up after several tries"), self._dead, visible=False)
        right = stack(
            card(title("Now"), self._live),
            self._lost,
            card(title("Rules"), self._rules),
            card(title("History", _EXPORT), search, self._search_say, self._history),
        )
        return grid(self._form.panel, right, css=_SPLIT_CSS, name="sw-alerts")

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the alerts."""
        self._shown = True
        self._desk.session.want(self._show, [AlertsTopic(), HistoryTopic(self._search), STATUS])

    def hidden(self) -> None:
        """Look at nothing."""
        self._shown = False
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Nothing here is drawn on a canvas."""

    def follow(self, universe: Universe) -> None:
        """The rule form offers what there is now."""
        self._form.follow(universe)

    def opened(self, query: dict[str, str]) -> None:
        """``metric`` and ``target`` of a rule to make; of the history ``find``, ``event``, ``severity``, ``from`` and ``to``."""
        self._form.suggest(query)
        for name, widget in self._searching.items():
            text = query.get(name, "")
            if text and (isinstance(widget, pmui.TextInput) or text in widget.options):
                widget.value = text

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        searched = {name: widget.value for name, widget in self._searching.items() if widget.value not in {_ANY_KIND, _ANY_SEVERITY}}
        return {**self._form.suggestion(), **searched}

    # ------------------------------------------------------------------------------------------------ asking for changes

    def _submitted(self, rule: Rule, replaces: bool) -> None:  # noqa: FBT001  of a callback
        self._request(PutRule(rule), f"Rule “{rule.name}” is {'changed' if replaces else 'in force'}", self._form.button)

    def _tried(self, rule: Rule) -> None:
        context, now, clock = self._context, self._time, self._desk.clock
        universe = context.universe
        self._desk.work(
            lambda: context.link.use(lambda warehouse: try_rule(warehouse, rule, context.profile, universe, context.settings, now, clock)),
            lambda text, problem: self._form.tested(text or f'<span class="down">{escape(problem)}</span>'),
        )

    def _acted(self, action: str, key: str) -> None:
        first, _, second = key.partition("|")
        name, _, more = action.partition(":")
        rule = next((rule for rule in (self._alerts.rules if self._alerts else ()) if rule.rule_id == first), None)
        match name:
            case "ack":
                self._request(AcknowledgeAlert(first, second, self._desk.user), f"{second} acknowledged")
            case "snooze":
                self._snooze(first, second, more)
            case "mute" | "unmute":
                self._request(MuteAlert(first, second, name == "mute", self._desk.user), f"{second} {name}d")
            case "enable" | "disable":
                self._request(EnableRule(first, name == "enable"), f"Rule {name}d")
            case "delete":
                self._request(DeleteRule(first), "Rule deleted")
            case "edit" if rule is not None:
                self._form.edit(rule)
            case "duplicate" if rule is not None:
                self._form.duplicate(rule)
            case "resend":
                self._request(ResendEvent(first, second), f"Sending again to {second}")
            case "chart":
                self._chart(first)
            case _:
                pass

    def _snooze(self, rule_id: str, series: str, length: str) -> None:
        now, by = self._time or datetime.now(UTC), self._desk.user
        if length == "end":
            self._request(SnoozeAlert(rule_id, series, None, by), f"{series} is told again")
            return
        if length == "tomorrow":
            until = self._desk.clock.midnight(now)
        elif length.isdecimal():
            until = now + timedelta(seconds=int(length))
        else:
            return
        self._request(
            SnoozeAlert(rule_id, series, round(until.timestamp() * 1e6), by),
            f"{series} snoozed until {self._desk.clock.short(until, now)}",
        )

    def _chart(self, event_id: str) -> None:
        for row in self._found.events.filter(event_id=event_id).iter_rows(named=True) if self._found else ():
            self._desk.go(*chart_of(row))

    def _request(self, change: Change, done: str, button: Any = None) -> None:
        """Ask for a change and wait, beside the event loop, until the warehouse says what became of it."""
        if button is not None:
            button.loading = True

        def told(outcome: str | None, problem: str) -> None:
            kind, text = ("error", problem) if problem else outcome_text(outcome, done)
            if button is not None:
                button.loading = False
                if kind != "error":
                    self._form.done()
            self._desk.toast(kind, text)

        self._desk.work(lambda: self._desk.ask(change), told)

    # ------------------------------------------------------------------------------------------------ looking back

    def _searched(self, _event: Any = None) -> None:
        """Another search; one that is not understood says so and leaves what is shown."""
        try:
            search = EventSearch(
                words=self._words.value.strip() or None,
                kinds=() if self._kind.value == _ANY_KIND else (self._kind.value,),
                severities=() if self._severity.value == _ANY_SEVERITY else (str(self._severity.value),),
                start=self._desk.clock.typed(self._from.value, "From"),
                end=self._desk.clock.typed(self._to.value, "Before"),
            )
            search.check()
        except UsageError as error:
            self._search_say.param.update(object=f'<div class="down" role="status">{escape(str(error))}</div>', visible=True)
            return
        self._search_say.visible = False
        self._search = search
        self._history.empty = (
            "<b>Nothing has happened yet</b>Every transition of an alert is kept here."
            if search == EventSearch()
            else "<b>Nothing found</b>Widen the search: other words, every event, a longer time."
        )
        if self._shown:
            self.shown()
            self._desk.remember(self.state())

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Status):
            if value.clock is not None:
                self._time = value.clock.journal_time
        elif isinstance(value, Alerts):
            self._alerts = value
            self._rules.rows = [rule_row(rule, self._reader) for rule in value.rules]
            self._dead.rows = [dead_row(row, self._time, self._reader) for row in value.dead.iter_rows(named=True)]
            self._lost.visible = bool(value.dead.height)
        elif isinstance(value, Found) and value.search == self._search:
            self._found = value
            self._history.rows = [event_row(row, self._time, self._desk.clock) for row in value.events.iter_rows(named=True)]
        if self._alerts is not None:
            self._live.rows = state_rows(self._alerts.states, {rule.rule_id: rule for rule in self._alerts.rules}, self._time, self._reader)
