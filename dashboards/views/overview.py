"""Overview: every symbol at a glance, and the chosen one as candles."""

from __future__ import annotations

from typing import Any

import panel as pn
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import compact, count, number, percent, price
from dashboards.hub import STATUS, Status, Topic
from dashboards.parts.choice import Segments
from dashboards.parts.html import card, grid, html, title
from dashboards.parts.strip import Strip
from dashboards.tables.availability import Availability, AvailabilityTopic
from dashboards.tables.bars import Bars, ms_of
from dashboards.tables.glance import Glance, GlanceTopic
from dashboards.tables.market import Market, MarketTopic, Symbol
from dashboards.theme import Palette
from dashboards.views.candle_part import CandlePart
from dashboards.views.market_part import MarketPart, side_of
from dashboards.views.view import Desk
from pipeline.model.universe import Universe

_HEAD_CSS = asset("overview.css")

_STRIP_CSS = asset("availability.css")
_LAYOUT_CSS = asset("overview_layout.css")


class Overview:
    """The first tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._symbols = self._context.universe.known
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        self._market: Market | None = None
        self._known: Availability | None = None
        self._looking = self._silent = False
        timeframe = self._timeframes.get("1m") or next(iter(self._timeframes.values()))
        self._candles = CandlePart(desk, self._symbols[0], timeframe, changed=self.shown, moved=self._moved)
        self._head = html(css=_HEAD_CSS)
        self._strip = Strip(desk.clock, desk.colours, on_go=self._candles.look_at)
        self._words = html(css=_STRIP_CSS)
        self._list = MarketPart(chosen=self._pick_symbol, pair_chosen=lambda pair: desk.go("pair", {"pair": pair}), moved=self._moved)
        self._choice = Segments(options=list(self._timeframes), value=timeframe.name, label="Timeframe", on_pick=self._pick_timeframe)
        self._panel = self._layout()
        self.opened(desk.query)

    def _layout(self) -> Viewable:
        ranges, live = self._candles.controls
        tools = pn.Row(
            self._choice, html('<i class="rule"></i>', css=_HEAD_CSS, width=13, sizing_mode=None), ranges, pn.HSpacer(), live,
            sizing_mode="stretch_width", margin=(0, 10, 4, 5), stylesheets=[":host { flex-wrap: wrap; row-gap: 2px; min-height: 34px; }"],
        )  # fmt: skip
        chart = card(self._head, tools, self._candles.figure, self._strip, self._words, css_classes=["sw-chart"])
        tiles, pairs, table = self._list.parts
        tiles.css_classes, pairs.css_classes = ["sw-tiles"], ["sw-pairs"]
        pairs.visible = bool(self._context.universe.pairs)
        note = "spreads in basis points, Amihud in basis points a million of turnover"
        market = card(title("Market", note), table, css_classes=["sw-market"])
        return grid(tiles, pairs, chart, market, css=_LAYOUT_CSS, name="sw-overview")

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        self._list.renew()
        return self._panel

    def shown(self) -> None:
        """Look at the market, at the pairs and at the chosen symbol."""
        self._looking = True
        shortest = next((t for t in self._context.timeframes if t.seconds >= 60), self._context.timeframes[-1])
        symbol, timeframe = self._candles.symbol, self._candles.timeframe
        chosen, pairs = self._context.settings, tuple(spec.pair for spec in self._context.universe.pairs)
        self._desk.session.want(
            self._show,
            [
                STATUS,
                MarketTopic(self._symbols, shortest),
                *self._candles.topics,
                AvailabilityTopic(symbol, timeframe),
                GlanceTopic(pairs, shortest, chosen.zscore_window, chosen.correlation_window, chosen.max_fill),
            ],
        )

    def hidden(self) -> None:
        """Look at nothing."""
        self._looking = False
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Only what is drawn on a canvas needs to be told."""
        self._candles.restyle(colours)
        self._strip.restyle(colours)

    def follow(self, universe: Universe) -> None:
        """List what there is now; another symbol is chosen when the chosen one has gone."""
        self._symbols = universe.known or self._symbols
        self._list.parts[1].visible = bool(universe.pairs)
        if self._candles.symbol not in self._symbols:
            self._candles.choose(self._symbols[0], self._candles.timeframe)
            self._chosen()

    def opened(self, query: dict[str, str]) -> None:
        """``symbol`` and ``timeframe``, where the chart stands (``CandlePart.opened``), ``sort`` and ``filter`` of the table."""
        symbol = query["symbol"] if query.get("symbol") in self._symbols else self._candles.symbol
        timeframe = self._timeframes.get(query.get("timeframe", ""), self._candles.timeframe)
        self._candles.opened(query, symbol, timeframe)
        self._choice.value = timeframe.name
        self._list.opened(query)
        self._chosen()

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        chosen = {"symbol": self._candles.symbol, "timeframe": self._candles.timeframe.name}
        return {**chosen, **self._candles.state(), **self._list.state()}

    # ------------------------------------------------------------------------------------------------ choosing

    def _pick_symbol(self, symbol: str) -> None:
        if symbol in self._symbols and symbol != self._candles.symbol:
            self._candles.choose(symbol, self._candles.timeframe)
            self._changed()

    def _pick_timeframe(self, name: str) -> None:
        if name in self._timeframes and name != self._candles.timeframe.name:
            self._candles.choose(self._candles.symbol, self._timeframes[name])
            self._changed()

    def _changed(self) -> None:
        self._chosen()
        self.shown()
        self._desk.remember(self.state())

    def _moved(self) -> None:
        """The chart shows another part of the history."""
        seen = self._candles.seen
        self._strip.seen = [seen.start_ms, seen.end_ms] if seen else []
        if self._looking:
            self._desk.remember(self.state())

    def _chosen(self) -> None:
        self._list.select(self._candles.symbol)
        self._strip.label = f"History of {self._candles.symbol} {self._candles.timeframe}: choose a place to look at"
        self._draw_head()
        self._draw_history()

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Market):
            self._market = value
            self._list.show(value, silent=self._silent)
            self._draw_head()
        elif isinstance(value, Status):
            before, self._silent = self._silent, value.state in ("down", "quiet")
            if self._market is not None and before != self._silent:
                self._list.show(self._market, silent=self._silent)
        elif isinstance(value, Glance):
            self._list.show_pairs(value, self._context.settings.adf_significance)
        elif isinstance(value, Bars):
            self._candles.take(value)
        elif isinstance(value, Availability) and (value.symbol, value.timeframe) == (self._candles.symbol, self._candles.timeframe):
            ends = value.ends
            self._known = value
            self._candles.reach((ms_of(ends[0]), ms_of(ends[1])) if ends else None)
            self._draw_history()

    def _draw_history(self) -> None:
        known = self._known
        if known is not None and (known.symbol, known.timeframe) != (self._candles.symbol, self._candles.timeframe):
            known = None
        seen = self._candles.seen
        self._strip.seen = [seen.start_ms, seen.end_ms] if seen else []
        self._strip.tell(known)
        self._words.object = history_words(known, self._desk)

    def _draw_head(self) -> None:
        symbol = self._market.symbols.get(self._candles.symbol) if self._market else None
        self._head.object = _head(self._candles.symbol, symbol)


