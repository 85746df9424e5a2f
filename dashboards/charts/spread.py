"""Spread, z-score and correlation, one above the other on one axis of time, with the bands that say what they mean."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import BoxAnnotation, ColumnDataSource, CustomJS, Div, InlineStyleSheet, Range1d, Span
from numpy.typing import NDArray

from dashboards.assets import asset
from dashboards.charts.figure import feed, make_figure, point_at, restyle, time_range
from dashboards.charts.moment import MomentMark
from dashboards.theme import Palette
from pipeline.analytics.reading import RICH, STRONG, WEAK

_SHOWN = 240
_EMPTY: NDArray[np.float64] = np.empty(0)

_LEGEND_JS = asset("spread.js")

_CSS = asset("spread.css")


class SpreadChart:
    """Three figures that move together, for one session."""

    def __init__(self, colours: Palette) -> None:
        names = ("ts", "spread", "zscore", "correlation")
        self._source = ColumnDataSource(dict.fromkeys(names, _EMPTY))
        self._past = ColumnDataSource(dict.fromkeys(names, _EMPTY))
        self._now = ColumnDataSource(dict.fromkeys(names, _EMPTY))
        self._range = time_range(60_000, _SHOWN)
        crosshair = Span(dimension="height")
        self._spread = make_figure(self._range, height=220, crosshair=crosshair)
        self._zscore = make_figure(self._range, height=210, crosshair=crosshair)
        self._correlation = make_figure(self._range, height=150, crosshair=crosshair)
        self._figures = (self._spread, self._zscore, self._correlation)
        self._lines = [
            figure.line("ts", name, source=self._source, line_width=1.5, line_join="round")
            for figure, name in zip(self._figures, names[1:], strict=True)
        ]
        self._dim = [
            figure.line("ts", name, source=self._past, line_width=1, line_alpha=0.45, line_join="round")
            for figure, name in zip(self._figures, names[1:], strict=True)
        ]
        self._dots = [
            figure.scatter("ts", name, source=self._now, size=7, line_width=1.5)
            for figure, name in zip(self._figures, names[1:], strict=True)
        ]
        self._bands = [
            BoxAnnotation(bottom=RICH, fill_alpha=0.10, line_color=None),
            BoxAnnotation(top=-RICH, fill_alpha=0.10, line_color=None),
        ]
        self._levels = [Span(location=level, dimension="width", line_dash=[4, 4], line_width=1) for level in (RICH, -RICH)]
        self._zero = Span(location=0, dimension="width", line_width=1)
        self._strength = [Span(location=level, dimension="width", line_dash=[4, 4], line_width=1) for level in (STRONG, WEAK)]
        for annotation in (*self._bands, *self._levels, self._zero):
            self._zscore.add_layout(annotation)
        for annotation in self._strength:
            self._correlation.add_layout(annotation)
        self._zscore.y_range.update(renderers=[self._lines[1], self._dots[1], self._dim[1]], min_interval=5.2)
        self._spread.y_range.renderers = [self._lines[0], self._dots[0], self._dim[0]]
        self._correlation.y_range = Range1d(-1.05, 1.05)
        self._correlation.yaxis.ticker = [-1, -0.5, 0, 0.3, 0.7, 1]
        self._spread.xaxis.visible = self._zscore.xaxis.visible = False
        for figure in (self._spread, self._zscore):
            figure.min_border_bottom = 4
        self._legend = Div(text="", tags=[None], sizing_mode="stretch_width", margin=0, stylesheets=[InlineStyleSheet(css=_CSS)])
        self._connect()
        self._key: tuple[Any, ...] | None = None
        self.restyle(colours)
        captions = [
            Div(text=f'<div class="cap">{text}</div>', sizing_mode="stretch_width", margin=0, stylesheets=[InlineStyleSheet(css=_CSS)])
            for text in (
                "Spread y \u2212 \u03b2x, all under one hedge ratio",
                "z-score: above 2 y is rich (short y, long x), below \u22122 cheap (long y, short x)",
                "Correlation of one-bar returns: above 0.7 strong, below 0.3 weak",
            )
        ]
        parts = [part for pair in zip(captions, self._figures, strict=True) for part in pair]
        self.model = column(self._legend, *parts, sizing_mode="stretch_width", spacing=0, margin=0)

    def _connect(self) -> None:
        legend = CustomJS(args={"source": self._source, "now": self._now, "div": self._legend}, code=_LEGEND_JS)
        for source in (self._source, self._now):
            for event in ("change:data", "patching", "streaming"):
                source.js_on_change(event, legend)
        self._legend.js_on_change("tags", legend)
        self._spread.js_on_change("inner_width", legend)
        for figure in self._figures:
            point_at(figure, self._source, self._legend)
        again = CustomJS(
            args={"x": self._range, "y": [self._spread.y_range, self._zscore.y_range]},
            code="x.have_updated_interactively = false; x.reset(); for (const r of y) r.reset()",
        )
        self._source.js_on_change("name", again)
        self._mark = MomentMark(self._figures, self._source)

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        for figure in self._figures:
            restyle(figure, colours)
        self._mark.restyle(colours)
        for line, dim, dot, colour in zip(self._lines, self._dim, self._dots, (colours.accent, colours.second, colours.up), strict=True):
            line.glyph.line_color = dim.glyph.line_color = colour
            dot.glyph.update(line_color=colour, fill_color=colours.panel)
        for band, level, colour in zip(self._bands, self._levels, (colours.down, colours.up), strict=True):
            band.fill_color = colour
            level.update(line_color=colour, line_alpha=0.7)
        self._zero.line_color = colours.line
        for span in self._strength:
            span.update(line_color=colours.faint, line_alpha=0.6)

    def mark(self, moment: datetime | None, bar_ms: float) -> None:
        """Mark a moment and centre on it; None marks none."""
        self._mark.show(moment, bar_ms)

    def show(
        self,
        key: tuple[Any, ...],
        bar_ms: float,
        columns: dict[str, NDArray[np.float64]],
        now: dict[str, float | None] | None = None,
        *,
        past: dict[str, NDArray[np.float64]] | None = None,
        shown: int = _SHOWN,
    ) -> None:
        """Show series under a key; those of the key shown before move, others replace them and reset the zoom.

        ``columns`` are ts (milliseconds), spread, zscore, correlation; ``now`` is the bar that is moving;
        ``past`` are the same columns before them, drawn faintly.
        """
        fresh = key != self._key
        if fresh:
            self._range.update(follow_interval=bar_ms * shown, range_padding=bar_ms * shown * 0.03, min_interval=bar_ms * 8)
        feed(self._source, columns, whole=fresh)
        if past is None:
            past = dict.fromkeys(columns, _EMPTY)
        if not np.array_equal(self._past.data["ts"], past["ts"]) or not np.array_equal(
            self._past.data["spread"], past["spread"], equal_nan=True
        ):
            self._past.data = {name: column.copy() for name, column in past.items()}
        moving = {name: np.array([np.nan if value is None else value]) for name, value in now.items()} if now else None
        self._now.data = moving or dict.fromkeys(columns, _EMPTY)
        if fresh:
            self._key = key
            self._source.name = repr(key)
