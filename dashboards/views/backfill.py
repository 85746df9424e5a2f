"""Backfill: what is missing of the past, and the run that fetches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import count, escape
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD, SEVERAL
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.run_card import RunCard, Start
from dashboards.parts.runs_table import RunsTable
from dashboards.parts.table import LiveTable
from dashboards.prefect import Following
from dashboards.tables.due import Due, load_due
from dashboards.views.view import Desk
from pipeline.errors import SpreadwatchError
from pipeline.jobs.backfill.order import Order, Source, What, legs_first, venue_timeframes
from pipeline.jobs.choice import chosen_symbols, chosen_timeframes
from pipeline.model.universe import Universe

_FORM_CSS = asset("data_form.css")
_WHAT = {"klines": "Candlesticks", "trades": "Trades", "both": "Both"}
_SOURCES = {Source.REST.value: "REST", Source.ARCHIVE.value: "Archive files"}
_SHOWN = 60


class BackfillPart:
    """A form, what a run of it would fetch, the run, and the runs before it."""

    def __init__(self, desk: Desk, remember: Callable[[], None]) -> None:
        self._desk = desk
        self._context = desk.context
        self._remember = remember
        self._asked = 0
        self._shown = False
        universe = self._context.universe
        frames = [timeframe.name for timeframe in venue_timeframes(self._context.timeframes)]
        wide: dict[str, Any] = {**SEVERAL, "css_classes": ["two"]}
        self._symbols = pmui.MultiChoice(label="Symbols (none: all)", options=list(universe.symbols), value=[], **wide)
        self._frames = pmui.MultiChoice(label="Timeframes of candlesticks (none: all)", options=frames, value=[], **wide)
        zone = desk.clock.city
        self._from = pmui.TextInput(label=f"From ({zone})", placeholder="as far as charts need", value="", **FIELD)
        self._to = pmui.TextInput(label=f"Before ({zone})", placeholder="now", value="", **FIELD)
        self._what = Segments(options=[[*one] for one in _WHAT.items()], value="klines", label="What", on_pick=self._changed)
        self._source = Segments(
            options=[[*one] for one in _SOURCES.items()], value=Source.REST.value, label="From where", on_pick=self._changed
        )
        self._refetch = pmui.Checkbox(label="Fetch what is here, too", value=False, size="small", margin=(2, 0, 0, 0), css_classes=["two"])
        self._run = RunCard(desk, label="Start backfill", order=self._start, ended=self._ended, remembered=remember)
        self._say = html(css=asset("export.css"))
        self._due = LiveTable(
            columns=[{"title": "Symbol"}, {"title": "Of"}, {"title": "Missing", "align": "right", "sortable": True},
                     {"title": "Days (UTC)"}],
            label="What is missing", empty="Looking…",
        )  # fmt: skip
        self._runs = RunsTable(desk, flow="backfill", name="Backfills", follow=self._run.follow)
        self.panel: Viewable = self._layout()
        for widget in (self._symbols, self._frames, self._from, self._to, self._refetch):
            widget.param.watch(self._changed, "value")

    def _layout(self) -> Viewable:
        form = grid(
            self._symbols, self._frames, self._from, self._to, self._refetch,
            css=_FORM_CSS, name="sw-data-form",
        )  # fmt: skip
        picks = pn.Row(self._what, self._source, margin=(0, 0, 10, 12), stylesheets=[":host { flex-wrap: wrap; gap: 2px 14px; }"])
        foot = pn.Row(
            pn.Row(self._run.button, margin=(0, 0, 14, 14)), self._say, sizing_mode="stretch_width", margin=0,
            stylesheets=[":host { flex-wrap: wrap; align-items: center; }"],
        )  # fmt: skip
        viewer = "" if self._desk.operator else "; only an operator may start runs"
        return stack(
            card(title("Backfill", f"the exchange's candlesticks and trades of the past{viewer}"), form, picks, foot),
            self._run.panel,
            card(title("Missing", "what a run of the form above would fetch"), self._due),
            self._runs.panel,
        )

    # ------------------------------------------------------------------------------------------------ the part

    def shown(self) -> None:
        """Look for what is missing, and at the runs."""
        self._shown = True
        self._run.shown()
        self._runs.shown()
        self._changed()

    def hidden(self) -> None:
        """Look at nothing."""
        self._shown = False
        self._run.hidden()
        self._runs.hidden()

    def follow(self, universe: Universe) -> None:
        """Offer what there is now."""
        self._symbols.options = list(dict.fromkeys((*universe.symbols, *self._symbols.value)))

    def opened(self, query: Mapping[str, str]) -> None:
        """``symbols``, ``timeframes`` (with commas between), ``what``, ``source``, ``from``, ``to``, ``run``."""
        for name, widget in (("symbols", self._symbols), ("timeframes", self._frames)):
            if name in query:
                widget.value = [one for one in query[name].split(",") if one in widget.options]
        for name, field in (("from", self._from), ("to", self._to)):
            if name in query:
                field.value = query[name]
        for name, choice, known in (("what", self._what, _WHAT), ("source", self._source, _SOURCES)):
            if query.get(name) in known:
                choice.value = query[name]
        if query.get("run"):
            self._run.follow(query["run"])

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {
            "symbols": ",".join(self._symbols.value),
            "timeframes": ",".join(self._frames.value),
            "what": self._what.value,
            "source": self._source.value,
            "from": self._from.value.strip(),
            "to": self._to.value.strip(),
            "run": self._run.run_id,
        }

    # ------------------------------------------------------------------------------------------------ what is asked for

    def _order(self) -> Order:
        """What the form asks for, judged as the run will judge it.

        Raises:
            UsageError: when it cannot be fetched.
        """
        chosen, now = self._context.settings, datetime.now(UTC)
        universe = self._context.universe
        frames = chosen_timeframes(self._frames.value or None, chosen)
        order = Order(
            legs_first(chosen_symbols(self._symbols.value or None, universe), universe),
            venue_timeframes(frames),
            self._desk.clock.typed(self._to.value, "Before") or now,
            what=tuple(What) if self._what.value == "both" else (What(self._what.value),),
            source=Source(self._source.value),
            start=self._desk.clock.typed(self._from.value, "From"),
            refetch=self._refetch.value,
            hours=chosen.backfill_hours,
            lookback=chosen.lookback,
        )
        order.check(self._context.profile, now)
        return order

    def _start(self) -> Start:
        order = self._order()
        ended = bool((self._to.value or "").strip())
        parameters: dict[str, Any] = {
            "symbols": self._symbols.value or None,
            "timeframes": self._frames.value or None,
            "what": [one.value for one in order.what],
            "source": order.source.value,
            "start": order.start.isoformat() if order.start else None,
            "end": order.end.isoformat() if ended else None,
            "refetch": order.refetch,
        }
        return Start("backfill/manual", {name: value for name, value in parameters.items() if value is not None})

    def _ended(self, _following: Following) -> None:
        if self._shown:
            self._changed()

    def _changed(self, _event: Any = None) -> None:
        if not self._shown:
            return
        self._remember()
        try:
            order = self._order()
        except SpreadwatchError as error:
            self._run.enable(ready=False)
            self._say.object = f'<div class="foot"><span class="down" role="alert">{escape(str(error))}</span></div>'
            self._due.param.update(rows=[], empty="<b>Nothing to look for</b>The form above says what to change.")
            return
        self._run.enable(ready=True)
        self._say.object = '<div class="foot"><span>looking for what is missing…</span></div>'
        self._asked += 1
        asked = self._asked

        def looked(due: Due | None, problem: str) -> None:
            if asked != self._asked:
                return
            if due is None:
                self._say.object = f'<div class="foot"><span class="down" role="alert">{escape(problem)}</span></div>'
            else:
                self._show(due)

        self._desk.work(lambda: self._context.link.use(lambda warehouse: load_due(warehouse, order, datetime.now(UTC))), looked)

    def _show(self, due: Due) -> None:
        found = [f"<b class='strong'>{count(number)}</b> {what}" for number, what in due.sums if number]
        text = " and ".join(found) if found else "Nothing is missing"
        self._say.object = f'<div class="foot"><span>{text}{" would be fetched" if found else ""}</span></div>'
        rows = [
            {
                "id": f"{line.symbol}/{line.of}",
                "cells": [
                    {"t": line.symbol, "c": "strong"},
                    line.of,
                    {"t": count(line.missing), "s": line.missing},
                    {"t": line.days, "c": "faint"},
                ],
            }
            for line in due.lines[:_SHOWN]
        ]
        self._due.param.update(rows=rows, empty="<b>Nothing is missing</b>Every candlestick and trade that the form asks for is here.")
