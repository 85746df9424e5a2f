"""Running a screen: the form, the run while it works wherever it was started, and screening in this process when Prefect is away."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import age, escape
from dashboards.hub import Topic
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, title
from dashboards.prefect import FlowRun, Following
from dashboards.tables.flow_runs import FlowRuns, FlowRunsTopic, OneRun, RunTopic
from dashboards.views.view import Desk
from pipeline.errors import UsageError
from pipeline.jobs.screen import LONGEST, SHORTEST, Screened, default_timeframe, try_screen
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.store.quality import blocked_symbols

_DEPLOYMENT = "screen/manual"
_RUN_SCREENS = "run screens"
_DIRECTIONS = {"both directions of a pair": "both", "the earlier symbol on the later": "forward"}
_STATES = {"COMPLETED": "up", "RUNNING": "accent", "FAILED": "down", "CRASHED": "down", "CANCELLED": "warn", "CANCELLING": "warn"}
_RECENT_S = 900.0


@dataclass(frozen=True, slots=True)
class ScreenOrder:
    """What to screen; no symbols are all of them."""

    timeframe: Timeframe
    lookback: int
    symbols: tuple[str, ...]
    both_directions: bool
    least_volume: float

    def parameters(self) -> dict[str, Any]:
        """As the flow takes them."""
        return {
            "timeframe": self.timeframe.name, "lookback": self.lookback, "symbols": list(self.symbols) or None,
            "directions": "both" if self.both_directions else "forward", "least_volume": self.least_volume,
        }  # fmt: skip


class ScreenRun:
    """A card below the choice of a screen, hidden until it is asked for or something runs."""

    def __init__(self, desk: Desk, *, tried: Callable[[Screened], None]) -> None:
        self._desk = desk
        self._context = desk.context
        self._tried = tried
        self._run_id = ""
        self._runs: FlowRuns | None = None
        self._one: OneRun | None = None
        self._here = ""
        self._key = uuid.uuid4().hex
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        self._make_form()
        self._say = html(css=_SAY_CSS)
        self._state = html(css=_STATE_CSS, visible=False)
        self._cancel = pmui.Button(label="Cancel the run", variant="text", size="small", margin=(0, 8, 8, 8), visible=False)
        self._form = card(
            title("Run a screen", "of the newest complete bars; the same bars are never screened twice"), self._fields, self._say
        )
        self._form.visible = False
        self.progress: Viewable = card(self._state, self._cancel, visible=False)
        self.form: Viewable = self._form
        self._start.on_click(self._start_clicked)
        self._locally.on_click(self._here_clicked)
        self._cancel.on_click(self._cancel_clicked)
        self._judge()

    def _make_form(self) -> None:
        chosen = self._context.settings
        self._frame = pmui.Select(
            label="Timeframe", options=list(self._timeframes), value=default_timeframe(chosen).name, **FIELD
        )  # fmt: skip
        self._lookback = pmui.IntInput(label="Lookback (bars)", value=1_440, start=SHORTEST, end=LONGEST, step=100, **FIELD)
        self._directions = pmui.Select(label="Test", options=_DIRECTIONS, value="both", **FIELD)
        self._volume = pmui.TextInput(label="Least volume of a bar", placeholder="any", value="", **FIELD)
        self._symbols = pmui.MultiChoice(
            label="Symbols (empty: all)", options=list(self._context.universe.known), value=[], margin=0, sizing_mode="stretch_width",
            css_classes=["wide"],
        )  # fmt: skip
        flat: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "height": 38}
        self._start = pmui.Button(label="Run", variant="contained", color="primary", **flat)
        self._locally = pmui.Button(label="Screen here, unstored", variant="outlined", visible=False, **flat)
        self._fields = grid(
            self._frame, self._lookback, self._directions, self._volume, self._start, self._locally, self._symbols,
            css=asset("screen_run.css"), name="sw-run",
        )  # fmt: skip
        for widget in (self._frame, self._lookback, self._directions, self._volume, self._symbols):
            widget.param.watch(self._judge, "value")

    # ------------------------------------------------------------------------------------------------ the view's side

    def topics(self) -> list[Topic]:
        """What is looked at: the newest runs, and the one that is followed."""
        prefect = self._context.prefect
        followed: list[Topic] = [RunTopic(prefect, self._run_id)] if self._run_id else []
        return [FlowRunsTopic(prefect, flow="screen", most=5), *followed]

    def toggle(self) -> None:
        """Show or hide the form."""
        self._form.visible = not self._form.visible

    def follow(self, universe: Universe) -> None:
        """Offer the symbols that there are now."""
        self._symbols.param.update(
            options=list(universe.known), value=[name for name in self._symbols.value if name in universe.known]
        )  # fmt: skip

    def show(self, value: Any) -> bool:
        """Take in runs; whether another run is followed from now on."""
        if isinstance(value, FlowRuns):
            self._runs = value
            self._judge()
            working = next((run for run in value.runs if not run.ended), None)
            if working is not None and working.run_id != self._run_id and self._done:
                self._run_id, self._one = working.run_id, None
                return True
        elif isinstance(value, OneRun) and (value.following is None or value.following.run.run_id == self._run_id):
            self._one = value
            self._draw()
        return False

    @property
    def _done(self) -> bool:
        """Whether the run that is followed, if any, is over."""
        return not self._run_id or (self._one is not None and (self._one.following is None or self._one.following.run.ended))

    # ------------------------------------------------------------------------------------------------ the form

    def _order(self) -> ScreenOrder:
        """What the form asks for.

        Raises:
            UsageError: when it cannot be meant.
        """
        names, text = tuple(self._symbols.value), (self._volume.value or "").strip()
        if len(names) == 1:
            msg = "one symbol makes no pair: choose at least two, or none for all"
            raise UsageError(msg)
        try:
            volume = float(text or 0.0)
        except ValueError:
            volume = -1.0
        if not 0 <= volume < float("inf"):
            msg = f"least volume {text!r} is not understood; expected a number in the quote currency, or nothing for any"
            raise UsageError(msg)
        lookback = self._lookback.value
        if lookback is None or not SHORTEST <= lookback <= LONGEST:
            msg = f"a screen looks back on {SHORTEST:,} to {LONGEST:,} bars"
            raise UsageError(msg)
        return ScreenOrder(self._timeframes[self._frame.value], lookback, names, self._directions.value == "both", volume)

    def _judge(self, _event: Any = None) -> None:
        """Say what would be done, or why it cannot be."""
        problem = self._runs.problem if self._runs is not None else ""
        self._locally.visible = bool(problem)
        try:
            order = self._order()
        except UsageError as error:
            self._start.disabled = self._locally.disabled = True
            self._tell(escape(str(error)), "down")
            return
        self._locally.disabled = bool(self._here)
        self._start.disabled = bool(problem)
        count = len(order.symbols) or len(self._context.universe.known)
        pairs = count * (count - 1) // (1 if order.both_directions else 2)
        span = age(order.lookback * order.timeframe.seconds)
        text = f"{pairs:,} tests of {count} symbols on the last {order.lookback:,} {order.timeframe} bars, {span}."
        if problem:
            text += (
                f' <span class="warn">{escape(problem)}.</span> Until it is back, a screen can be made here: it is shown to you alone and'
                " not stored."
            )
        self._tell(text, "")

    def _tell(self, text: str, css: str) -> None:
        self._say.object = f'<div class="say {css}" role="status">{text}</div>'

    def _start_clicked(self, _event: Any = None) -> None:
        order, key, prefect = self._order(), self._key, self._context.prefect
        self._start.loading = True

        def started(run_id: str | None, problem: str) -> None:
            self._start.loading = False
            if run_id is None:
                self._tell(escape(problem), "down")
                return
            self._key = uuid.uuid4().hex
            self._run_id, self._one = run_id, None
            self._form.visible = False
            self._draw()
            self._desk.go("screener", {})

        def start() -> str:
            self._desk.permit(_RUN_SCREENS)
            return prefect.start_run(_DEPLOYMENT, order.parameters(), key=key)

        self._desk.work(start, started)

    def _cancel_clicked(self, _event: Any = None) -> None:
        prefect, run_id = self._context.prefect, self._run_id

        def cancel() -> None:
            self._desk.permit(_RUN_SCREENS)
            prefect.cancel_run(run_id)

        self._desk.work(
            cancel,
            lambda _done, problem: self._desk.toast("error", problem) if problem else self._desk.toast("info", "Cancelling the run"),
        )

    # ------------------------------------------------------------------------------------------------ in this process

    def _here_clicked(self, _event: Any = None) -> None:
        if self._here:
            return
        order, universe = self._order(), self._context.universe
        self._here = "reading bars"
        self._locally.loading = True
        self._draw()
        self._desk.work(lambda: self._screen_here(order, universe), self._here_done)

    def _screen_here(self, order: ScreenOrder, universe: Universe) -> Screened:
        """Beside the event loop: the same function as the flow's, with nothing saved."""
        self._desk.permit(_RUN_SCREENS)
        link, last = self._context.link, 0.0

        def progress(done: int, total: int) -> None:
            nonlocal last
            if done / total >= last + 0.05 or done == total:
                last = done / total
                self._desk.session.later(lambda: self._moved(done, total))

        blocked = link.use(blocked_symbols)
        names = [name for name in order.symbols or universe.known if name not in blocked]
        return link.use(
            lambda warehouse: try_screen(
                warehouse, names, order.timeframe, now=datetime.now(UTC), lookback=order.lookback,
                max_fill=self._context.settings.max_fill, both_directions=order.both_directions, least_volume=order.least_volume,
                progress=progress,
            )
        )  # fmt: skip

    def _moved(self, done: int, total: int) -> None:
        if self._here:
            self._here = f"{done:,} of {total:,} pairs tested"
            self._draw(share=done / total)

    def _here_done(self, made: Screened | None, problem: str) -> None:
        self._here = ""
        self._locally.loading = False
        self._draw()
        self._judge()
        if made is None:
            self._tell(escape(problem), "down")
        else:
            self._form.visible = False
            self._tried(made)

    # ------------------------------------------------------------------------------------------------ how it goes

    def _draw(self, *, share: float | None = None) -> None:
        if self._here:
            self._show_state(_state("screening here, not stored", "accent", self._here, share, working=True))
            return
        if not self._run_id:
            self._show_state("")
            return
        following = self._one.following if self._one is not None else None
        if following is None:
            problem = self._one.problem if self._one is not None else ""
            self._show_state(_state("starting", "accent", problem or "asked for, not yet begun", None, working=not problem))
            return
        run = following.run
        old = run.ended and run.end is not None and (datetime.now(UTC) - run.end).total_seconds() > _RECENT_S
        self._show_state("" if old else _run_text(following, self._context.prefect_url, self._one.problem if self._one else ""))
        self._cancel.visible = not run.ended and self._desk.operator

    def _show_state(self, text: str) -> None:
        self._state.param.update(object=text, visible=bool(text))
        self.progress.visible = bool(text)
        if not self._run_id or self._here:
            self._cancel.visible = False


