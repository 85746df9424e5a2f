"""Screener: which pairs hold together, over the whole universe, and what the universe is."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import polars as pl
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.charts.heat_map import HeatMap
from dashboards.format import escape
from dashboards.hub import Topic
from dashboards.parts.cards import CSS as TILE_CSS
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack, title
from dashboards.parts.table import LiveTable
from dashboards.tables.screens import Kept, Screened, Screens, ScreensTopic, ScreenTopic, arrange
from dashboards.theme import Palette
from dashboards.views.screen_filter import ScreenFilter
from dashboards.views.screen_rows import (
    COLUMNS,
    LEFT_OUT_COLUMNS,
    choice_text,
    cointegration_words,
    correlation_words,
    explanation,
    table_rows,
    tiles,
)
from dashboards.views.screen_run import ScreenRun
from dashboards.views.universe import UniversePart
from dashboards.views.view import Desk
from pipeline.jobs.screen import Screened as Tried
from pipeline.jobs.screen import default_timeframe
from pipeline.model.pair import Pair
from pipeline.model.universe import Universe

_PAGE = 50
_LAST = {"title": "", "align": "right"}
_NEWEST = "newest"
_TRIED = "tried here"
_CSS = asset("screener.css")
_LOOKING = '<div style="height: 560px">Looking for a screen…</div>'  # as high as the rows will be, so that nothing below jumps
_NO_ROW = "<b>No pair is like that</b>Widen a bound, clear the search, or press Reset."


def _no_screen(timeframe: str, scheduled: str) -> str:
    """What is said where no screen of ``timeframe`` is kept; the flow makes those of ``scheduled`` alone."""
    if timeframe == scheduled:
        how = "The flow screen makes one at start and every hour, as soon as there are bars enough. Run a screen to have one now."
    else:
        how = f"The flow screen makes those of {scheduled}. Run a screen to have one of {timeframe}, or choose another timeframe."
    return f"<b>No screen of this timeframe yet</b>{how}"


class ScreenerView:
    """The third tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._level = self._context.settings.adf_significance
        self._timeframe = default_timeframe(self._context.settings).name
        self._chosen = _NEWEST
        self._screens: Screens | None = None
        self._screened: Screened | None = None
        self._tried: tuple[Kept, Screened] | None = None
        self._found = pl.DataFrame()
        self._page = 0
        self._asked = 0
        self._setting = False
        self._shown = False
        self._make_choice()
        self._make_table()
        self._make_maps()
        self._run = ScreenRun(desk, tried=self._tried_here)
        self._universe = UniversePart(desk)
        self._panel = self._layout()
        self.opened(desk.query)

    def _make_choice(self) -> None:
        names = [timeframe.name for timeframe in self._context.timeframes]
        self._frame = Segments(options=names, value=self._timeframe, label="Timeframe", on_pick=self._frame_picked)
        self._which = pmui.Select(label="Screen", options={"newest": _NEWEST}, value=_NEWEST, **FIELD)
        self._which.param.watch(self._screen_picked, "value")
        self._new = pmui.Button(
            label="Run a screen", variant="outlined", size="small", margin=0, height=36, visible=self._desk.operator
        )  # fmt: skip
        self._new.on_click(lambda _event: self._run.toggle())
        self._tiles = html(tiles(None, self._level, self._desk.clock), css=TILE_CSS + _CSS)
        self._about = html(css=_CSS)

    def _make_table(self) -> None:
        self._filter = ScreenFilter(self._filtered)
        self._kind = Segments(
            options=[["tested", "Tested"], ["left", "Left out"]], value="tested", label="Which pairs", on_pick=self._kind_picked
        )
        self._count = html('<div class="count">Loading…</div>', css=_CSS, sizing_mode=None)
        small: dict[str, Any] = {"variant": "text", "size": "small", "margin": 0, "visible": False}
        self._back = pmui.Button(label="Previous", **small)
        self._forth = pmui.Button(label="Next", **small)
        self._back.on_click(lambda _event: self._turn(-1))
        self._forth.on_click(lambda _event: self._turn(1))
        self._table = LiveTable(
            columns=[*COLUMNS, _LAST], label="Pairs of the screen", clickable=True, on_action=self._acted, order="rank",
            empty=_LOOKING, styles={"max-height": "600px", "overflow": "auto", "scrollbar-width": "thin"},
        )  # fmt: skip

    def _make_maps(self) -> None:
        colours = self._desk.colours
        self._correlation = HeatMap(colours, on_open=self._open, kind="correlation", title="correlation", label="Correlation of every pair")
        self._cointegration = HeatMap(
            colours, on_open=self._open, kind="cointegration", title="q", more_title="p", level=self._level,
            label="Cointegration of every ordered pair",
        )  # fmt: skip

    def _layout(self) -> Viewable:
        head = grid(self._frame, self._which, self._new, css=_CSS, name="sw-choice")
        bar = grid(self._kind, self._count, pn.Row(self._back, self._forth, margin=0), css=_CSS, name="sw-count")
        maps = grid(
            card(title("Correlation", "of one-bar log returns"), self._correlation),
            card(title("Cointegration", "q-value, y in rows, x in columns"), self._cointegration),
            css=_CSS, name="sw-maps",
        )  # fmt: skip
        self._maps = stack(maps)
        return stack(
            card(head, self._tiles, self._about),
            self._run.form,
            self._run.progress,
            card(title("Pairs", "a click opens the pair"), *self._filter.parts, bar, self._table),
            self._maps,
            self._universe.panel,
        )

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the screens, at the chosen one, and at what runs."""
        self._shown = True
        kept = self._kept
        topics: list[Topic] = [ScreensTopic(self._level), *self._run.topics()]
        if kept is not None and self._chosen != _TRIED:
            topics.append(ScreenTopic(kept.screen_id))
        self._desk.session.want(self._show, topics)

    def hidden(self) -> None:
        """Look at nothing."""
        self._shown = False
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """The maps are drawn on canvases."""
        self._correlation.restyle(colours)
        self._cointegration.restyle(colours)

    def follow(self, universe: Universe) -> None:
        """Show the universe as it is now, and which pairs of the screen are modelled."""
        self._universe.draw(universe)
        self._run.follow(universe)
        self._draw_about()
        self._draw_page()

    def opened(self, query: dict[str, str]) -> None:
        """``timeframe``, ``screen``, and the filter's parts; what cannot be used is left out."""
        if not query:
            return
        if query.get("timeframe") in {timeframe.name for timeframe in self._context.timeframes}:
            self._timeframe = query["timeframe"]
            self._frame.value = self._timeframe
        self._chosen = query.get("screen") or _NEWEST
        self._filter.take(query)
        self._kind.value = "left" if self._filter.wanted.left_out else "tested"
        self._choose()

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        which = "" if self._chosen in (_NEWEST, _TRIED) else self._chosen
        return {"timeframe": self._timeframe, "screen": which, **self._filter.state()}

    # ------------------------------------------------------------------------------------------------ choosing a screen

    @property
    def _kept(self) -> Kept | None:
        """The screen that is looked at; the newest of the timeframe when the chosen one is kept no more."""
        if self._chosen == _TRIED and self._tried is not None:
            return self._tried[0]
        there = self._screens.of(self._timeframe) if self._screens is not None else ()
        return next((kept for kept in there if kept.screen_id == self._chosen), there[0] if there else None)

    def _frame_picked(self, name: str) -> None:
        if name != self._timeframe:
            self._timeframe, self._chosen = name, _NEWEST
            self._choose()

    def _screen_picked(self, event: Any) -> None:
        if not self._setting and event.new != self._chosen:
            self._chosen = event.new
            self._choose()

    def _choose(self) -> None:
        """Another screen is to be looked at."""
        kept = self._kept
        if self._screened is not None and (kept is None or self._screened.screen_id != kept.screen_id):
            self._screened = None
        self._draw_choice()
        if self._chosen == _TRIED and self._tried is not None:
            self._take(self._tried[1])
        self._desk.remember(self.state())
        if self._shown:
            self.shown()

    def _tried_here(self, made: Tried) -> None:
        """A screen that was made in this process: shown until another one is chosen."""
        window, level = made.window, self._level
        kept = Kept(
            _TRIED, window.timeframe, window.lookback, window.start, window.end, made.rows["made_at"][0], len(window.symbols),
            made.rows.filter(outcome="tested").height, made.rows.height, made.found(level),
        )  # fmt: skip
        self._desk.work(lambda: arrange(_TRIED, made.rows), lambda screened, _problem: self._show_tried(kept, screened))

    def _show_tried(self, kept: Kept, screened: Screened | None) -> None:
        if screened is not None:
            self._tried, self._timeframe, self._chosen = (kept, screened), kept.timeframe.name, _TRIED
            self._frame.value = self._timeframe
            self._choose()

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, Screens):
            before = self._kept
            self._screens = value
            now = self._kept
            if now is None or before is None or now.screen_id != before.screen_id:
                self._choose()
            else:
                self._draw_choice()
        elif isinstance(value, Screened):
            kept = self._kept
            if kept is not None and value.screen_id == kept.screen_id and value is not self._screened:
                self._take(value)
        elif self._run.show(value):
            self.shown()

    def _take(self, screened: Screened) -> None:
        self._screened = screened
        self._draw_about()
        self._filtered(anew=False)
        self._correlation.show(screened.symbols, screened.correlation, words=correlation_words(screened))
        self._cointegration.show(
            screened.symbols, screened.q_value, more=screened.p_value, words=cointegration_words(screened, self._level)
        )  # fmt: skip

    def _draw_choice(self) -> None:
        there = self._screens.of(self._timeframe) if self._screens is not None else ()
        newest = f"newest: {choice_text(there[0], self._desk.clock)}" if there else "newest"
        options = {newest: _NEWEST}
        if self._tried is not None:
            options[f"{_TRIED}, not stored: {choice_text(self._tried[0], self._desk.clock)}"] = _TRIED
        options |= {choice_text(kept, self._desk.clock): kept.screen_id for kept in there[1:]}
        self._setting = True
        if self._which.options != options:
            value = self._chosen if self._chosen in options.values() else _NEWEST
            self._which.param.update(options=options, value=value)
            self._which.param.trigger("value")  # the browser knows options by their texts, which have changed
        elif self._chosen in options.values():
            self._which.value = self._chosen
        self._setting = False
        self._tiles.object = tiles(self._kept, self._level, self._desk.clock)
        self._draw_about()
        if self._screens is not None and self._kept is None:
            self._found = pl.DataFrame()
            self._table.param.update(rows=[], empty=_no_screen(self._timeframe, default_timeframe(self._context.settings).name))
            self._count.object = '<div class="count"></div>'
        self._maps.visible = self._kept is not None

    def _draw_about(self) -> None:
        kept = self._kept
        if kept is None:
            self._about.object = ""
            return
        there = set(self._screened.symbols) if self._screened is not None else None
        blocked = self._screens.blocked if self._screens is not None else {}
        missing = {} if there is None or kept.symbols <= 0 else {
            symbol: blocked.get(symbol, "it had no complete bars in the window, or was not asked for")
            for symbol in self._context.universe.known if symbol not in there
        }  # fmt: skip
        self._about.object = explanation(kept, self._level, self._screened, missing)

    # ------------------------------------------------------------------------------------------------ the table

    def _kind_picked(self, kind: str) -> None:
        self._filter.show_left_out(left_out=kind == "left")

    def _filtered(self, *, anew: bool = True) -> None:
        """Choose and sort beside the event loop; only a page of rows travels to the browser."""
        if self._screened is None:
            return
        wanted, rows = self._filter.wanted, self._screened.rows
        self._asked += 1
        asked = self._asked
        if anew:
            self._page = 0
            self._desk.remember(self.state())

        def chosen(found: pl.DataFrame | None, problem: str) -> None:
            if asked != self._asked:  # something else was wanted meanwhile
                return
            if found is None:
                self._count.object = f'<div class="count down">{escape(problem)}</div>'
                return
            self._found = found
            self._draw_page()

        self._desk.work(lambda: wanted.choose(rows), self._desk.session.awaited(chosen))

    def _turn(self, step: int) -> None:
        self._page += step
        self._draw_page()

    def _draw_page(self) -> None:
        kept, wanted = self._kept, self._filter.wanted
        if kept is None or self._screened is None:
            return
        pages = max(1, -(-self._found.height // _PAGE))
        self._page = min(max(self._page, 0), pages - 1)
        part = self._found.slice(self._page * _PAGE, _PAGE)
        columns = [*(LEFT_OUT_COLUMNS if wanted.left_out else COLUMNS), _LAST]
        rows = table_rows(
            part, timeframe=kept.timeframe, level=self._level, modelled=[spec.pair for spec in self._context.universe.pairs],
            operator=self._desk.operator, shown_left_out=wanted.left_out,
        )  # fmt: skip
        nothing = "<b>Every pair was tested</b>Nobody is left out of this screen." if wanted.left_out else _NO_ROW
        if self._table.columns != columns:
            self._table.param.update(rows=[], columns=columns)
        self._table.param.update(rows=rows, order=self._filter.order, empty=nothing)
        self._back.param.update(visible=pages > 1, disabled=self._page == 0)
        self._forth.param.update(visible=pages > 1, disabled=self._page == pages - 1)
        self._count.object = self._counted(kept, part.height)

    def _counted(self, kept: Kept, shown: int) -> str:
        out = kept.pairs - kept.tests
        whole = out if self._filter.wanted.left_out else kept.tests
        first = self._page * _PAGE + 1
        span = f"<b>{first:,} to {first + shown - 1:,}</b> of " if self._found.height > _PAGE else ""
        kind = "left out" if self._filter.wanted.left_out else "tested"
        return f'<div class="count" role="status">{span}<b>{self._found.height:,}</b> shown of {whole:,} {kind}</div>'

    def _acted(self, action: str, name: str) -> None:
        match action:
            case "sort":
                self._filter.sort(name)
            case "open":
                self._open(name)
            case "model":
                self._universe.model(Pair.parse(name))
            case _:
                pass

    def _open(self, name: str) -> None:
        kept = self._kept
        if kept is not None:
            self._desk.go("pair", {"pair": name, "timeframe": kept.timeframe.name, "lookback": str(kept.lookback)})
