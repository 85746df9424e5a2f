"""Both legs normalised, the hedge ratio with its history and R squared, and what is traded."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, NumeralTickFormatter, Span
from numpy.typing import NDArray

from dashboards.charts.axis import Axis
from dashboards.charts.caption import Value
from dashboards.charts.described import describe
from dashboards.charts.told import extent
from dashboards.format import compact, number, significant
from dashboards.tables.models import PastFits
from dashboards.theme import Palette
from pipeline.model.pair import Pair

FloatArray = NDArray[np.float64]


class LegCharts:
    """Three figures of an axis."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._legs = axis.figure("Both legs", [Value("y", "y", 2, "accent"), Value("x", "x", 2, "second")], height=190)
        ratio = [Value("rolling_beta", "rolling", -1, "faint"), Value("beta", "model", -1, "accent")]
        self._hedge = axis.figure("Hedge ratio", ratio, height=170)
        self._quality = axis.figure("R\u00b2 of the rolling line", [Value("r_squared", "now", 3)], height=110, last=True)
        self._panels = (self._legs, self._hedge, self._quality)
        self._fits = ColumnDataSource({"ts": np.empty(0), "beta": np.empty(0)})
        self._level = Span(location=100, dimension="width", line_width=1)
        self._legs.figure.add_layout(self._level)
        self._y = self._legs.figure.line("ts", "y", source=axis.source, line_width=1.5, line_join="round")
        self._x = self._legs.figure.line("ts", "x", source=axis.source, line_width=1.5, line_dash=[6, 2])
        self._rolling = self._hedge.figure.line("ts", "rolling_beta", source=axis.source, line_width=1.5, line_join="round")
        self._model = self._hedge.figure.line("ts", "beta", source=axis.source, line_width=1.5)
        self._dots = self._hedge.figure.scatter("ts", "beta", source=self._fits, marker="square", size=5)
        self._r_squared = self._quality.figure.line("ts", "r_squared", source=axis.source, line_width=1.5, line_join="round")

    @property
    def parts(self) -> list[Any]:
        """Captions and figures from top to bottom."""
        return [part for panel in self._panels for part in panel.parts]

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self._level.line_color = colours.line
        self._y.glyph.line_color, self._x.glyph.line_color = colours.accent, colours.second
        self._rolling.glyph.line_color, self._model.glyph.line_color = colours.faint, colours.accent
        self._dots.glyph.update(fill_color=colours.panel, line_color=colours.accent)
        self._r_squared.glyph.line_color = colours.faint

    def show(self, columns: dict[str, FloatArray], pair: Pair, window: str, fits: PastFits, *, drifts: bool) -> None:
        """Name what the axis has been fed with, and mark past fits. ``window`` says over what the rolling line goes."""
        inside = (fits.ts >= columns["ts"][0]) & (fits.ts <= columns["ts"][-1]) if columns["ts"].size else np.zeros(fits.ts.size, bool)
        drawn = {"ts": fits.ts[inside], "beta": fits.beta[inside]}
        if not all(np.array_equal(self._fits.data[name], values) for name, values in drawn.items()):
            self._fits.data = drawn
        self._legs.caption.retitle(f"Both legs, first bar = 100: {pair.y} whole line, {pair.x} dashed")
        model = "predicted by the Kalman filter" if drifts else "of the model"
        squares = f"; \u25a1 {inside.sum()} past fits" if inside.any() else ""
        self._hedge.caption.retitle(f"Hedge ratio {model}, and over {window}{squares}")
        self._quality.caption.retitle(f"R\u00b2 over {window}")
        when = self._axis.when(columns["ts"])
        describe(
            self._legs.figure,
            f"Both legs from 100 on, {when}: {pair.y} {extent(columns['y'], number)}; {pair.x} {extent(columns['x'], number)}.",
        )
        describe(
            self._hedge.figure,
            f"Hedge ratio {model}, {when}: {extent(columns['beta'], significant)}; over {window}: "
            f"{extent(columns['rolling_beta'], significant)}; {inside.sum()} past fits.",
        )
        describe(self._quality.figure, f"R squared over {window}, {when}: {extent(columns['r_squared'], number)}.")


class VolumeChart:
    """Quote volume of both legs, bar by bar, and the least that counts."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        values = [Value("y_volume", "y", -2, "accent"), Value("x_volume", "x", -2, "second")]
        self._panel = axis.figure("Quote volume a bar", values, height=150, last=True)
        figure = self._panel.figure
        figure.yaxis.formatter = NumeralTickFormatter(format="0.[0]a")
        self._y = figure.line("ts", "y_volume", source=axis.source, line_width=1.2)
        self._x = figure.line("ts", "x_volume", source=axis.source, line_width=1.2, line_dash=[6, 2])
        self._least = Span(dimension="width", line_dash=[4, 4], line_width=1, visible=False)
        figure.add_layout(self._least)

    @property
    def parts(self) -> list[Any]:
        """Caption and figure."""
        return list(self._panel.parts)

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self._y.glyph.line_color, self._x.glyph.line_color = colours.accent, colours.second
        self._least.line_color = colours.warn

    def show(self, columns: dict[str, FloatArray], pair: Pair, least: float) -> None:
        """Name what the axis has been fed with."""
        self._least.update(location=least or None, visible=least > 0)
        self._panel.caption.retitle(f"Quote volume a bar: {pair.y} whole line, {pair.x} dashed")
        y, x = (extent(columns[name], compact) for name in ("y_volume", "x_volume"))
        describe(self._panel.figure, f"Quote volume a bar, {self._axis.when(columns['ts'])}: {pair.y} {y}; {pair.x} {x}.")
