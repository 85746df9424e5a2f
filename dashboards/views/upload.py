"""Upload: a user's own bars or trades, looked at first, then taken as a symbol by a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.asking import outcome_text
from dashboards.assets import asset
from dashboards.format import count, escape
from dashboards.hub import Topic
from dashboards.look import Look, judge_name, look_at
from dashboards.parts.cells import cell
from dashboards.parts.fields import FIELD
from dashboards.parts.file_drop import FileDrop
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.run_card import RunCard, Start
from dashboards.parts.table import LiveTable
from dashboards.prefect import Following
from dashboards.spool import Spool
from dashboards.tables.own import Own, OwnTopic
from dashboards.views.view import Desk
from pipeline.errors import SpreadwatchError, UsageError
from pipeline.model.pair import parse_symbol
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.store.requests import RemoveSymbol

_FOUND = "as found"
_FORM_CSS = asset("data_form.css")
_CSS = asset("upload.css")
_GUIDE = (
    "Bars: a header with a time, open, high, low, close, and volume where there is one. Trades: a time, price, qty, and side and id "
    "where there are. Binance's own files are known, with and without header. CSV text, plain or as .gz, .zst or .zip."
)


class UploadPart:
    """A place for the file, what it is, under which name, the run that takes it, and the symbols that are there."""

    def __init__(self, desk: Desk, remember: Callable[[], None]) -> None:
        self._desk = desk
        self._context = desk.context
        self._spool = Spool(self._context.profile.uploads)
        self._file = ""
        self._suggested = ""
        self._look: Look | None = None
        self._asked = 0
        limit = self._context.settings.upload_max_mb
        note = f"At most {limit} MB. {_GUIDE}" if desk.operator else "Only an operator may upload; ask one for the role."
        self._drop = FileDrop(
            on_file=self._arrived, on_problem=self._refused, most_bytes=limit * 1_000_000, note=note, disabled=not desk.operator,
            margin=(4, 14, 14, 14),
        )  # fmt: skip
        self._symbol = pmui.TextInput(label="As symbol", placeholder="OWNA", value="", **FIELD)
        frames = [timeframe.name for timeframe in self._context.timeframes]
        self._frame = pmui.Select(label="Timeframe of bars", options=[_FOUND, *frames], value=_FOUND, **FIELD)
        self._facts = html(css=_CSS)
        self._sample = LiveTable(label="First rows of the file", empty="")
        self._run = RunCard(desk, label="Take as symbol", order=self._start, ended=self._ended, remembered=remember)
        self._say = html(css=asset("export.css"))
        self._judged = self._judged_card()
        self._against = pmui.Select(label="Fit against", options=[], **FIELD)
        wide: dict[str, Any] = {"margin": 0, "height": 38, "sizing_mode": "stretch_width"}
        self._open = pmui.Button(label="Open in Pair", variant="contained", color="primary", **wide)
        self._open.on_click(lambda _event: self._opened_in_pair())
        self._next = card(title("What now"), grid(self._against, self._open, css=_FORM_CSS, name="sw-data-form"), visible=False)
        self._took: tuple[str, str] = ("", "")
        self._own = LiveTable(
            columns=[{"title": "Symbol"}, {"title": "Of"}, {"title": "Rows", "align": "right"},
                     {"title": f"From ({desk.clock.city})", "hide": "s"}, {"title": f"To ({desk.clock.city})"},
                     {"title": "", "align": "right"}],
            label="Uploaded symbols", on_action=self._acted,
            empty="<b>None yet</b>A file that is taken becomes a symbol to fit, screen and export; nobody asks the exchange for it.",
        )  # fmt: skip
        self.panel: Viewable = stack(
            card(title("Upload", "your own OHLC bars or trades, as a symbol to analyse"), self._drop),
            self._judged, self._run.panel, self._next, card(title("Uploaded symbols"), self._own),
        )  # fmt: skip
        self._symbol.param.watch(self._named, "value")
        self._frame.param.watch(self._framed, "value")

    def _judged_card(self) -> pn.Column:
        form = grid(self._symbol, self._frame, css=_FORM_CSS, name="sw-data-form")
        foot = pn.Row(
            pn.Row(self._run.button, margin=(0, 0, 14, 14)), self._say, sizing_mode="stretch_width", margin=0,
            stylesheets=[":host { flex-wrap: wrap; align-items: center; }"],
        )  # fmt: skip
        return card(self._facts, self._sample, form, foot, visible=False)

    # ------------------------------------------------------------------------------------------------ the part

    def shown(self) -> None:
        """Look at the uploaded symbols, and at the run."""
        self._run.shown()
        universe = self._context.universe
        self._desk.session.want(self._show, [OwnTopic(universe.uploaded)] if universe.uploaded else [])
        if not universe.uploaded:
            self._own.rows = []

    def hidden(self) -> None:
        """Look at nothing."""
        self._run.hidden()
        self._desk.session.want(self._show, [])

    def follow(self, universe: Universe) -> None:
        """A symbol was added or removed."""
        self._offer(universe)

    def opened(self, query: Mapping[str, str]) -> None:
        """``run``."""
        if query.get("run"):
            self._run.follow(query["run"])

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"run": self._run.run_id}

    # ------------------------------------------------------------------------------------------------ the file

    def _arrived(self, upload_id: str, name: str, _size: int) -> None:
        if self._file:
            self._forget(self._file)
        self._file = upload_id
        if (self._symbol.value or "") in ("", self._suggested):  # not somebody's own word
            self._symbol.value = self._suggested = _name_for(name)
        self._next.visible = False
        self._judge()

    def _refused(self, problem: str) -> None:
        self._look = None
        self._facts.object = f'<div class="facts" role="alert"><span class="down">{escape(problem)}</span></div>'
        self._sample.param.update(rows=[], columns=[])
        self._say.object = ""
        self._run.enable(ready=False)
        self._judged.visible = True

    def _judge(self) -> None:
        """Read the file, beside the event loop."""
        self._look = None
        self._run.enable(ready=False)
        self._facts.object = '<div class="facts note">Reading the file…</div>'
        self._judged.visible = True
        self._asked += 1
        asked, upload_id = self._asked, self._file
        frame = None if self._frame.value == _FOUND else Timeframe.parse(self._frame.value)

        def looked(look: Look | None, problem: str) -> None:
            if asked != self._asked:
                return
            if look is None:
                self._refused(problem)
                return
            self._look = look
            self._draw(look)
            self._named()

        self._desk.work(lambda: look_at(self._spool.find(upload_id), frame, self._context.timeframes, datetime.now(UTC)), looked)

    def _draw(self, look: Look) -> None:
        clock = self._desk.clock
        notes = "".join(f"<li>{escape(note)}</li>" for note in look.notes)
        what = f'<b class="strong">{count(look.judged.rows)}</b> {escape(look.what)}'
        self._facts.object = (
            f'<div class="facts"><h3>{escape(look.judged.name)}</h3><p>{what}, '
            f"{clock.text(look.first)} to {clock.text(look.last)} {clock.city}</p>{f'<ul>{notes}</ul>' if notes else ''}</div>"
        )
        numeric = {name for name, kind in look.sample.schema.items() if kind.is_numeric()}
        columns = [{"title": name, "align": "right" if name in numeric else "left"} for name in look.sample.columns]
        rows = [{"id": str(at), "cells": [cell(value) for value in row]} for at, row in enumerate(look.sample.iter_rows())]
        self._sample.param.update(columns=columns, rows=rows)

    def _framed(self, _event: Any = None) -> None:
        if self._file:
            self._judge()

    def _named(self, _event: Any = None) -> None:
        """Judge the name for the file that is there."""
        look, symbol = self._look, (self._symbol.value or "").strip()
        if look is None:
            return
        self._run.enable(ready=False)
        self._tell("looking whether the name fits…")
        self._asked += 1
        asked, universe = self._asked, self._context.universe

        def judged(words: str | None, problem: str) -> None:
            if asked != self._asked:
                return
            if words is None:
                self._tell(f'<span class="down" role="alert">{escape(problem)}</span>')
            else:
                self._tell(escape(f"{count(look.judged.rows)} {look.what}: {words}"))
                self._run.enable(ready=True)

        link, profile = self._context.link, self._context.profile
        self._desk.work(lambda: link.use(lambda warehouse: judge_name(warehouse, profile, look, symbol, universe)), judged)

    def _tell(self, text: str) -> None:
        self._say.object = f'<div class="foot"><span>{text}</span></div>'

    def _forget(self, upload_id: str) -> None:
        self._desk.work(lambda: self._spool.remove(upload_id), lambda _nothing, _problem: None)

    # ------------------------------------------------------------------------------------------------ taking it

    def _start(self) -> Start:
        if self._look is None:
            msg = "there is no file to take; choose one first"
            raise UsageError(msg)
        symbol = parse_symbol((self._symbol.value or "").strip())
        source = str(self._spool.find(self._file).resolve())
        timeframe = self._look.judged.timeframe
        parameters: dict[str, Any] = {"source": source, "symbols": [symbol]}
        if timeframe is not None:
            parameters["timeframes"] = [timeframe.name]
        self._took = (symbol, timeframe.name if timeframe else "1m")
        return Start("backfill/manual", parameters)

    def _ended(self, following: Following) -> None:
        """The run has had the file; it is gone whatever became of it."""
        if self._file and f"/{self._file}/" in str(following.run.parameters.get("source")):
            self._forget(self._file)
            self._file, self._look = "", None
            self._judged.visible = False
        row = next(iter(following.rows), {})
        if following.run.ok and row.get("symbol"):
            self._took = (str(row["symbol"]), str(row.get("timeframe") or "1m"))
            self._offer(self._context.universe)
            self._next.visible = True

    def _offer(self, universe: Universe) -> None:
        """Symbols that the new one can be fitted against, other own ones first."""
        others = [symbol for symbol in (*universe.uploaded, *universe.symbols) if symbol != self._took[0]]
        self._against.options = others
        if self._against.value not in others:
            self._against.value = next(iter(others), None)

    def _opened_in_pair(self) -> None:
        symbol, timeframe = self._took
        if self._against.value:
            self._desk.go("pair", {"pair": f"{symbol}/{self._against.value}", "timeframe": timeframe})

    # ------------------------------------------------------------------------------------------------ what is there

    def _show(self, _topic: Topic, own: Any) -> None:
        if isinstance(own, Own):
            self._own.rows = [self._row(row) for row in own.rows.iter_rows(named=True)]

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        clock, frame = self._desk.clock, row["timeframe"]
        forget = [["yes", f"Forget {row['symbol']}; its data stays"]]
        remove = {"a": "remove", "l": "Remove…", "menu": forget, "title": f"Remove {row['symbol']}"}
        actions = [{"a": "fit", "l": "Fit", "title": f"Fit {row['symbol']} in Pair"}, *([remove] if self._desk.operator else [])]
        return {
            "id": f"{row['symbol']}/{frame or ''}",
            "cells": [
                {"t": row["symbol"], "c": "strong"},
                f"{frame} bars" if frame else "trades",
                count(row["rows"]),
                clock.text(row["first_ts"], seconds=False),
                clock.text(row["last_ts"], seconds=False),
                {"c": "acts", "actions": actions},
            ],
        }

    def _acted(self, action: str, row_id: str) -> None:
        symbol, _, frame = row_id.partition("/")
        if action == "fit":
            self._took = (symbol, frame or "1m")
            self._offer(self._context.universe)
            self._opened_in_pair()
        elif action == "remove:yes":
            self._remove(symbol)

    def _remove(self, symbol: str) -> None:
        desk = self._desk

        def told(outcome: str | None, problem: str) -> None:
            desk.toast(*(("error", problem) if problem else outcome_text(outcome, f"{symbol} is forgotten; its data stays")))

        desk.work(lambda: desk.ask(RemoveSymbol(symbol)), told)


def _name_for(file: str) -> str:
    """A symbol's name out of a file's, where it makes one."""
    stem = re.sub(r"[^A-Z0-9_]", "", file.upper().partition(".")[0].replace("-", "_"))[:20].strip("_")
    try:
        return parse_symbol(stem)
    except SpreadwatchError:
        return ""
