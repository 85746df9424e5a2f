"""Overview: every symbol at a glance, and the chosen one as candles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.charts.candles import CandleChart
from dashboards.charts.moment import moment_text, parse_moment
from dashboards.format import NONE, age, compact, count, number, percent, price, time_text
from dashboards.hub import Topic
from dashboards.parts.choice import Segments
from dashboards.parts.html import card, grid, html, title
from dashboards.parts.table import LiveTable
from dashboards.tables.bars import Bars, BarsTopic, Span, SpanTopic
from dashboards.tables.market import Market, MarketTopic, Symbol
from dashboards.theme import Palette
from dashboards.views.view import Desk
from pipeline.model.timeframe import Timeframe

_COLUMNS = [
    {"title": "Symbol", "sortable": True},
    {"title": "24 h"},
    {"title": "Last", "align": "right", "flash": True},
    {"title": "Change", "align": "right", "sortable": True},
    {"title": "Spread", "align": "right", "sortable": True, "hide": "s"},
    {"title": "Age", "align": "right", "hide": "s"},
]
_STALE_S = 30.0
_CELLS = 120

_HEAD_CSS = asset("overview.css")

_STRIP_CSS = asset("availability.css")


_SIDE = {"max-height": "max(420px, calc(100vh - 150px))", "overflow-y": "auto", "scrollbar-width": "thin"}
_PLACE_CSS = ":host { height: clamp(360px, calc(100vh - 312px), 760px) !important; flex: none !important; }"


class Overview:
    """The first tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        universe = self._context.universe
        self._symbols = universe.symbols
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        self._symbol = self._symbols[0]
        self._timeframe = self._timeframes.get("1m") or next(iter(self._timeframes.values()))
        self._market: Market | None = None
        self._bars: Bars | None = None
        self._at: datetime | None = None
        self._chart = CandleChart(desk.colours)
        self._head = html(css=_HEAD_CSS)
        self._strip = html(css=_STRIP_CSS)
        self._span: Span | None = None
        self._table = LiveTable(
            columns=_COLUMNS, clickable=True, label="Symbols", on_action=self._acted, styles=_SIDE,
            empty="<b>No symbols</b>Add one with <code>spreadwatch universe add SYMBOL</code>.",
        )  # fmt: skip
        self._choice = Segments(options=list(self._timeframes), value=self._timeframe.name, label="Timeframe", on_pick=self._pick_timeframe)
        live = pmui.Button(name="Live", icon="last_page", variant="text", size="small", description="Follow the newest bar again", margin=0)
        live.js_on_click(args={"x": self._chart.range, "y": self._chart.y_range}, code=self._chart.follow_code)
        live.on_click(lambda _event: self._leave())
        self._panel = self._layout(live)
        self.opened(desk.query)

    def _layout(self, live: Viewable) -> Viewable:
        tools = pn.Row(self._choice, pn.HSpacer(), live, sizing_mode="stretch_width", margin=(0, 10, 4, 5), height=34)
        figure = pn.pane.Bokeh(self._chart.model, sizing_mode="stretch_both", margin=0)
        place = pn.Column(figure, sizing_mode="stretch_width", margin=0, stylesheets=[_PLACE_CSS])
        chart = card(
            self._head, tools, place, self._strip, css_classes=["sw-main"],
        )  # fmt: skip
        market = card(title("Market", "spread in basis points"), self._table, css_classes=["sw-side"])
        return grid(chart, market, css=SPLIT_CSS, name="sw-split")

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the market and at the chosen symbol."""
        shortest = next((t for t in self._context.timeframes if t.seconds >= 60), self._context.timeframes[-1])
        topics: list[Topic] = [
            MarketTopic(self._symbols, shortest),
            BarsTopic(self._symbol, self._timeframe, self._at),
            SpanTopic(self._symbol, self._timeframe),
        ]
        self._desk.session.want(self._show, topics)

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Only the canvas needs to be told."""
        self._chart.restyle(colours)

    def opened(self, query: dict[str, str]) -> None:
        """``symbol`` and ``timeframe``, and ``at``, a moment to look at."""
        self._at = parse_moment(query.get("at"))
        self._symbol = query["symbol"] if query.get("symbol") in self._symbols else self._symbol
        self._timeframe = self._timeframes.get(query.get("timeframe", ""), self._timeframe)
        self._choice.value = self._timeframe.name
        self._chosen()

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"symbol": self._symbol, "timeframe": self._timeframe.name, "at": moment_text(self._at) if self._at else ""}

    # ------------------------------------------------------------------------------------------------ choosing

    def _acted(self, action: str, symbol: str) -> None:
        if action == "open" and symbol in self._symbols and symbol != self._symbol:
            self._symbol = symbol
            self._changed()

    def _pick_timeframe(self, name: str) -> None:
        if name in self._timeframes and name != self._timeframe.name:
            self._timeframe = self._timeframes[name]
            self._changed()

    def _leave(self) -> None:
        """Back from a moment to what is now."""
        if self._at is not None:
            self._changed()

    def _changed(self) -> None:
        self._at = None
        self._chosen()
        self.shown()
        self._desk.remember(self.state())

    def _chosen(self) -> None:
        self._table.selected = self._symbol
        self._bars = self._span = None
        self._chart.loading(self._symbol, self._timeframe)
        self._chart.mark(self._at, self._timeframe)
        self._draw_head()
        self._draw_strip()

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Market):
            self._market = value
            self._table.rows = [_row(symbol, value) for symbol in value.symbols.values()]
            self._draw_head()
        elif isinstance(value, Bars) and (value.symbol, value.timeframe) == (self._symbol, self._timeframe):
            fresh = self._bars is None or len(self._bars) != len(value)
            self._bars = value
            self._chart.show(value)
            if fresh:
                self._draw_strip()
        elif isinstance(value, Span):
            self._span = value
            self._draw_strip()

    def _draw_head(self) -> None:
        symbol = self._market.symbols.get(self._symbol) if self._market else None
        self._head.object = _head(self._symbol, symbol)

    def _draw_strip(self) -> None:
        self._strip.object = _strip(self._timeframe, self._bars, self._span)


