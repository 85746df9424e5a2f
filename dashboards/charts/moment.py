"""A moment that somebody asked for, such as that of an alert: a line through every figure, and the axis of time centred on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, Label, Span

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.theme import Palette

_SHOWN = 120


class MomentMark:
    """Figures that share one axis of time are marked together; the browser centres once, when the data of the moment is there."""

    def __init__(self, figures: Sequence[Any], source: ColumnDataSource, clock: Clock) -> None:
        self._clock = clock
        self._spans = [Span(dimension="height", line_width=1.5, line_alpha=0.9, visible=False) for _ in figures]
        self._spans[0].tags = [0, 0]
        self._label = Label(
            x=0, y=4, y_units="screen", x_offset=5, text="", text_font_size="11px", text_color="#1A1400", padding=3, border_radius=3,
            level="overlay", visible=False,
        )  # fmt: skip
        for figure, span in zip(figures, self._spans, strict=True):
            figure.add_layout(span)
        figures[0].add_layout(self._label)
        things = {"x": figures[0].x_range, "source": source, "span": self._spans[0]}
        # Behind what follows the newest bar again when the series is another one, so that this has the last word.
        for event, force in (("change:data", False), ("streaming", False), ("change:name", True)):
            source.js_on_change(event, CustomJS(args={**things, "force": force}, code=asset("moment.js")))
        self._spans[0].js_on_change("tags", CustomJS(args={**things, "force": True}, code=asset("moment.js")))

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        for span in self._spans:
            span.line_color = colours.warn
        self._label.background_fill_color = colours.warn
        self._label.text_color = colours.panel

    def show(self, moment: datetime | None, bar_ms: float) -> None:
        """Mark a moment, or none; nothing is centred where the length of a bar is 0."""
        at = 0.0 if moment is None else moment.timestamp() * 1000
        tags = [at, bar_ms * _SHOWN]
        if self._spans[0].tags == tags:
            return
        for span in self._spans:
            span.update(location=at or None, visible=bool(at))
        text = "" if moment is None else f"alert {self._clock.short(moment)}"
        self._label.update(x=at, text=text, visible=bool(at))
        self._spans[0].tags = tags


def parse_moment(text: str | None) -> datetime | None:
    """The ``at`` of an address: ISO time with a zone; None when there is none or it is not understood."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def moment_text(moment: datetime) -> str:
    """The other way round, of a UTC time."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
