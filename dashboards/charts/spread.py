"""Spread, z-score and correlation, with the bands of the chosen thresholds and where the z-score enters and leaves them."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import BoxAnnotation, ColumnDataSource, Range1d, Span
from numpy.typing import NDArray

from dashboards.charts.axis import Axis
from dashboards.charts.caption import Value
from dashboards.charts.described import describe
from dashboards.charts.told import extent
from dashboards.format import number, significant
from dashboards.theme import Palette
from pipeline.analytics import threshold_marks
from pipeline.analytics.reading import STRONG, WEAK

FloatArray = NDArray[np.float64]

_MARKS = ("enter_long", "enter_short", "leave")
_SHAPES = {"enter_long": "triangle", "enter_short": "inverted_triangle", "leave": "circle_x"}


class SpreadCharts:
    """Three figures of an axis."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._spread = axis.figure("Spread y \u2212 \u03b2x", [Value("spread", "spread")], height=200, moving=True, timed=True)
        self._zscore = axis.figure("z-score", [Value("zscore", "z", 2)], height=230, moving=True)
        self._correlation = axis.figure(
            "Correlation of one-bar returns", [Value("correlation", "now", 2)], height=120, moving=True, last=True
        )
        self._panels = (self._spread, self._zscore, self._correlation)
        names = ("spread", "zscore", "correlation")
        self._past = ColumnDataSource({"ts": np.empty(0), "zscore": np.empty(0)})
        self._marks = {name: ColumnDataSource({"ts": np.empty(0), "spread": np.empty(0), "zscore": np.empty(0)}) for name in _MARKS}
        self._dim = self._zscore.figure.line("ts", "zscore", source=self._past, line_width=1, line_alpha=0.45, line_join="round")
        self._lines = [
            panel.figure.line("ts", name, source=axis.source, line_width=1.5, line_join="round")
            for panel, name in zip(self._panels, names, strict=True)
        ]
        self._dots = [
            panel.figure.scatter("ts", name, source=axis.moving, size=7, line_width=1.5)
            for panel, name in zip(self._panels, names, strict=True)
        ]
        self._signs = {
            (panel, name): panel.figure.scatter(
                "ts", column, source=self._marks[name], marker=_SHAPES[name], size=9 if name == "leave" else 11
            )
            for panel, column in ((self._spread, "spread"), (self._zscore, "zscore"))
            for name in _MARKS
        }
        self._bands = [BoxAnnotation(fill_alpha=0.10, line_color=None), BoxAnnotation(fill_alpha=0.10, line_color=None)]
        self._entries = [Span(dimension="width", line_dash=[4, 4], line_width=1) for _ in range(2)]
        self._exits = [Span(dimension="width", line_dash=[1, 4], line_width=1) for _ in range(2)]
        self._zero = Span(location=0, dimension="width", line_width=1)
        self._strength = [Span(location=level, dimension="width", line_dash=[4, 4], line_width=1) for level in (STRONG, WEAK)]
        for annotation in (*self._bands, *self._entries, *self._exits, self._zero):
            self._zscore.figure.add_layout(annotation)
        for annotation in self._strength:
            self._correlation.figure.add_layout(annotation)
        self._spread.figure.y_range.renderers = [self._lines[0], self._dots[0]]
        self._zscore.figure.y_range.update(renderers=[self._lines[1], self._dots[1], self._dim])
        self._correlation.figure.y_range = Range1d(-1.05, 1.05)
        self._correlation.figure.yaxis.ticker = [-1, 0, WEAK, STRONG, 1]

    @property
    def parts(self) -> list[Any]:
        """Captions and figures from top to bottom."""
        return [part for panel in self._panels for part in panel.parts]

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        for line, dot, colour in zip(self._lines, self._dots, (colours.accent, colours.second, colours.faint), strict=True):
            line.glyph.line_color = colour
            dot.glyph.update(line_color=colour, fill_color=colours.panel)
        self._dim.glyph.line_color = colours.second
        signs = {"enter_long": colours.up, "enter_short": colours.down, "leave": colours.strong}
        for (_, name), sign in self._signs.items():
            sign.glyph.update(
                line_color=signs[name], fill_color=colours.panel if name == "leave" else signs[name], fill_alpha=0.9, line_width=1.2
            )
        for band, level, colour in zip(self._bands, self._entries, (colours.down, colours.up), strict=True):
            band.fill_color = colour
            level.update(line_color=colour, line_alpha=0.8)
        for span in self._exits:
            span.update(line_color=colours.faint, line_alpha=0.9)
        self._zero.line_color = colours.line
        for span in self._strength:
            span.update(line_color=colours.faint, line_alpha=0.6)

    def show(self, columns: dict[str, FloatArray], past: dict[str, FloatArray], thresholds: tuple[float, float]) -> None:
        """Draw the marks of what the axis has been fed with; ``past`` is a z-score from before it, drawn faintly."""
        entry, leave = thresholds
        if not np.array_equal(self._past.data["ts"], past["ts"]) or not np.array_equal(
            self._past.data["zscore"], past["zscore"], equal_nan=True
        ):
            self._past.data = {name: column.copy() for name, column in past.items()}
        self._bands[0].bottom, self._bands[1].top = entry, -entry
        for level, line, sign in zip(self._entries, self._exits, (1, -1), strict=True):
            level.location, line.location = sign * entry, sign * leave
        self._zscore.figure.y_range.min_interval = 2.6 * entry
        marks = threshold_marks(columns["zscore"], entry=entry, leave=leave)
        for name, source in self._marks.items():
            at = getattr(marks, name)
            drawn = {column: columns[column][at] for column in ("ts", "spread", "zscore")}
            if not all(np.array_equal(source.data[column], values) for column, values in drawn.items()):
                source.data = drawn
        acted = f"{marks.enter_long.size + marks.enter_short.size} entries, {marks.leave.size} exits"
        self._zscore.caption.retitle(f"z-score, \u25b2 long \u25bc short beyond \u00b1{entry:g}, \u2297 back at \u00b1{leave:g}")
        self._tell(columns, entry, acted)

    def _tell(self, columns: dict[str, FloatArray], entry: float, acted: str) -> None:
        when, z = self._axis.when(columns["ts"]), columns["zscore"]
        outside = np.count_nonzero(np.abs(z) >= entry)
        describe(self._spread.figure, f"Spread, {when}: {extent(columns['spread'], significant)}.")
        describe(
            self._zscore.figure,
            f"z-score of the spread, {when}: {extent(z, number)}; beyond \u00b1{entry:g} at {outside} of {z.size} bars; {acted}.",
        )
        describe(self._correlation.figure, f"Rolling correlation of returns, {when}: {extent(columns['correlation'], number)}.")