SPLIT_CSS = """
:host(.sw-split) { display: grid !important; grid-template-columns: minmax(0, 1fr) 440px; gap: 12px; align-items: start; }
@media (max-width: 1100px) { :host(.sw-split) { grid-template-columns: minmax(0, 1fr); } }
"""


def _row(symbol: Symbol, market: Market) -> dict[str, Any]:
    old = symbol.age_s(market.time)
    change = symbol.change
    side = "" if change is None else "up" if change >= 0 else "down"
    bps = symbol.spread_bps
    spread = {"t": NONE, "title": "No quotes: switch on the setting quotes, or wait for the first one"} if bps is None else {
        "t": f"{bps:.2f}", "s": bps, "sub": "bps", "title": f"{price(symbol.bid, symbol.decimals)} / {price(symbol.ask, symbol.decimals)}",
    }  # fmt: skip
    spread.pop("sub", None)
    return {
        "id": symbol.name,
        "cells": [
            {"t": symbol.name, "c": "strong", "s": symbol.name},
            {"spark": list(symbol.spark)} if len(symbol.spark) > 1 else "",
            {"t": price(symbol.price, symbol.decimals), "s": symbol.price, "c": "strong"},
            {"t": percent(change), "s": change, "c": side},
            spread,
            {"t": age(old), "c": "warn" if old is not None and old > _STALE_S else "faint"},
        ],
    }


def _head(name: str, symbol: Symbol | None) -> str:
    if symbol is None or symbol.price is None:
        return f'<div class="head"><span class="name">{name}</span><span class="facts">waiting for the first price</span></div>'
    side = "" if symbol.change is None else "up" if symbol.change >= 0 else "down"
    hours = symbol.span_s / 3600
    over = "24 h" if hours > 23 else f"{hours:.0f} h" if hours >= 2 else f"{symbol.span_s / 60:.0f} min"
    facts = [f"{over} high <b>{price(symbol.high, symbol.decimals)}</b>", f"low <b>{price(symbol.low, symbol.decimals)}</b>"]
    facts.append(f"turnover <b>{compact(symbol.quote_volume)}</b>")
    if symbol.bid is not None and symbol.ask is not None:
        facts.append(f"bid <b>{price(symbol.bid, symbol.decimals)}</b> ask <b>{price(symbol.ask, symbol.decimals)}</b>")
        facts.append(f"spread <b>{number(symbol.spread_bps)}</b> bps")
    listed = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f'<div class="head"><span class="name">{name}</span><span class="last {side}">{price(symbol.price, symbol.decimals)}</span>'
        f'<span class="{side}">{percent(symbol.change)}</span><span class="facts">{listed}</span></div>'
    )


def _strip(timeframe: Timeframe, bars: Bars | None, span: Span | None) -> str:
    cells = "".join(f'<i class="{name}"></i>' for name in _cells(timeframe, bars))
    if span is None:
        words = "<span>Looking at what there is…</span>"
    elif not span.bars:
        words = "<span>No bars yet: they come with the first trades, or from a backfill.</span>"
    else:
        expected = span.expected(timeframe)
        first, last = (time_text(time, seconds=timeframe.seconds < 60) for time in (span.first, span.last))
        gaps = f'<b class="warn">{span.open_gaps} open</b> of {span.gaps}' if span.open_gaps else f"<b>{span.gaps or 'none'}</b>"
        share = span.bars / expected if expected else 0.0
        words = "".join(
            f"<span>{part}</span>"
            for part in (
                f"<b>{first}</b> to <b>{last}</b> UTC",
                f"<b>{count(span.bars)}</b> bars ({share * 100:.4g}% of the intervals)",
                f"<b>{count(span.complete)}</b> complete",
                f"gaps {gaps}",
            )
        )
    keys = (
        '<span class="key" style="--k:var(--sw-accent)">own trades</span>'
        '<span class="key" style="--k:color-mix(in srgb, var(--sw-accent) 45%, var(--sw-grid))">exchange bars</span>'
        '<span class="key" style="--k:var(--sw-warn)">moving</span>'
    )
    strip = f'<div class="cells" role="img" aria-label="Data availability">{cells}</div>'
    return f'<div class="strip">{strip}<div class="row">{words}{keys}</div></div>'


def _cells(timeframe: Timeframe, bars: Bars | None) -> list[str]:
    """For each part of the loaded range the worst that is in it: missing, moving, exchange bars, own trades."""
    if bars is None or not len(bars):
        return ["cx"] * _CELLS
    slots = ((bars.ts - bars.ts[0]) // timeframe.ms).astype(int)
    total = int(slots[-1]) + 1
    seen = np.full(total, -1)
    seen[slots] = bars.kind
    names = {-1: "cx", 0: "c0", 1: "c1", 2: "c2"}
    return [names[int(part.max() if timeframe.seconds == 1 else part.min())] for part in np.array_split(seen, min(_CELLS, total))]
