"""Export: any table as CSV, JSON or Parquet, with a look at what will come."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui
import polars as pl
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import NONE, count, escape, time_text
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.table import LiveTable
from dashboards.theme import Palette
from dashboards.views.view import Desk
from pipeline.errors import SpreadwatchError
from pipeline.store.export import TABLES, Filter, Format, Selection, count_rows, read_rows

_ALL = "all"
_PREVIEW = 12

FORM_CSS = asset("export_form.css")
_FOOT_CSS = asset("export.css")


class ExportView:
    """The fourth tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._asked = 0
        universe = self._context.universe
        self._symbols = list(universe.known)
        self._pairs = [str(spec.pair) for spec in universe.pairs]
        self._table = pmui.Select(label="Table", options=list(TABLES), value="bars", **FIELD)
        self._symbol = pmui.Select(label="Symbol", options=[_ALL, *self._symbols], value=self._symbols[0], **FIELD)
        frames = [timeframe.name for timeframe in self._context.timeframes]
        self._frame = pmui.Select(label="Timeframe", options=[_ALL, *frames], value="1m" if "1m" in frames else frames[0], **FIELD)
        self._from = pmui.TextInput(label="From (UTC)", placeholder="YYYY-MM-DD HH:MM", value="", **FIELD)
        self._to = pmui.TextInput(label="Before (UTC)", placeholder="YYYY-MM-DD HH:MM", value="", **FIELD)
        self._form = Segments(
            options=[[form.value, _NAMES[form]] for form in Format], value=Format.CSV.value, label="Format", on_pick=self._changed
        )
        self._foot = html(css=_FOOT_CSS)
        self._meaning = html('<div class="note" style="padding:0 14px 10px"></div>')
        self._preview = LiveTable(label="Preview", empty="Reading…")
        form = grid(
            self._table, self._symbol, self._frame, self._from, self._to,
            css=FORM_CSS, name="sw-form",
        )  # fmt: skip
        row = pn.Row(self._form, margin=(0, 0, 8, 12))
        self._panel = stack(
            card(title("Export", "exact decimals, times in UTC with microseconds"), form, self._meaning, row, self._foot),
            card(title("Preview", f"the first {_PREVIEW} rows"), self._preview),
        )
        self._table.param.watch(self._table_picked, "value")
        for widget in (self._symbol, self._frame, self._from, self._to):
            widget.param.watch(self._changed, "value")
        self._table_picked()
        self.opened(desk.query)

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Count and preview anew: there may be more by now."""
        self._changed()

    def hidden(self) -> None:
        """Nothing is looked at."""

    def restyle(self, colours: Palette) -> None:
        """Nothing here is drawn on a canvas."""

    def opened(self, query: dict[str, str]) -> None:
        """``table``, ``symbol``, ``timeframe``."""
        for name, widget in (("table", self._table), ("symbol", self._symbol), ("timeframe", self._frame)):
            if query.get(name) in widget.options:
                widget.value = query[name]

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"table": self._table.value, "symbol": self._symbol.value, "timeframe": self._frame.value}

    # ------------------------------------------------------------------------------------------------ choosing

    def _table_picked(self, _event: Any = None) -> None:
        facts = TABLES[self._table.value]
        both = [*self._pairs, *self._symbols]
        options = {Filter.SYMBOL: self._symbols, Filter.PAIR: both, Filter.SERIES: both, Filter.NONE: []}[facts.filter]
        self._symbol.options = [_ALL, *options]
        if self._symbol.value not in self._symbol.options:
            self._symbol.value = _ALL
        self._symbol.disabled = facts.filter is Filter.NONE
        self._frame.disabled = not facts.timed
        self._from.disabled = self._to.disabled = facts.time is None
        self._meaning.object = f'<div class="note" style="padding:0 14px 10px">{escape(facts.meaning)}.</div>'
        self._changed()

    def _selection(self) -> Selection:
        """What the form asks for.

        Raises:
            UsageError: when it means nothing.
            ValueError: when a time is none.
        """
        facts = TABLES[self._table.value]
        picked = Selection(
            facts.name,
            None if self._symbol.disabled or self._symbol.value == _ALL else self._symbol.value,
            None if self._frame.disabled or self._frame.value == _ALL else self._frame.value,
            None if facts.time is None else _time(self._from.value),
            None if facts.time is None else _time(self._to.value),
        )
        picked.check()
        return picked

    def _changed(self, _event: Any = None) -> None:
        try:
            selection = self._selection()
        except (SpreadwatchError, ValueError) as error:
            said = f'<span class="down">{escape(str(error))}</span>'
            self._foot.object = f'<div class="foot"><span class="go" aria-disabled="true">Download</span>{said}</div>'
            return
        self._desk.remember(self.state())
        self._link(selection, "counting…")
        self._asked += 1
        asked = self._asked

        def read(found: tuple[int, pl.DataFrame] | None, problem: str) -> None:
            if asked != self._asked:  # something else was chosen meanwhile
                return
            if found is None:
                self._link(selection, f'<span class="down">{escape(problem)}</span>')
            else:
                self._show(selection, *found)

        self._desk.work(lambda: self._read(selection), read)

    def _read(self, selection: Selection) -> tuple[int, pl.DataFrame]:
        return self._context.link.use(lambda warehouse: (count_rows(warehouse, selection), read_rows(warehouse, selection, most=_PREVIEW)))

    def _show(self, selection: Selection, total: int, rows: pl.DataFrame) -> None:
        self._link(selection, f'<span class="strong">{count(total)}</span> row{"" if total == 1 else "s"}')
        numeric = {name for name, kind in rows.schema.items() if kind.is_numeric()}
        columns = [{"title": name, "align": "right" if name in numeric else "left"} for name in rows.columns]
        listed = [{"id": str(at), "cells": [_cell(value) for value in row]} for at, row in enumerate(rows.iter_rows())]
        nothing = "<b>No rows</b>Nothing matches; widen the range or choose another symbol."
        self._preview.param.update(columns=columns, rows=listed, empty=nothing)

    def _link(self, selection: Selection, words: str) -> None:
        form = Format(self._form.value)
        asked = {"table": selection.table, "format": form.value}
        asked |= {"symbol": selection.symbol} if selection.symbol else {}
        asked |= {"timeframe": selection.timeframe} if selection.timeframe else {}
        asked |= {name: time.isoformat() for name, time in (("from", selection.start), ("to", selection.end)) if time}
        name = selection.file_name(form)
        link = f'<a class="go" href="download?{escape(urlencode(asked))}" download="{escape(name)}">Download {_NAMES[form]}</a>'
        self._foot.object = f'<div class="foot">{link}<span>{words}</span><span class="faint">{escape(name)}</span></div>'


_NAMES = {Format.CSV: "CSV", Format.JSON: "JSON", Format.PARQUET: "Parquet"}


def _time(text: str) -> datetime | None:
    text = (text or "").strip()
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no time; write one such as 2024-08-08 12:00"
        raise ValueError(msg) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _cell(value: Any) -> str:
    match value:
        case None:
            return NONE
        case datetime():
            return time_text(value) + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")
        case date():
            return value.isoformat()
        case bool():
            return "true" if value else "false"
        case Decimal():
            whole, _, part = f"{value:f}".partition(".")
            return whole + (f".{part.rstrip('0')}" if part.rstrip("0") else "")
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)
