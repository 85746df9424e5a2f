"""Candlesticks, VWAP and volume that move: hollow when up, filled when down, hatched while incomplete, the last price with its tag.

The legend, the price line and the tag are kept by the browser itself from the data it has; the server sends candles only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, InlineStyleSheet, Label, LinearColorMapper, NumeralTickFormatter, Span
from bokeh.transform import transform
from numpy.typing import NDArray

from dashboards.assets import asset
from dashboards.charts.described import describe
from dashboards.charts.figure import feed, make_figure, point_at, price_axis, restyle, time_range
from dashboards.charts.moment import MomentMark
from dashboards.charts.window import Follow, Still, TimeWindow
from dashboards.charts.zoned import zoned
from dashboards.clock import Clock
from dashboards.tables.bars import Bars, Kind
from dashboards.tables.history import Window
from dashboards.theme import Palette
from pipeline.model.timeframe import Timeframe

_COLUMNS = (
    "ts", "open", "high", "low", "close", "volume", "vwap", "trades", "count", "kind", "middle", "body", "half", "side", "fill",
    "vfill",
)  # fmt: skip
_HATCHED = ("ts", "volume", "middle", "body", "half", "side")
_SHOWN = 140
_VOLUME_PX = 84
_UP, _DOWN = 0.0, 1.0

# `div.tags` is [index under the pointer or null, decimals of the price, message when there are no bars, milliseconds of a candle,
# its length in words where it is longer than a bar, colour of up, colour of down].
_LEGEND_JS = asset("candles.js")

_LEGEND_CSS = asset("candles.css")


class CandleChart:
    """One chart, for one session: prices above, volume below, one axis of time."""

    def __init__(self, colours: Palette, clock: Clock, *, on_seen: Callable[[Window, bool], None]) -> None:
        self._clock = clock
        self._source = ColumnDataSource(_nothing())
        # A few rows of their own: Bokeh draws a pattern anew for each row of a hatched glyph at each change, hatched or not.
        self._hatched = ColumnDataSource({name: np.empty(0) for name in _HATCHED})
        self._range = time_range(60_000, _SHOWN)
        crosshair = Span(dimension="height")
        self._prices = make_figure(self._range, clock=clock, height=None, crosshair=crosshair)
        self._volumes = make_figure(self._range, clock=clock, height=_VOLUME_PX, crosshair=crosshair)
        self._colours = colours
        self._mapper = LinearColorMapper(palette=[colours.up, colours.down], low=_UP, high=_DOWN)
        self._draw()
        self._line = Span(dimension="width", location=0, line_dash=[2, 3], line_width=1, visible=False)
        self._prices.add_layout(self._line)
        self._tag = Label(
            x=0, x_units="screen", y=0, level="overlay", text="", text_baseline="middle", text_align="right", text_font_size="11px",
            text_color="#FFFFFF", padding=4, border_radius=3, visible=False,
        )  # fmt: skip
        self._prices.add_layout(self._tag)
        self._legend = Div(
            text="", tags=[None, 2, "", 0, "", "", ""], sizing_mode="stretch_width", margin=0,
            stylesheets=[InlineStyleSheet(css=_LEGEND_CSS)],
        )  # fmt: skip
        self._mark = MomentMark([self._prices, self._volumes], self._source, clock)
        self._connect()
        self._window = TimeWindow(self._prices, self._source, on_seen=on_seen)
        self._shown: tuple[str, str, int] | None = None
        self.restyle(colours)
        self.model = column(self._legend, self._prices, self._volumes, sizing_mode="stretch_both", spacing=0, margin=0)

    def _draw(self) -> None:
        source, colour = self._source, transform("side", self._mapper)
        # Rectangles rather than vbars: bars that lie outside the frame would be drawn as lines on its edge.
        box = {"x": "ts", "width": 42_000, "source": source, "line_color": colour}
        self._wicks = self._prices.segment(x0="ts", y0="high", x1="ts", y1="low", source=source, color=colour, line_width=1)
        # A hollow body must hide the wick behind it: it is painted with the panel's colour first.
        self._masks = self._prices.rect(y="middle", height="body", **(box | {"line_color": None}))
        self._bodies = self._prices.rect(y="middle", height="body", fill_color=colour, fill_alpha="fill", **box)
        self._vwap = self._prices.line(x="ts", y="vwap", source=source, line_width=1.4, line_alpha=0.9)
        self._bars = self._volumes.rect(y="half", height="volume", fill_color=colour, fill_alpha="vfill", line_alpha=0.55, **box)
        hatch = {"hatch_pattern": "right_diagonal_line", "hatch_color": colour, "hatch_scale": 5, "hatch_weight": 1}
        box |= {"source": self._hatched, "fill_color": None, "line_color": None, **hatch}
        self._moving_bodies = self._prices.rect(y="middle", height="body", hatch_alpha=0.9, **box)
        self._moving_bars = self._volumes.rect(y="half", height="volume", hatch_alpha=0.7, **box)
        self._prices.y_range.renderers = [self._wicks]
        self._volumes.y_range.update(start=0, range_padding=0.15)
        self._prices.xaxis.visible = False
        self._prices.min_border_bottom = 2
        self._volumes.min_border_top = 2
        self._volumes.yaxis.formatter = NumeralTickFormatter(format="0.[0]a")
        self._volumes.yaxis.ticker.desired_num_ticks = 2
        self._volumes.yaxis.ticker.num_minor_ticks = 0
        self._volumes.ygrid.visible = False

    def _connect(self) -> None:
        things = {"figure": self._prices, "source": self._source, "div": self._legend, "line": self._line, "tag": self._tag}
        follow = zoned(self._clock, _LEGEND_JS, **things)
        for event in ("change:data", "patching", "streaming"):
            self._source.js_on_change(event, follow)
        self._legend.js_on_change("tags", follow)
        self._prices.js_on_change("inner_width", follow)
        for figure in (self._prices, self._volumes):
            point_at(figure, self._source, self._legend)

    # ------------------------------------------------------------------------------------------------ what is seen

    def aim(self, at: Follow | Still, step_ms: float) -> None:
        """Show this part of the axis of time, of candles of a length."""
        self._window.aim(at, step_ms)

    def reach(self, span_ms: float | None) -> None:
        """Nobody zooms out much further than so much time; None: not known."""
        self._range.max_interval = span_ms

    def mark(self, moment: datetime | None) -> None:
        """Mark a moment; None marks none."""
        self._mark.show(moment, 0)

    def describe(self, text: str) -> None:
        """What the chart says in words."""
        describe(self._prices, text)
        describe(self._volumes, "Volume of the same bars.")

    # ------------------------------------------------------------------------------------------------ what is drawn

    def loading(self, symbol: str, timeframe: Timeframe) -> None:
        """Another series was chosen: what is drawn stays; where nothing is, words say that it is on its way."""
        if self._shown is None:
            self.say(f"Loading {symbol} {timeframe}…")

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self._colours = colours
        for figure in (self._prices, self._volumes):
            restyle(figure, colours)
        self._mark.restyle(colours)
        self._mapper.palette = [colours.up, colours.down]
        self._masks.glyph.fill_color = colours.panel
        self._vwap.glyph.line_color = colours.second
        self._legend.tags = [*self._legend.tags[:5], colours.up, colours.down]

    def say(self, message: str) -> None:
        """Show a message in place of the candles."""
        self._source.data = _nothing()
        self._hatch({name: np.empty(0) for name in _HATCHED})
        self._tell(2, message, 0, "")
        self.describe(message)
        self._shown = None

    def show(self, bars: Bars, length: str) -> None:
        """Show candles; those of the same series as before move, others replace them.

        Args:
            bars: the candles.
            length: how long each is, in words, where it is longer than a bar.
        """
        if not len(bars):
            self.say(f"No {bars.timeframe} bars of {bars.symbol} yet. They appear as soon as trades arrive or a backfill has run.")
            return
        fresh = bars.key != self._shown
        if fresh:
            for drawn in (self._bars, self._bodies, self._masks, self._moving_bodies, self._moving_bars):
                drawn.glyph.width = bars.step_ms * 0.7
            self._range.min_interval = bars.timeframe.ms * 8
        if self._tell(bars.decimals, "", bars.step_ms, length):
            price_axis(self._prices, bars.decimals)
        columns = _columns(bars)
        feed(self._source, columns, whole=fresh)
        self._hatch({name: columns[name][bars.kind == Kind.MOVING] for name in _HATCHED})
        self._shown = bars.key

    def _hatch(self, rows: dict[str, NDArray[Any]]) -> None:
        if not all(np.array_equal(self._hatched.data[name], values, equal_nan=True) for name, values in rows.items()):
            self._hatched.data = rows

    def _tell(self, decimals: int, message: str, step_ms: float, length: str) -> bool:
        """What the browser's part needs to know; whether that is news."""
        tags = [decimals, message, step_ms, length, self._colours.up, self._colours.down]
        news = self._legend.tags[1:] != tags
        if news:
            self._legend.tags = [None, *tags]
        return news


def _nothing() -> dict[str, NDArray[np.float64]]:
    return {name: np.empty(0) for name in _COLUMNS}


def _columns(bars: Bars) -> dict[str, NDArray[Any]]:
    up, moving, exchange = bars.close >= bars.open, bars.kind == Kind.MOVING, bars.kind == Kind.EXCHANGE
    kept = {name: getattr(bars, name) for name in _COLUMNS[:10]}
    return kept | {
        "middle": (bars.open + bars.close) / 2,
        "body": np.abs(bars.close - bars.open),
        "half": bars.volume / 2,
        "side": np.where(up, _UP, _DOWN),
        "fill": np.where(up | moving, 0.0, 1.0),
        "vfill": np.where(moving | exchange, 0.0, 0.5),
    }
