"""What of the time axis is seen: told to the browser (follow the newest bar, or stand still), and heard from it when somebody zooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, DataRange1d, Range1d

from dashboards.assets import asset
from dashboards.tables.history import Window


@dataclass(frozen=True, slots=True)
class Follow:
    """The newest bar stays in sight; ``span_ms`` is seen before it, or, with None, as many bars as look well at the figure's width."""

    span_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Still:
    """From ``start_ms`` to ``end_ms``, whatever comes."""

    start_ms: float
    end_ms: float


class TimeWindow:
    """The window of one axis of time. ``on_seen`` hears of what is seen, a moment after it stopped moving, and whether it still follows.

    What the browser tells carries the number of the aim that it had taken up, so that what it said before hearing of a new
    aim is not taken for an answer to it.
    """

    def __init__(self, figure: Any, source: ColumnDataSource, *, on_seen: Callable[[Window, bool], None]) -> None:
        self._range: DataRange1d = figure.x_range
        self._on_seen = on_seen
        self._number = 0
        self._aim = Range1d(tags=[0, 60_000.0, 0.0, 0.0, 0.0])
        self._seen = Range1d(tags=[])
        things = {"x": self._range, "y": figure.y_range, "figure": figure, "source": source, "aim": self._aim, "seen": self._seen}
        aim, seen = CustomJS(args=things, code=asset("aim.js")), CustomJS(args=things, code=asset("seen.js"))
        self._aim.js_on_change("tags", aim)
        figure.js_on_change("inner_width", aim, seen)
        source.js_on_change("change:data", aim)
        for end in ("start", "end"):
            self._range.js_on_change(end, seen)
        self._seen.on_change("tags", self._heard)

    def aim(self, at: Follow | Still, step_ms: float) -> None:
        """Show this; anew even where it was aimed at before, for somebody may have dragged it away."""
        self._number += 1
        still = isinstance(at, Still)
        start, end = (at.start_ms, at.end_ms) if isinstance(at, Still) else (0.0, 0.0)
        span = (at.span_ms or 0.0) if isinstance(at, Follow) else 0.0
        self._aim.tags = [self._number, step_ms, span, start if still else 0.0, end if still else 0.0]

    def _heard(self, _attribute: str, _old: Any, tags: list[float]) -> None:
        number, start, end, width, following = tags
        if number == self._number and end > start:
            self._on_seen(Window(float(start), float(end), float(width)), bool(following))
