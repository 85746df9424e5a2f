"""The statistics of a study on the screen: a page of rows, the newest first, and the way to all of them as a file."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

import panel as pn
import panel_material_ui as pmui
import polars as pl
from panel.viewable import Viewable

from dashboards.clock import Clock
from dashboards.format import NONE, compact, decimals_of, escape, number, price, significant
from dashboards.order import address_of, time_address
from dashboards.parts.html import html, stack
from dashboards.parts.table import LiveTable
from dashboards.statistics import statistics
from dashboards.study import Study
from pipeline.store.export import Format

PAGE = 20
ROUTE = "statistics"
_NAMES = {Format.CSV: "CSV", Format.JSON: "JSON", Format.PARQUET: "Parquet"}
_POSITIONS = {1: "\u25b2 long", -1: "\u25bc short", 0: ""}
_CSS = """
.foot { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; padding: 4px 14px 10px; font-size: 12.5px; }
.foot a { border: 1px solid var(--sw-line); border-radius: 6px; padding: 6px 12px; color: var(--sw-strong); font-weight: 500; }
.foot a:hover { border-color: var(--sw-accent); color: var(--sw-accent); text-decoration: none; }
"""


class StatisticsTable:
    """Filled only while somebody looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._study: Study | None = None
        self._thresholds = (2.0, 0.5)
        self._page = 0
        self._foot = html(css=_CSS)
        self._table = LiveTable(label="Statistics of the pair, bar by bar", empty="<b>No rows</b>Nothing computed yet.")
        small: dict[str, Any] = {"variant": "text", "size": "small", "margin": 0}
        self._newer, self._older = pmui.Button(name="Newer", **small), pmui.Button(name="Older", **small)
        self._where = html(css=_CSS, sizing_mode=None, align="center")
        self._newer.on_click(lambda _event: self._turn(-1))
        self._older.on_click(lambda _event: self._turn(1))
        pager = pn.Row(self._newer, self._older, self._where, margin=(4, 8, 6, 8))
        self.model: Viewable = stack(self._foot, pn.Column(self._table, pager, sizing_mode="stretch_width", margin=0))

    def show(self, study: Study | None, thresholds: tuple[float, float]) -> None:
        """Show the rows of a study; the page that was turned to stays."""
        self._study, self._thresholds = study, thresholds
        self._draw()

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._draw()

    def _draw(self) -> None:
        study = self._study
        total = 0 if study is None else len(study.stretch)
        last = max(0, (total - 1) // PAGE)
        self._page = min(max(0, self._page), last)
        self._newer.disabled, self._older.disabled = self._page == 0, self._page >= last
        if study is None:
            self._foot.object = self._where.object = ""
            self._table.rows = []
            return
        rows = statistics(study, entry=self._thresholds[0], leave=self._thresholds[1]).reverse()
        shown = rows.slice(self._page * PAGE, PAGE)
        self._fill(study, rows, shown)
        begin = self._page * PAGE
        self._where.object = f'<span class="faint">{begin + 1:,} to {begin + shown.height:,} of {total:,}</span>'
        links = "".join(
            f'<a href="{ROUTE}?{escape(urlencode({**download_query(study, self._thresholds), "format": form.value}))}"'
            f' download="{escape(file_name(study, form))}">{_NAMES[form]}</a>'
            for form in Format
        )
        self._foot.object = f'<div class="foot"><span class="faint">All {total:,} rows, 15 columns:</span>{links}</div>'

    def _fill(self, study: Study, rows: pl.DataFrame, shown: pl.DataFrame) -> None:
        places = [decimals_of(rows[leg].head(200)) for leg in ("y", "x")]
        right = {"align": "right"}
        columns = [
            {"title": f"Time ({self._clock.name})"}, {"title": study.order.pair.y, **right}, {"title": study.order.pair.x, **right},
            {"title": "Spread", **right}, {"title": "z", **right}, {"title": "Correlation", "hide": "s", **right},
            {"title": "\u03b2", "hide": "s", **right}, {"title": "Rolling \u03b2", "hide": "m", **right},
            {"title": "Rolling R\u00b2", "hide": "m", **right}, {"title": "Volume y", "hide": "m", **right},
            {"title": "Volume x", "hide": "m", **right}, {"title": "Position", "hide": "s"},
        ]  # fmt: skip
        listed = [self._row(row, places) for row in shown.iter_rows(named=True)]
        self._table.param.update(columns=columns, rows=listed)

    def _row(self, row: dict[str, Any], places: list[int]) -> dict[str, Any]:
        time = row["ts"].astimezone(UTC)
        y, x = price(row["y"], places[0]), price(row["x"], places[1])
        cells: list[Any] = [
            self._clock.text(time), _leg(y, filled=row["y_filled"]), _leg(x, filled=row["x_filled"]), significant(row["spread"], 6),
            number(row["zscore"]), number(row["correlation"]), significant(row["beta"], 6), significant(row["rolling_beta"], 6),
            number(row["rolling_r_squared"], 3), _amount(row["y_quote_volume"]), _amount(row["x_quote_volume"]),
            _POSITIONS[row["position"]],
        ]  # fmt: skip
        return {"id": time.isoformat(), "cells": cells}


def download_query(study: Study, thresholds: tuple[float, float]) -> dict[str, str]:
    """An address's query that gives the same rows again: the range in so many words, the model by its name."""
    order = study.order
    end = study.last + timedelta(seconds=order.timeframe.seconds)
    exact = {"from": time_address(study.first), "to": time_address(end)}
    return {**address_of(order), **exact, "entry": f"{thresholds[0]:g}", "exit": f"{thresholds[1]:g}"}


def file_name(study: Study, form: Format) -> str:
    """What the file is called."""
    order, span = study.order, f"{study.first:%Y%m%dT%H%M%S}-{study.last:%Y%m%dT%H%M%S}"
    return f"{order.pair.y}-{order.pair.x}_{order.timeframe}_{study.line.method}_{span}.{form.value}"


def _leg(text: str, *, filled: bool) -> Any:
    return {"t": text, "sub": "carried forward", "c": "faint"} if filled else text


def _amount(value: float | None) -> str:
    return NONE if value is None else compact(value)
