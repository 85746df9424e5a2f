"""Candlesticks with volume that move: hollow when up, filled when down, the last price as a line with its tag.

The legend, the price line and the tag are kept by the browser itself from the data it has; the server sends bars only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, DataRange1d, Div, InlineStyleSheet, Label, Span
from numpy.typing import NDArray

from dashboards.assets import asset
from dashboards.charts.figure import feed, make_figure, point_at, price_axis, restyle, time_range
from dashboards.charts.moment import MomentMark
from dashboards.tables.bars import Bars
from dashboards.theme import Palette
from pipeline.model.timeframe import Timeframe

_COLUMNS = ("ts", "open", "high", "low", "close", "middle", "body", "volume", "half", "colour", "fill", "vfill")
_SHOWN = 140

# `div.tags` is [index under the pointer or null, decimals of the price, message when there are no bars, milliseconds of a bar,
# colour of up, colour of down].
# The number of bars shown follows the width, so that candles have the same size on a phone and on a wide screen.
_LEGEND_JS = asset("candles.js")

_LEGEND_CSS = asset("candles.css")


class CandleChart:
    """One chart, for one session."""

    follow_code = "x.have_updated_interactively = false; x.reset(); y.reset()"
    """JavaScript that follows the newest bar again; its arguments are the ranges x and y."""

    def __init__(self, colours: Palette) -> None:
        self._source = ColumnDataSource({name: np.empty(0, np.float64 if name != "colour" else object) for name in _COLUMNS})
        self._range = time_range(60_000, _SHOWN)
        self._figure = make_figure(self._range, height=None)
        self._colours = colours
        volume_range = DataRange1d(start=0, range_padding=7.0)
        self._figure.extra_y_ranges = {"volume": volume_range}
        # Rectangles rather than vbars: bars that lie outside the frame would be drawn as lines on its edge.
        self._volume = self._figure.rect(
            x="ts", y="half", width=42_000, height="volume", source=self._source, y_range_name="volume",
            fill_color="colour", line_color=None, fill_alpha="vfill",
        )  # fmt: skip
        self._wicks = self._figure.segment(x0="ts", y0="high", x1="ts", y1="low", source=self._source, color="colour", line_width=1)
        self._bodies = self._figure.rect(
            x="ts",
            y="middle",
            width=42_000,
            height="body",
            source=self._source,
            line_color="colour",
            fill_color="colour",
            fill_alpha="fill",
        )
        # A hollow body must hide the wick behind it: it is painted with the panel's colour first.
        self._masks = self._figure.rect(x="ts", y="middle", width=42_000, height="body", source=self._source, line_color=None)
        self._figure.renderers = [self._volume, self._wicks, self._masks, self._bodies]
        self._figure.y_range.renderers = [self._wicks]
        volume_range.renderers = [self._volume]
        self._line = Span(dimension="width", location=0, line_dash=[2, 3], line_width=1, visible=False)
        self._figure.add_layout(self._line)
        self._tag = Label(
            x=0, x_units="screen", y=0, level="overlay", text="", text_baseline="middle", text_align="right", text_font_size="11px",
            text_color="#FFFFFF", padding=4,
            border_radius=3, visible=False,
        )  # fmt: skip
        self._figure.add_layout(self._tag)
        self._legend = Div(
            text="", tags=[None, 2, "", 0, "", ""], sizing_mode="stretch_width", margin=0, stylesheets=[InlineStyleSheet(css=_LEGEND_CSS)]
        )
        self._connect()
        self._shown: tuple[str, str] | None = None
        self.restyle(colours)
        self.model = column(self._legend, self._figure, sizing_mode="stretch_both", spacing=0, margin=0)

    def _connect(self) -> None:
        things = {
            "range": self._range,
            "figure": self._figure,
            "source": self._source,
            "div": self._legend,
            "line": self._line,
            "tag": self._tag,
        }
        self._js = CustomJS(args=things, code=_LEGEND_JS)
        for event in ("change:data", "patching", "streaming"):
            self._source.js_on_change(event, self._js)
        self._legend.js_on_change("tags", self._js)
        self._figure.js_on_change("inner_width", self._js)
        point_at(self._figure, self._source, self._legend)
        # Another symbol or timeframe: forget the zoom and follow the newest bar again.
        self._source.js_on_change("name", CustomJS(args={"x": self.range, "y": self.y_range}, code=self.follow_code))
        self._mark = MomentMark([self._figure], self._source)

    @property
    def range(self) -> DataRange1d:
        """The range of time."""
        return self._range

    @property
    def y_range(self) -> DataRange1d:
        """The range of prices."""
        return self._figure.y_range

    def loading(self, symbol: str, timeframe: Timeframe) -> None:
        """Another symbol or timeframe was chosen: what is drawn stays, grey words say that the new one is on its way."""
        if self._shown is None:
            self.say(f"Loading {symbol} {timeframe}…")

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self._colours = colours
        restyle(self._figure, colours)
        self._mark.restyle(colours)
        self._masks.glyph.fill_color = colours.panel
        self._legend.tags = [*self._legend.tags[:4], colours.up, colours.down]
        if len(self._source.data["ts"]):
            data = dict(self._source.data)
            up = np.asarray(data["fill"]) == 0
            data["colour"] = np.where(up, colours.up, colours.down).astype(object)
            self._source.data = data

    def mark(self, moment: datetime | None, timeframe: Timeframe) -> None:
        """Mark a moment and centre on it; None marks none."""
        self._mark.show(moment, timeframe.ms)

    def say(self, message: str) -> None:
        """Show a message in place of the bars."""
        self._source.data = {name: np.empty(0, np.float64 if name != "colour" else object) for name in _COLUMNS}
        self._tell(2, message, 0)
        self._shown = None

    def show(self, bars: Bars) -> None:
        """Show bars; those of the same symbol and timeframe as before move, others replace them and reset the zoom."""
        if not len(bars):
            self.say(f"No {bars.timeframe} bars of {bars.symbol} yet. They appear as soon as trades arrive or a backfill has run.")
            return
        key = (bars.symbol, bars.timeframe.name)
        fresh = key != self._shown
        if fresh:
            self._prepare(bars.timeframe)
        if self._tell(bars.decimals, "", bars.timeframe.ms):
            price_axis(self._figure, bars.decimals)
        feed(self._source, self._columns(bars), whole=fresh)
        if fresh:
            self._shown = key
            self._source.name = "|".join(key)

    def _tell(self, decimals: int, message: str, bar_ms: int) -> bool:
        """What the browser's part needs to know; whether that is news."""
        tags = [decimals, message, bar_ms, self._colours.up, self._colours.down]
        news = self._legend.tags[1:] != tags
        if news:
            self._legend.tags = [None, *tags]
        return news

    def _prepare(self, timeframe: Timeframe) -> None:
        for glyph in (self._volume.glyph, self._bodies.glyph, self._masks.glyph):
            glyph.width = timeframe.ms * 0.7
        self._range.follow_interval = timeframe.ms * _SHOWN
        self._range.range_padding = timeframe.ms * _SHOWN * 0.09
        self._range.min_interval = timeframe.ms * 8

    def _columns(self, bars: Bars) -> dict[str, NDArray[Any]]:
        up = bars.close >= bars.open
        return {
            "ts": bars.ts,
            "open": bars.open,
            "high": bars.high,
            "low": bars.low,
            "close": bars.close,
            "middle": (bars.open + bars.close) / 2,
            "body": np.abs(bars.close - bars.open),
            "volume": bars.volume,
            "half": bars.volume / 2,
            "colour": np.where(up, self._colours.up, self._colours.down).astype(object),
            "fill": np.where(up, 0.0, 1.0),
            "vfill": np.where(up, 0.28, 0.42),
        }
