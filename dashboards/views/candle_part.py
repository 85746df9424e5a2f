"""The chart of the chosen symbol: which part of its history is seen, how fine, and what is loaded for that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.charts.candles import CandleChart
from dashboards.charts.moment import moment_text, parse_moment
from dashboards.charts.window import Follow, Still
from dashboards.format import duration, number, percent, price
from dashboards.hub import Topic
from dashboards.parts.choice import Segments
from dashboards.tables.bars import Bars, BarsTopic, ms_of, read_bars, time_of
from dashboards.tables.history import Stretch, Window, missing, step_for
from dashboards.theme import Palette
from dashboards.views.view import Desk
from pipeline.model.timeframe import Timeframe

RANGES = {"1h": 3_600_000.0, "6h": 21_600_000.0, "1d": 86_400_000.0, "1w": 604_800_000.0}
"""How much of the past each button shows, in milliseconds; ``all`` shows what there is."""
ALL = "all"
_ROOM = 1.09  # what is seen beyond the newest bar
_WIDTH = 900.0  # until the browser has told
_AROUND = 120  # candles shown around a moment
_KEPT = 2_000  # candles of the past that a session holds at most, beside the live ones
_STALE_S = 120.0
_PLACE_CSS = ":host { height: clamp(360px, calc(100vh - 430px), 760px) !important; flex: none !important; }"


class CandlePart:
    """Candles with their controls. ``changed`` is called when other topics are wanted, ``moved`` when the window is another one."""

    def __init__(self, desk: Desk, symbol: str, timeframe: Timeframe, *, changed: Callable[[], None], moved: Callable[[], None]) -> None:
        self._desk = desk
        self._changed, self._moved = changed, moved
        self.symbol, self.timeframe = symbol, timeframe
        self._range = ""
        self._place: Follow | Still = Follow()
        self._mark: datetime | None = None
        self._ends: tuple[float, float] | None = None
        self._seen: Window | None = None
        self._seen_at = 0.0
        self._step_s = timeframe.seconds
        self._live: Bars | None = None
        self._past: Bars | None = None
        self._known: Stretch | None = None
        self._loading = False
        self._drawn: tuple[str, str, int] | None = None
        self._told = 0.0
        self._chart = CandleChart(desk.colours, desk.clock, on_seen=self._saw)
        options = [*RANGES, [ALL, "All"]]
        self._ranges = Segments(options=options, label="Range", on_pick=self._picked)
        live = pmui.Button(name="Live", variant="text", size="small", margin=0)
        live.on_click(lambda _event: self._follow(self._range))
        self.controls: tuple[Viewable, Viewable] = (self._ranges, live)
        figure = pn.pane.Bokeh(self._chart.model, sizing_mode="stretch_both", margin=0)
        self.figure: Viewable = pn.Column(figure, sizing_mode="stretch_width", margin=0, stylesheets=[_PLACE_CSS])

    # ------------------------------------------------------------------------------------------------ what is chosen

    @property
    def topics(self) -> list[Topic]:
        """The newest candles at the step that is seen."""
        return [BarsTopic(self.symbol, self.timeframe, self._step_s)]

    def choose(self, symbol: str, timeframe: Timeframe) -> None:
        """Another series; what stands still of the past stays where it is."""
        self._turn(symbol, timeframe, self._range, self._place, None)

    def opened(self, query: dict[str, str], symbol: str, timeframe: Timeframe) -> None:
        """``range``, or ``from`` and ``to``, or ``at``, a moment to mark and to look at; without them the chart stands as it does."""
        start, end, mark = (parse_moment(query.get(name)) for name in ("from", "to", "at"))
        name, place = self._range, self._place
        if start is not None and end is not None and start < end:
            name, place = "", Still(ms_of(start), ms_of(end))
        elif mark is not None:
            half, middle = RANGES.get(query.get("range", ""), _AROUND * timeframe.ms) / 2, ms_of(mark)
            name, place = "", Still(middle - half, min(middle + half, max(middle, ms_of(datetime.now(UTC))) + half / 6))
        elif query.get("range") in (*RANGES, ALL):
            name, place = query["range"], Follow(RANGES.get(query["range"]))
        self._turn(symbol, timeframe, name, place, mark)

    def _turn(self, symbol: str, timeframe: Timeframe, name: str, place: Follow | Still, mark: datetime | None) -> None:
        """To a series, and to a part of it."""
        if (symbol, timeframe) != (self.symbol, self.timeframe):
            self.symbol, self.timeframe, self._ends = symbol, timeframe, None
        self._range, self._place, self._mark = name, place, mark
        self._ranges.value = name
        self._restart(self._first_step())
        self._aim()

    @property
    def seen(self) -> Window | None:
        """What is shown, as far as the browser has told; moved along with the newest bar while that is followed."""
        if self._seen is None or self._live is None or not len(self._live) or isinstance(self._place, Still):
            return self._seen
        moved = float(self._live.ts[-1]) - self._seen_at
        return Window(self._seen.start_ms + moved, self._seen.end_ms + moved, self._seen.width_px)

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        at = moment_text(self._mark) if self._mark else ""
        if isinstance(self._place, Still):
            start, end = (moment_text(_whole(ms)) for ms in (self._place.start_ms, self._place.end_ms))
            return {"range": "", "from": start, "to": end, "at": at}
        return {"range": self._range, "from": "", "to": "", "at": at}

    def look_at(self, moment_ms: float) -> None:
        """Move there, with as much in sight as now."""
        half = (self._seen.span_ms if self._seen else _AROUND * self.timeframe.ms) / 2
        self._stand(Still(moment_ms - half, moment_ms + half))

    def reach(self, ends: tuple[float, float] | None) -> None:
        """Where the history begins and ends, in milliseconds; None when there is none."""
        before, self._ends = self._ends, ends
        if ends is None:
            return
        if isinstance(self._place, Still) and (self._place.end_ms < ends[0] or self._place.start_ms > ends[1] + self.timeframe.ms):
            self._follow("")  # there is nothing to see of this symbol at that time
        span = ends[1] - ends[0] + self.timeframe.ms
        self._chart.reach(max(1.3 * span, RANGES["1h"]))
        shown = self._place.span_ms if isinstance(self._place, Follow) else None
        if self._range == ALL and (before is None or shown is None or abs(span - shown) > 0.02 * span):
            self._follow(ALL)

    def _picked(self, name: str) -> None:
        if name and name != self._range:
            self._follow(name)

    def _follow(self, name: str) -> None:
        """The newest bar, and a range before it."""
        whole = self._ends[1] - self._ends[0] + self.timeframe.ms if name == ALL and self._ends else None
        self._range, self._mark, self._place = name, None, Follow(RANGES.get(name, whole))
        self._ranges.value = name
        self._restep(self._first_step())
        self._aim()
        self._moved()

    def _stand(self, place: Still) -> None:
        self._range, self._place = "", place
        self._ranges.value = ""
        self._aim()
        self._moved()

    def _first_step(self) -> int:
        """The step before the browser has said what is seen."""
        width = self._seen.width_px if self._seen else _WIDTH
        place = self._place
        span = place.end_ms - place.start_ms if isinstance(place, Still) else (place.span_ms or 0.0) * _ROOM
        return step_for(self.timeframe, span, width)

    def _aim(self) -> None:
        self._chart.aim(self._place, self._step_s * 1000.0)
        self._chart.mark(self._mark)

    # ------------------------------------------------------------------------------------------------ what is seen

    def _saw(self, window: Window, following: bool) -> None:  # noqa: FBT001  heard from the browser
        self._seen = window
        self._seen_at = float(self._live.ts[-1]) if self._live is not None and len(self._live) else window.end_ms
        if not following:
            self._place = Still(window.start_ms, window.end_ms)
            if self._range:
                self._range = self._ranges.value = ""
        self._restep(step_for(self.timeframe, window.span_ms, window.width_px))
        self._load()
        self._tell()
        self._moved()

    def _restep(self, step_s: int) -> None:
        """Candles of another length, where it is another."""
        if step_s != self._step_s:
            self._restart(step_s)
            self._changed()

    def _restart(self, step_s: int) -> None:
        self._step_s = step_s
        if self._ends is None:
            self._chart.reach(None)
        if self._live is not None and self._live.key == self._key:
            return
        self._live = self._past = self._known = None
        self._chart.loading(self.symbol, self.timeframe)

    # ------------------------------------------------------------------------------------------------ what is loaded

    @property
    def _key(self) -> tuple[str, str, int]:
        return (self.symbol, self.timeframe.name, self._step_s)

    def take(self, live: Bars) -> None:
        """The newest candles, from the hub."""
        if live.key != self._key:
            return
        if self._live is not None and len(self._live) and len(live):
            self._keep(self._live.part(-float("inf"), float(live.ts[0])), live)
        self._live = live
        past = self._past
        if past is not None and isinstance(self._place, Still) and (datetime.now(UTC) - past.loaded_at).total_seconds() > _STALE_S:
            self._known = None
        self._load()
        if not self._loading or self._drawn == self._key:
            self._draw()

    def _keep(self, dropped: Bars, live: Bars) -> None:
        """Candles that the newest thousand no longer have stay here, where they join what is here."""
        if not len(dropped):
            return
        begin, end = time_of(dropped.ts[0]), time_of(live.ts[0])
        if self._past is None or self._known is None:
            self._past, self._known = dropped, Stretch(begin, end)
        elif self._known.end >= begin:
            joined = self._past.then(dropped)
            first = float(joined.ts[max(0, len(joined) - _KEPT)])
            self._past = joined.part(first, float("inf"))
            self._known = Stretch(max(self._known.start, time_of(first)) if len(joined) > _KEPT else self._known.start, end)

    def _load(self) -> None:
        """Ask for what is seen and not here, one part after the other."""
        seen, live = self.seen, self._live
        if seen is None and isinstance(self._place, Still):
            seen = Window(self._place.start_ms, self._place.end_ms, _WIDTH)
        if self._loading or seen is None or live is None or not len(live):
            return
        if self._ends is not None:
            first = max(seen.start_ms, self._ends[0])
            seen = Window(first, max(seen.end_ms, first), seen.width_px)
        stretch = missing(seen, self._known, float(live.ts[0]), self._step_s)
        if stretch is None or stretch.start >= stretch.end:
            return
        self._loading = True
        key, symbol, timeframe, step_s = self._key, self.symbol, self.timeframe, self._step_s

        def load() -> Bars:
            return self._desk.context.link.use(
                lambda warehouse: read_bars(warehouse, symbol, timeframe, step_s, start=stretch.start, end=stretch.end)
            )

        def loaded(bars: Bars | None, problem: str) -> None:
            self._loading = False
            if problem:
                self._desk.toast("error", f"Older bars could not be loaded: {problem}")
            elif bars is not None and key == self._key:
                self._past, self._known = bars, stretch
            if key == self._key:
                self._draw()
            if not problem:
                self._load()

        self._desk.work(load, loaded)

    # ------------------------------------------------------------------------------------------------ what is drawn

    def restyle(self, colours: Palette) -> None:
        """Only the canvas needs to be told."""
        self._chart.restyle(colours)

    def _draw(self) -> None:
        if self._live is None:
            return
        bars = self._past.then(self._live) if self._past is not None and len(self._past) else self._live
        self._chart.show(bars, duration(self._step_s) if self._step_s != self.timeframe.seconds else "")
        news = self._drawn != self._key
        self._drawn = self._key
        if news or not len(bars) or float(bars.ts[-1]) != self._told:
            self._tell()

    def _tell(self) -> None:
        """The chart in words, of what is seen; anew with each bar."""
        bars = self._past.then(self._live) if self._past is not None and self._live is not None else self._live
        if bars is None or not len(bars):
            return
        self._told = float(bars.ts[-1])
        window = self.seen
        seen = bars.part(window.start_ms, window.end_ms) if window else bars
        self._chart.describe(sentence(seen, self._desk))


def sentence(bars: Bars, desk: Desk) -> str:
    """Candles in one sentence: of when, from where to where, and how much was traded."""
    what = f"Candlesticks of {bars.symbol}, {bars.timeframe} bars"
    if not len(bars):
        return f"{what}: none in the part of its history that is shown."
    first, last = (desk.clock.text(time_of(bars.ts[at])) for at in (0, -1))
    added = f" as {len(bars)} candles of {duration(bars.step_s)}" if bars.step_s != bars.timeframe.seconds else ""
    low, high, begin, end = (
        price(float(value), bars.decimals) for value in (bars.low.min(), bars.high.max(), bars.open[0], bars.close[-1])
    )
    return (
        f"{what}{added}, {first} to {last} {desk.clock.name}: opened at {begin}, last {end} "
        f"({percent(float(bars.close[-1] / bars.open[0] - 1))}), between {low} and {high}, "
        f"volume {number(float(bars.volume.sum()), 0)} in {number(float(bars.trades.sum()), 0)} trades."
    )


def _whole(ms: float) -> datetime:
    """To the second, as an address has it, and inside the calendar."""
    return time_of(min(max(ms // 1000 * 1000, 0.0), 2.5e14))
