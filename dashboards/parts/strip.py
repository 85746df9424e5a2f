"""The history of a symbol as a strip: what there is, what is missing, where the chart looks; a click moves the chart there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.tables.availability import Availability
from dashboards.tables.bars import ms_of
from dashboards.theme import BASE_CSS, Palette

_ESM = asset("strip.js")
_CSS = asset("strip.css")
_LEAST_CHANGE_S = 30.0


class Strip(JSComponent):
    """Everything that ``tell`` was told, drawn by the browser; ``on_go`` hears the milliseconds of a place that was chosen."""

    history = param.Dict(default={}, doc="from, to, step, bar (milliseconds), parts [[start, bars, kind]], gaps, days.")
    seen = param.List(default=[], doc="Start and end of what the chart shows.")
    ink = param.List(default=[], doc="Colours of what is there and of what still moves.")
    zone = param.String(default="UTC", doc="Time zone that times are told in.")
    label = param.String(default="", doc="What a screen reader calls it.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, clock: Clock, colours: Palette, *, on_go: Callable[[float], Any], **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, "height": 34, "zone": clock.zone, **params})
        self.restyle(colours)
        self._on_go = on_go
        self._told: tuple[Any, ...] = ()
        self._told_at = 0.0

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self.ink = [colours.accent, colours.warn]

    def tell(self, known: Availability | None) -> None:
        """Draw a history; the same one anew only when it looks different."""
        if known is None or known.parts is None or known.ends is None:
            self.history, self._told = {}, ()
            return
        parts = known.parts
        look = (known.symbol, parts.key, len(parts), parts.kind[:-1].tobytes(), parts.count[:-1].tobytes(), known.gaps, known.days)
        now = datetime.now(UTC).timestamp()
        if look == self._told and now - self._told_at < _LEAST_CHANGE_S:
            return
        self._told, self._told_at = look, now
        first, last = (ms_of(time) for time in known.ends)
        self.history = {
            "from": first,
            "to": last + known.timeframe.ms,
            "step": parts.step_ms,
            "bar": known.timeframe.ms,
            "name": known.timeframe.name,
            "parts": [[int(ts), int(bars), int(kind)] for ts, bars, kind in zip(parts.ts, parts.count, parts.kind, strict=True)],
            "gaps": [[ms_of(gap.start), ms_of(gap.end), gap.state, gap.missing] for gap in known.gaps],
            "days": [[str(day.day), day.asset, day.complete, day.rows, day.revision] for day in known.days],
        }

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and isinstance(data.get("go"), int | float):
            self._on_go(float(data["go"]))
