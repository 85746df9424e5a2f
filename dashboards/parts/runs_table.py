"""The newest runs of one flow: what is at work and how the others ended; any of them can be followed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable

from dashboards.format import NONE, age, escape
from dashboards.hub import Topic
from dashboards.parts.html import card, title
from dashboards.parts.run_card import COLOURS
from dashboards.parts.table import LiveTable
from dashboards.prefect import FlowRun
from dashboards.tables.flow_runs import FlowRuns, FlowRunsTopic

if TYPE_CHECKING:
    from dashboards.views.view import Desk

_MOST = 8


class RunsTable:
    """A card for runs of ``flow``; ``follow`` is called with a run's id."""

    def __init__(self, desk: Desk, *, flow: str, name: str, follow: Callable[[str], None]) -> None:
        self._desk = desk
        self._topic = FlowRunsTopic(desk.context.prefect, flow=flow, most=_MOST)
        self._table = LiveTable(
            columns=[{"title": "State"}, {"title": f"Started ({desk.clock.city})"}, {"title": "Took", "align": "right"},
                     {"title": "Run", "hide": "s"}, {"title": "", "align": "right"}],
            label=name, empty="Asking Prefect…", on_action=lambda _action, run_id: follow(run_id),
        )  # fmt: skip
        link = f'<a href="{escape(desk.context.prefect_url)}/runs" target="_blank" rel="noopener">All runs in the Prefect UI ↗</a>'
        self.panel: Viewable = card(title(name, link), self._table)

    def shown(self) -> None:
        """Look at the runs."""
        self._desk.session.want(self._show, [self._topic])

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])

    def _show(self, _topic: Topic, runs: Any) -> None:
        if not isinstance(runs, FlowRuns):
            return
        if runs.problem:
            advice = "Nothing can be started until it is back; exports, and a look at a file, work meanwhile."
            self._table.param.update(empty=f"<b>No answer from Prefect</b>{escape(runs.problem)}. {advice}", rows=[])
            return
        self._table.param.update(
            empty="<b>None yet</b>It runs by itself, and when it is started here.", rows=list(map(self._row, runs.runs))
        )

    def _row(self, run: FlowRun) -> dict[str, Any]:
        clock = self._desk.clock
        return {
            "id": run.run_id,
            "cells": [
                {"t": run.state, "chip": COLOURS.get(run.state_type, "faint"), "title": run.message},
                {"t": clock.short(run.start or run.expected, datetime.now(UTC)), "title": clock.text(run.start)},
                age(run.duration_s) if run.start else NONE,
                {"t": run.name, "href": f"{self._desk.context.prefect_url}/runs/flow-run/{run.run_id}", "target": "_blank"},
                {
                    "c": "acts",
                    "actions": [{"a": "follow", "l": "Follow" if not run.ended else "Show", "title": f"Show the run {run.name}"}],
                },
            ],
        }
