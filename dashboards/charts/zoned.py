"""Times in the browser, told in the zone of the session: ticks at round local times, and scripts that have the clock at hand."""

from __future__ import annotations

from typing import Any

from bokeh.models import CustomJS, CustomJSTicker, CustomJSTickFormatter

from dashboards.assets import asset
from dashboards.clock import Clock

_CLOCK_JS = asset("clock.js")
_TICK_PX = 92


def zoned(clock: Clock, code: str, **args: Any) -> CustomJS:
    """A script in which ``clock.text(ms)`` tells a time of an axis, date and time of day."""
    return CustomJS(args={**args, "zone": clock.zone}, code=_CLOCK_JS + code)


def zone_axis(made: Any, clock: Clock) -> None:
    """Give a figure's axis of time ticks that are round in the zone, as many as there is room for."""
    args = {"zone": clock.zone, "made": made}
    room = f"let width = 800; try {{ width = made.inner_width }} catch {{ /* not laid out yet */ }}\nconst most = width / {_TICK_PX}\n"
    made.xaxis.ticker = CustomJSTicker(args=args, major_code=f"{_CLOCK_JS}{room}return clock.ticks(cb_data.start, cb_data.end, most)")
    apart = "const apart = ticks.length > 1 ? ticks[1] - ticks[0] : 0\n"
    made.xaxis.formatter = CustomJSTickFormatter(args={"zone": clock.zone}, code=f"{_CLOCK_JS}{apart}return clock.label(tick, apart)")