def _head(name: str, symbol: Symbol | None) -> str:
    if symbol is None or symbol.price is None:
        return f'<div class="head"><span class="name">{name}</span><span class="facts">waiting for the first price</span></div>'
    side = side_of(symbol.change)
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


def history_words(known: Availability | None, desk: Desk) -> str:
    """What the strip shows, in words: the strip's text alternative, and its key."""
    if known is None:
        words = "<span>Looking at what there is…</span>"
    elif known.ends is None:
        words = "<span>No bars yet: they come with the first trades, or from a backfill.</span>"
    else:
        first, last = (desk.clock.text(time, seconds=known.timeframe.seconds < 60) for time in known.ends)
        whole = sum(day.complete for day in known.days)
        gaps = (
            f'<b class="warn">{known.open_gaps} open</b> of {len(known.gaps)}' if known.open_gaps else f"<b>{len(known.gaps) or 'none'}</b>"
        )
        facts = [
            f"<b>{first}</b> to <b>{last}</b> {desk.clock.name}",
            f"<b>{count(known.bars)}</b> bars, <b>{known.coverage * 100:.4g}%</b> of the intervals",
            f"gaps {gaps}",
        ]
        if known.days:
            facts.append(f"days complete <b>{whole}</b> of {len(known.days)}")
        words = "".join(f"<span>{fact}</span>" for fact in facts)
    keys = (
        '<span class="key own">own trades</span><span class="key exchange">exchange bars</span>'
        '<span class="key moving">incomplete</span><span class="key none">none</span><span class="key gap">gap</span>'
    )
    return f'<div class="words"><div class="row">{words}</div><div class="row keys" aria-hidden="true">{keys}</div></div>'
