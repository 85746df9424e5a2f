"""Reports: those that are kept, and one more of any period now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import escape
from dashboards.hub import Topic
from dashboards.parts.fields import FIELD, SEVERAL
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.run_card import RunCard, Start
from dashboards.parts.table import LiveTable
from dashboards.prefect import Following
from dashboards.tables.reports import Reports, ReportsTopic
from dashboards.views.view import Desk
from pipeline.errors import SpreadwatchError
from pipeline.jobs.report import make_order
from pipeline.model.universe import Universe
from pipeline.store.reports import ReportRow

_FORM_CSS = asset("data_form.css")
_RANGE = 0
_PERIODS = {
    "the last 6 hours": 6,
    "the last 24 hours": 24,
    "the last 3 days": 72,
    "the last week": 168,
    "the last 30 days": 720,
    "from … to": _RANGE,
}


class ReportsPart:
    """A form, the run that writes the report, and the list."""

    def __init__(self, desk: Desk, remember: Callable[[], None]) -> None:
        self._desk = desk
        self._context = desk.context
        universe = self._context.universe
        zone = desk.clock.city
        self._period = pmui.Select(label="Period", options=_PERIODS, value=24, **FIELD)
        self._from = pmui.TextInput(label=f"From ({zone})", placeholder="YYYY-MM-DD HH:MM", value="", disabled=True, **FIELD)
        self._to = pmui.TextInput(label=f"To ({zone})", placeholder="now", value="", disabled=True, **FIELD)
        self._title = pmui.TextInput(label="Title (optional)", value="", **FIELD)
        self._pairs = pmui.MultiChoice(
            label="Pairs (none: all)", options=[str(spec.pair) for spec in universe.pairs], value=[], css_classes=["wide"], **SEVERAL,
        )  # fmt: skip
        self._say = html(css=asset("export.css"))
        self._run = RunCard(desk, label="Make a report", order=self._start, ended=self._ended, remembered=remember)
        self._topic = ReportsTopic()
        self._reports: Reports | None = None
        self._table = LiveTable(
            columns=[{"title": "Report"}, {"title": f"Period ({zone})", "hide": "s"}, {"title": f"Made ({zone})"},
                     {"title": "Size", "align": "right", "hide": "s"}, {"title": "File", "align": "right"}],
            label="Reports",
            empty="<b>No report yet</b>The flow report writes one soon after the start; the form above makes one now.",
        )  # fmt: skip
        self.panel: Viewable = self._layout()
        for widget in (self._period, self._from, self._to, self._title, self._pairs):
            widget.param.watch(self._changed, "value")

    def _layout(self) -> Viewable:
        form = grid(self._period, self._from, self._to, self._title, self._pairs, css=_FORM_CSS, name="sw-data-form")
        foot = pn.Row(
            pn.Row(self._run.button, margin=(0, 0, 14, 14)), self._say, sizing_mode="stretch_width", margin=0,
            stylesheets=[":host { flex-wrap: wrap; align-items: center; }"],
        )  # fmt: skip
        viewer = "" if self._desk.operator else "; only an operator may start runs"
        kept = f"the newest {self._context.settings.report_keep} are kept"
        return stack(
            card(
                title("Make a report now", f"models, verdicts, charts, liquidity, alerts and quality in one HTML file{viewer}"), form, foot
            ),
            self._run.panel,
            card(title("Reports", kept), self._table),
        )

    # ------------------------------------------------------------------------------------------------ the part

    def shown(self) -> None:
        """Look at the list, and at the run."""
        self._run.shown()
        self._desk.session.want(self._show, [self._topic])
        self._changed()

    def hidden(self) -> None:
        """Look at nothing."""
        self._run.hidden()
        self._desk.session.want(self._show, [])

    def follow(self, universe: Universe) -> None:
        """Offer what there is now."""
        self._pairs.options = list(dict.fromkeys((*(str(spec.pair) for spec in universe.pairs), *self._pairs.value)))

    def opened(self, query: Mapping[str, str]) -> None:
        """``run``."""
        if query.get("run"):
            self._run.follow(query["run"])

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"run": self._run.run_id}

    # ------------------------------------------------------------------------------------------------ making one

    def _start(self) -> Start:
        """What the form asks for, judged as the flow will judge it.

        Raises:
            UsageError: when there can be no such report.
        """
        ranged = self._period.value == _RANGE
        clock, hours = self._desk.clock, self._period.value or 24
        start = clock.typed(self._from.value, "From") if ranged else None
        end = clock.typed(self._to.value, "To") if ranged else None
        pairs, heading = self._pairs.value or None, (self._title.value or "").strip() or None
        make_order(
            self._context.profile,
            self._context.universe,
            now=datetime.now(UTC),
            hours=hours,
            start=start,
            end=end,
            pairs=pairs,
            title=heading,
        )
        given = {"hours": hours, "start": start and start.isoformat(), "end": end and end.isoformat(), "pairs": pairs, "title": heading}
        return Start("report/manual", {name: value for name, value in given.items() if value is not None})

    def _changed(self, _event: Any = None) -> None:
        ranged = self._period.value == _RANGE
        self._from.disabled = self._to.disabled = not ranged
        try:
            self._start()
        except SpreadwatchError as error:
            self._say.object = f'<div class="foot"><span class="down" role="alert">{escape(str(error))}</span></div>'
            self._run.enable(ready=False)
            return
        self._say.object = ""
        self._run.enable(ready=True)

    def _ended(self, following: Following) -> None:
        if following.run.ok:
            self._desk.toast("success", "The report is in the list.")

    # ------------------------------------------------------------------------------------------------ the list

    def _show(self, _topic: Topic, reports: Any) -> None:
        if isinstance(reports, Reports):
            self._table.rows = [self._row(row, reports.time) for row in reports.rows]

    def _row(self, row: ReportRow, now: datetime) -> dict[str, Any]:
        name, _, _ = row.title.rpartition(", ")
        clock = self._desk.clock
        return {
            "id": row.report_id,
            "cells": [
                {"t": name or row.title, "href": f"/reports/{row.path}", "target": "_blank"},
                f"{clock.local(row.period_start):%m-%d %H:%M} to {clock.local(row.period_end):%m-%d %H:%M}",
                {"t": clock.short(row.created_at, now), "title": clock.text(row.created_at)},
                {"t": f"{row.bytes / 1024:,.0f} KiB", "c": "faint"},
                {"t": "Download", "href": f"/reports/{row.path}?download=1", "title": f"Download {row.title}"},
            ],
        }
