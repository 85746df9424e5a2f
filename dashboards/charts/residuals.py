"""How the spread is spread out: a histogram with the normal curve of the same mean and deviation."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from dashboards.charts.described import describe
from dashboards.charts.figure import restyle
from dashboards.format import number, significant
from dashboards.theme import Palette
from pipeline.analytics import Distribution

_EMPTY = {"left": np.empty(0), "right": np.empty(0), "count": np.empty(0)}


class ResidualChart:
    """One figure, drawn anew when the study is another."""

    def __init__(self) -> None:
        self._bars = ColumnDataSource(_EMPTY)
        self._curve = ColumnDataSource({"x": np.empty(0), "y": np.empty(0)})
        self.model = figure(
            height=210, sizing_mode="stretch_width", tools=[], toolbar_location=None, y_axis_location="right", min_border_left=14,
            min_border_right=44, min_border_top=8, min_border_bottom=26, output_backend="canvas",
        )  # fmt: skip
        self._quads = self.model.quad(left="left", right="right", top="count", bottom=0, source=self._bars, line_width=1)
        self._line = self.model.line("x", "y", source=self._curve, line_width=2)
        self.model.y_range.start = 0
        self.model.xaxis.ticker.desired_num_ticks = 5
        self.model.yaxis.ticker.desired_num_ticks = 4
        describe(self.model, "Distribution of the residuals: none yet.")

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        restyle(self.model, colours)
        self._quads.glyph.update(fill_color=colours.accent, fill_alpha=0.45, line_color=colours.panel)
        self._line.glyph.update(line_color=colours.second)

    def show(self, shape: Distribution | None) -> None:
        """Draw a distribution, or nothing."""
        if shape is None:
            self._bars.data = dict(_EMPTY)
            self._curve.data = {"x": np.empty(0), "y": np.empty(0)}
            describe(self.model, "Distribution of the residuals: not defined.")
            return
        self._bars.data = {"left": shape.edges[:-1], "right": shape.edges[1:], "count": shape.counts.astype(np.float64)}
        self._curve.data = {"x": (shape.edges[:-1] + shape.edges[1:]) / 2, "y": shape.normal}
        describe(
            self.model,
            f"Distribution of {shape.n} residuals in {shape.counts.size} bins beside the normal curve: mean {significant(shape.mean)},"
            f" standard deviation {significant(shape.sd)}, skew {number(shape.skew)}, excess kurtosis {number(shape.excess_kurtosis)}.",
        )
