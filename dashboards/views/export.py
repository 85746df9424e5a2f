"""Export: any table as CSV, JSON or Parquet, with a look at what will come, and the same by command and in Python."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui
import polars as pl
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import count, escape
from dashboards.parts.cells import cell
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.snippets import Snippets
from dashboards.parts.table import LiveTable
from dashboards.views.view import Desk
from pipeline.errors import SpreadwatchError
from pipeline.model.universe import Universe
from pipeline.store import Warehouse
from pipeline.store.export import TABLES, Filter, Format, Selection, count_rows, estimated_bytes, read_rows

_ALL = "all"
_PREVIEW = 12
_SAMPLE = 1_000

FORM_CSS = asset("export_form.css")
_FOOT_CSS = asset("export.css")


class ExportPart:
    """A form, what will come of it, and the link that brings it."""

    def __init__(self, desk: Desk, remember: Callable[[], None]) -> None:
        self._desk = desk
        self._context = desk.context
        self._remember = remember
        self._asked = 0
        self._shown = False
        universe = self._context.universe
        self._symbols = list(universe.known)
        self._pairs = [str(spec.pair) for spec in universe.pairs]
        self._table = pmui.Select(label="Table", options=list(TABLES), value="bars", **FIELD)
        self._symbol = pmui.Select(label="Symbol", options=[_ALL, *self._symbols], value=next(iter(self._symbols), _ALL), **FIELD)
        frames = [timeframe.name for timeframe in self._context.timeframes]
        self._frame = pmui.Select(label="Timeframe", options=[_ALL, *frames], value="1m" if "1m" in frames else frames[0], **FIELD)
        zone = desk.clock.city
        self._from = pmui.TextInput(label=f"From ({zone})", placeholder="YYYY-MM-DD HH:MM", value="", **FIELD)
        self._to = pmui.TextInput(label=f"Before ({zone})", placeholder="YYYY-MM-DD HH:MM", value="", **FIELD)
        self._form = Segments(
            options=[[form.value, _NAMES[form]] for form in Format], value=Format.CSV.value, label="Format", on_pick=self._changed
        )
        self._foot = html(css=_FOOT_CSS)
        self._meaning = html('<div class="note" style="padding:0 14px 10px"></div>')
        self._same = Snippets()
        self._preview = LiveTable(label="Preview", empty="Reading…")
        form = grid(
            self._table, self._symbol, self._frame, self._from, self._to,
            css=FORM_CSS, name="sw-form",
        )  # fmt: skip
        row = pn.Row(self._form, margin=(0, 0, 8, 12))
        said = "exact decimals; times in the file are UTC with microseconds"
        self.panel: Viewable = stack(
            card(title("Export", said), form, self._meaning, row, self._foot),
            card(title("Preview", f"the first {_PREVIEW} rows"), self._preview),
            card(title("The same by command, and in Python"), self._same),
        )
        self._table.param.watch(self._table_picked, "value")
        for widget in (self._symbol, self._frame, self._from, self._to):
            widget.param.watch(self._changed, "value")
        self._table_picked()

    # ------------------------------------------------------------------------------------------------ the part

    def shown(self) -> None:
        """Count and preview anew: there may be more by now."""
        self._shown = True
        self._changed()

    def hidden(self) -> None:
        """Nothing is looked at."""
        self._shown = False

    def follow(self, universe: Universe) -> None:
        """Offer what there is now."""
        self._symbols = list(universe.known)
        self._pairs = [str(spec.pair) for spec in universe.pairs]
        self._table_picked()

    def opened(self, query: Mapping[str, str]) -> None:
        """``table``, ``symbol``, ``timeframe``, ``from``, ``to``, ``format``."""
        for name, widget in (("table", self._table), ("symbol", self._symbol), ("timeframe", self._frame)):
            if query.get(name) in widget.options:
                widget.value = query[name]
        for name, field in (("from", self._from), ("to", self._to)):
            if name in query:
                field.value = query[name]
        if query.get("format") in set(Format):
            self._form.value = query["format"]

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        chosen = {"table": self._table.value, "symbol": self._symbol.value, "timeframe": self._frame.value}
        return {**chosen, "from": self._from.value.strip(), "to": self._to.value.strip(), "format": self._form.value}

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
        """
        facts = TABLES[self._table.value]
        picked = Selection(
            facts.name,
            None if self._symbol.disabled or self._symbol.value == _ALL else self._symbol.value,
            None if self._frame.disabled or self._frame.value == _ALL else self._frame.value,
            None if facts.time is None else self._desk.clock.typed(self._from.value, "From"),
            None if facts.time is None else self._desk.clock.typed(self._to.value, "Before"),
        )
        picked.check()
        return picked

    def _changed(self, _event: Any = None) -> None:
        if not self._shown:
            return
        form = Format(self._form.value)
        try:
            selection = self._selection()
        except SpreadwatchError as error:
            said = f'<span class="down" role="alert">{escape(str(error))}</span>'
            self._foot.object = f'<div class="foot"><span class="go" aria-disabled="true">Download</span>{said}</div>'
            return
        self._remember()
        self._link(selection, "counting…")
        self._same.items = _same(selection, form, self._context.profile.name, str(self._context.settings.data_dir))
        self._asked += 1
        asked = self._asked

        def read(found: tuple[int, int, pl.DataFrame] | None, problem: str) -> None:
            if asked != self._asked:  # something else was chosen meanwhile
                return
            if found is None:
                self._link(selection, f'<span class="down" role="alert">{escape(problem)}</span>')
            else:
                self._show(selection, *found)

        self._desk.work(lambda: self._read(selection, form), read)

    def _read(self, selection: Selection, form: Format) -> tuple[int, int, pl.DataFrame]:
        """How many rows there are, about how many bytes, and the first rows."""

        def asked(warehouse: Warehouse) -> tuple[int, pl.DataFrame]:
            return count_rows(warehouse, selection), read_rows(warehouse, selection, most=_SAMPLE)

        total, sample = self._context.link.use(asked)
        return total, estimated_bytes(sample, form, total), sample.head(_PREVIEW)

    def _show(self, selection: Selection, total: int, size: int, rows: pl.DataFrame) -> None:
        about = f", about {_size(size)}" if total else ""
        self._link(selection, f'<span class="strong">{count(total)}</span> row{"" if total == 1 else "s"}{about}')
        numeric = {name for name, kind in rows.schema.items() if kind.is_numeric()}
        columns = [{"title": name, "align": "right" if name in numeric else "left"} for name in rows.columns]
        listed = [{"id": str(at), "cells": [cell(value) for value in row]} for at, row in enumerate(rows.iter_rows())]
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