def _run_text(following: Following, prefect_url: str, problem: str) -> str:
    run = following.run
    link = f'<a href="{escape(prefect_url)}/runs/flow-run/{escape(run.run_id)}" target="_blank" rel="noopener">Prefect ↗</a>'
    said = following.summary if run.ok else run.message if run.ended else following.progress_of
    share = 1.0 if run.ok else following.progress
    note = f"{escape(problem)}. " if problem else ""
    took = f' <span class="faint">{age(run.duration_s)}</span>' if run.duration_s else ""
    text = f"{note}{escape(said or _waits(run))}{took} {link}"
    return _state(run.state.lower(), _STATES.get(run.state_type, "faint"), text, share, working=not run.ended, name=run.name)


def _waits(run: FlowRun) -> str:
    return "done" if run.ok else "" if run.ended else "begun" if run.start else "waiting for a free place among the flows"


def _state(word: str, colour: str, text: str, share: float | None, *, working: bool, name: str = "") -> str:
    """A line of text (HTML) above a bar of how much is done."""
    width = "" if share is None else f' style="width:{share:.0%}"'
    known = "" if share is None else f' aria-valuenow="{share * 100:.0f}"'
    track = f'<div class="track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"{known}>'
    bar = f'{track}<i class="{"moves" if share is None else ""}"{width}></i></div>' if working else ""
    head = f'<span class="strong">{escape(name)}</span>' if name else ""
    return (
        f'<div class="run" role="status"><span class="chip {colour}">{escape(word)}</span>{head}<span class="what">{text}</span></div>{bar}'
    )


_SAY_CSS = (
    ".say { padding: 0 14px 12px; font-size: 12.5px; line-height: 1.5; color: var(--sw-faint); } .say.down { color: var(--sw-down); }"
)
_STATE_CSS = """
.run { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px; padding: 11px 14px; font-size: 12.5px; line-height: 1.5; }
.run .what { color: var(--sw-faint); flex: 1 1 240px; }
.track { height: 3px; background: var(--sw-grid); overflow: hidden; }
.track i { display: block; height: 100%; width: 30%; background: var(--sw-accent); transition: width .4s; }
@keyframes along { from { margin-left: -30%; } to { margin-left: 100%; } }
.track i.moves { animation: along 1.6s linear infinite; }
@media (prefers-reduced-motion: reduce) { .track i.moves { animation: none; } }
"""
