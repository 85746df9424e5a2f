"""What all figures share: axes at the right, a quiet grid, a crosshair, zoom along time; and how they take on a theme."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.events import MouseLeave, MouseMove
from bokeh.models import (
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    DataRange1d,
    NumeralTickFormatter,
    PanTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from dashboards.assets import asset
from dashboards.charts.zoned import zone_axis
from dashboards.clock import Clock
from dashboards.theme import FONT, Palette

RIGHT = 84
"""Width kept for the right axis, the same in every figure, so that stacked frames align."""


def time_range(bar_ms: float, shown: int) -> DataRange1d:
    """A range that follows the newest bar until somebody zooms."""
    return DataRange1d(
        follow="end", follow_interval=bar_ms * shown, range_padding=bar_ms * max(3.0, shown * 0.09), range_padding_units="absolute"
    )


def make_figure(x_range: DataRange1d, *, clock: Clock, height: int | None, crosshair: Span | None = None) -> Any:
    """An empty figure with our manners, as high as its place without a ``height``; figures that are read together share ``crosshair``.

    The axis of time is told by ``clock``. Give the figure a text alternative with :func:`dashboards.charts.described.describe`.
    """
    y_range = DataRange1d(range_padding=0.12)
    made = figure(
        height=height,
        sizing_mode="stretch_width" if height else "stretch_both",
        x_axis_type="datetime",
        y_axis_location="right",
        x_range=x_range,
        y_range=y_range,
        window_axis="x",
        tools=[],
        toolbar_location=None,
        min_border_left=0,
        min_border_top=4,
        min_border_bottom=26,
        min_border_right=RIGHT,
        output_backend="canvas",
    )
    pan, wheel = PanTool(dimensions="width"), WheelZoomTool(dimensions="width", zoom_on_axis=False)
    made.add_tools(pan, wheel)
    made.toolbar.active_drag, made.toolbar.active_scroll = pan, wheel
    vertical = crosshair or Span(dimension="height")
    made.add_tools(CrosshairTool(overlay=[vertical, Span(dimension="width")]))
    zone_axis(made, clock)
    made.js_on_change("border_fill_color", CustomJS(args={"made": made}, code=_CLEAR_JS))
    for each in (x_range, y_range):
        for limit in ("min_interval", "max_interval"):
            each.js_on_change(limit, CustomJS(args={"range": each}, code=_FREE_JS))
    return made


_POINT_JS = asset("pointer.js")


def point_at(made: Any, source: ColumnDataSource, div: Any) -> None:
    """Keep in ``div.tags[0]`` the row that is nearest in time to the pointer, None when it is outside; all of it in the browser."""
    made.js_on_event(MouseMove, CustomJS(args={"source": source, "div": div}, code=_POINT_JS))
    made.js_on_event(MouseLeave, CustomJS(args={"div": div}, code="div.tags = [null, ...div.tags.slice(1)]"))


_FREE_JS = asset("free.js")

# Bokeh clears the canvas half a pixel off, so that a lighter border would keep a line of the darker one.
_CLEAR_JS = asset("clear.js")


def price_axis(made: Any, decimals: int) -> None:
    """Ticks with a fixed number of decimals and grouped thousands."""
    made.yaxis.formatter = NumeralTickFormatter(format="0,0" + ("." + "0" * decimals if decimals else ""))


def restyle(made: Any, colours: Palette) -> None:
    """Give a figure the colours of a theme."""
    made.background_fill_color = colours.panel
    made.border_fill_color = colours.panel
    made.outline_line_color = None
    made.grid.grid_line_color = colours.grid
    made.grid.grid_line_alpha = 1
    for axis in made.axis:
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
        axis.major_label_text_color = colours.faint
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "11px"
    for tool in made.tools:
        if isinstance(tool, CrosshairTool):
            for span in tool.overlay:
                span.line_color, span.line_dash, span.line_width, span.line_alpha = colours.faint, [4, 4], 1, 0.8


def feed(source: ColumnDataSource, columns: dict[str, NDArray[Any]], *, index: str = "ts", whole: bool = False) -> None:
    """Bring a source to ``columns`` by the smallest message: patch rows that changed, append new ones, replace all when it must be.

    Columns are copied where Bokeh keeps them, for the arrays are shared between sessions.
    """
    have, want = np.asarray(source.data[index]), columns[index]
    if whole or have.size == 0 or want.size == 0:
        source.data = {name: column.copy() for name, column in columns.items()}
        return
    start = int(np.searchsorted(have, want[0]))
    kept = have.size - start
    if start == have.size or kept > want.size or not np.array_equal(have[start:], want[:kept]):
        source.data = {name: column.copy() for name, column in columns.items()}
        return
    patches: dict[str, list[tuple[int, Any]]] = {}
    for name, column in columns.items():
        old = np.asarray(source.data[name])[start:]
        changed = np.flatnonzero(~_equal(old, column[:kept]))
        if changed.size > 50:
            source.data = {key: values.copy() for key, values in columns.items()}
            return
        if changed.size:
            patches[name] = list(zip((start + changed).tolist(), column[changed].tolist(), strict=True))
    if patches:
        source.patch(patches)
    if want.size > kept:
        source.stream({name: column[kept:].copy() for name, column in columns.items()}, rollover=max(2 * want.size, 2000))


def _equal(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    same = old == new
    if old.dtype.kind == "f":
        same |= np.isnan(old) & np.isnan(new)
    return same