def _same(selection: Selection, form: Format, profile: str, data_dir: str) -> list[dict[str, str]]:
    """The same export for a terminal and for a program."""
    named = {name: value for name, value in (("symbol", selection.symbol), ("timeframe", selection.timeframe)) if value}
    ranged = {name: time for name, time in (("start", selection.start), ("end", selection.end)) if time}
    words = ["spreadwatch", "export", selection.table, "--profile", profile]
    for name, value in named.items():
        words += [f"--{name}", value]
    for name, time in ranged.items():
        words += ["--from" if name == "start" else "--to", f"{time:%Y-%m-%dT%H:%M:%SZ}"]
    words += ["--format", form.value, "--out", selection.file_name(form)]
    picked = [repr(selection.table), *(f"{name}={value!r}" for name, value in named.items())]
    picked += [f"{name}=datetime.fromisoformat({time.isoformat()!r})" for name, time in ranged.items()]
    lines = [
        *(["from datetime import datetime"] if ranged else []),
        "from pathlib import Path",
        "from pipeline.profile import load_profile",
        "from pipeline.store import Role, open_warehouse",
        "from pipeline.store.export import Selection, read_rows",
        f"with open_warehouse(load_profile(Path({data_dir!r}), {profile!r}), Role.READER) as warehouse:",
        f"    frame = read_rows(warehouse, Selection({', '.join(picked)}))",
    ]
    return [{"label": "command", "text": shlex.join(words)}, {"label": "Python", "text": "\n".join(lines)}]


def _size(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.{1 if size < 10 * unit else 0}f} {name}"
    return f"{size} bytes"


_NAMES = {Format.CSV: "CSV", Format.JSON: "JSON", Format.PARQUET: "Parquet"}
