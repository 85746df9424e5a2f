"""Figures that are read together: one source, one axis of time, one crosshair, one pointer; zoom is kept while they are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, Div, Span
from numpy.typing import NDArray

from dashboards.charts.caption import Caption, Value
from dashboards.charts.figure import feed, make_figure, point_at, restyle, time_range
from dashboards.charts.moment import MomentMark
from dashboards.clock import Clock
from dashboards.theme import Palette

SHOWN = 240

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure and the line above it."""

    figure: Any
    caption: Caption

    @property
    def parts(self) -> tuple[Any, ...]:
        """What has to be in the layout, from top to bottom."""
        return (*self.caption.parts, self.figure)


class Axis:
    """What figures share, and what makes them."""

    def __init__(self, columns: Sequence[str], clock: Clock) -> None:
        """``columns`` of the source, after ``ts`` in milliseconds."""
        self._clock = clock
        self._columns = ("ts", *columns)
        self.source = ColumnDataSource(self._empty())
        self.moving = ColumnDataSource(self._empty())
        self._range = time_range(60_000, SHOWN)
        self._crosshair = Span(dimension="height")
        self._pointer = Div(visible=False, tags=[None])
        self._panels: list[Panel] = []
        self._mark: MomentMark | None = None
        self._key: tuple[Any, ...] | None = None

    @property
    def pointer(self) -> Div:
        """Has to be in the layout."""
        return self._pointer

    def figure(
        self, title: str, values: Sequence[Value], *, height: int, moving: bool = False, timed: bool = False, last: bool = False
    ) -> Panel:
        """A figure below the others; ``last`` of those that are always seen together: it has the times under it."""
        made = make_figure(self._range, clock=self._clock, height=height, crosshair=self._crosshair)
        if not last:
            made.xaxis.visible = False
            made.min_border_bottom = 4
        caption = Caption(
            title, values, self.source, clock=self._clock, pointer=self._pointer, moving=self.moving if moving else None, timed=timed
        )
        point_at(made, self.source, self._pointer)
        made.js_on_change("inner_width", caption.script)  # what arrives with the page changes nothing that could be heard of
        panel = Panel(made, caption)
        self._panels.append(panel)
        return panel

    def finish(self) -> None:
        """All figures are made: connect what concerns all of them."""
        figures = [panel.figure for panel in self._panels]
        again = CustomJS(
            args={"x": self._range, "y": [figure.y_range for figure in figures]},
            code="x.have_updated_interactively = false; x.reset(); for (const r of y) r.reset()",
        )
        self.source.js_on_change("name", again)
        self._mark = MomentMark(figures, self.source, self._clock)

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        for panel in self._panels:
            restyle(panel.figure, colours)
        if self._mark is not None:
            self._mark.restyle(colours)

    def mark(self, moment: datetime | None, bar_ms: float) -> None:
        """Mark a moment and centre on it; None marks none."""
        if self._mark is not None:
            self._mark.show(moment, bar_ms)

    def show(
        self,
        key: tuple[Any, ...],
        bar_ms: float,
        columns: dict[str, FloatArray],
        moving: dict[str, float | None] | None,
        *,
        shown: int = SHOWN,
    ) -> None:
        """Feed the figures under a key: the series of the key shown before move, another's replace them and reset the zoom."""
        fresh = key != self._key
        if fresh:
            self._range.update(follow_interval=bar_ms * shown, range_padding=bar_ms * shown * 0.03, min_interval=bar_ms * 8)
        feed(self.source, {name: columns[name] for name in self._columns}, whole=fresh)
        if moving is None:
            self.moving.data = self._empty()
        else:
            self.moving.data = {name: np.array([np.nan if value is None else value]) for name, value in moving.items()}
        if fresh:
            self._key = key
            self.source.name = repr(key)

    def clear(self, bar_ms: float) -> None:
        """Show nothing."""
        self.show(("none",), bar_ms, self._empty(), None)

    def when(self, ts: FloatArray) -> str:
        """From when to when the bars are, in words."""
        if not ts.size:
            return "no bars"
        first, last = (self._clock.text(datetime.fromtimestamp(float(ts[at]) / 1000, UTC)) for at in (0, -1))
        return f"{first} to {last} {self._clock.name}"

    def _empty(self) -> dict[str, FloatArray]:
        return {name: np.empty(0) for name in self._columns}
