"""A run of a flow, started and followed on a page: its state, how far it is, what it says, and a button to cancel it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import age, escape
from dashboards.hub import Topic
from dashboards.parts.html import card, html
from dashboards.prefect import FlowRun, Following, LogLine
from dashboards.tables.flow_runs import OneRun, RunTopic
from pipeline.errors import SpreadwatchError

if TYPE_CHECKING:
    from dashboards.views.view import Desk

_CSS = asset("run_card.css")
COLOURS = {"COMPLETED": "up", "RUNNING": "accent", "FAILED": "down", "CRASHED": "down", "CANCELLED": "faint", "CANCELLING": "warn"}
"""Of each type of state: the class of its chip; others are faint."""
_WAITING = {
    "Scheduled": "It waits for the process flows to take it.",
    "Pending": "The process flows has taken it and starts it.",
    "AwaitingConcurrencySlot": "It waits for a run of the same flow that is at work.",
    "AwaitingRetry": "It is tried again in a moment.",
    "Late": "Nobody has taken it: is the process flows running? See <code>spreadwatch status</code>.",
    "Paused": "It is paused in Prefect.",
}


@dataclass(frozen=True, slots=True)
class Start:
    """A run to start: of which deployment, and with which parameters."""

    deployment: str
    parameters: Mapping[str, Any]

    def key(self, nonce: str) -> str:
        """The same for the same parameters and nonce: however often it is asked for, one run is started."""
        text = json.dumps([self.deployment, dict(self.parameters), nonce], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


class RunCard:
    """A button that starts a run, and a card that follows it.

    Args:
        desk: of the session.
        label: of the button.
        order: called in the event loop when the button is clicked; raises SpreadwatchError to say what is wrong with the form.
        ended: called once when a run that was started here has ended, well or not.
        remembered: called when another run is followed.
        look: of the button, where it is another than that of a form.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        label: str,
        order: Callable[[], Start],
        ended: Callable[[Following], None] | None = None,
        remembered: Callable[[], None] | None = None,
        **look: Any,
    ) -> None:
        self._desk = desk
        self._order = order
        self._ended = ended
        self._remembered = remembered or (lambda: None)
        self._nonce = secrets.token_hex(8)
        self._one = OneRun()
        self._told_end = False
        self._shown = False
        self.run_id = ""
        looks = {"variant": "contained", "height": 38, "width": 190, **look}
        self.button = pmui.Button(label=label, color="primary", margin=0, sizing_mode="fixed", disabled=not desk.operator, **looks)
        self.button.on_click(lambda _event: self._clicked())
        self._say = html(css=_CSS)
        self._log = html(css=_CSS, visible=False)
        self._cancel = pmui.Button(
            label="Cancel run", variant="outlined", color="error", size="small", margin=(0, 14, 12, 14), visible=False
        )
        self._cancel.on_click(lambda _event: self._cancelled())
        self.panel = card(self._say, pn.Row(self._cancel, margin=0), self._log, visible=False)

    def enable(self, *, ready: bool) -> None:
        """Whether what the form says makes sense, so that the button may be clicked."""
        self.button.disabled = not (ready and self._desk.operator)

    # ------------------------------------------------------------------------------------------------ following

    def shown(self) -> None:
        """The tab is open: follow."""
        self._shown = True
        topics: list[Topic] = [RunTopic(self._desk.context.prefect, self.run_id)] if self.run_id else []
        self._desk.session.want(self._show, topics)

    def hidden(self) -> None:
        """The tab was left; the run goes on."""
        self._shown = False
        self._desk.session.want(self._show, [])

    def follow(self, run_id: str) -> None:
        """Follow a run from now on, whoever started it."""
        if run_id == self.run_id:
            return
        self.run_id, self._one, self._told_end = run_id, OneRun(), False
        self._draw('<div class="run"><div class="note">Asking Prefect for the run…</div></div>')
        if self._shown:
            self.shown()
        self._remembered()

    def _show(self, _topic: Topic, one: Any) -> None:
        if not isinstance(one, OneRun):
            return
        self._one = one
        following = one.following
        if following is None:
            self._draw(_problem(one.problem))
            return
        clock, url = self._desk.clock, f"{self._desk.context.prefect_url}/runs/flow-run/{following.run.run_id}"
        self._draw(_told(following, clock, url) + (_problem(one.problem) if one.problem else ""))
        self._cancel.visible = not following.run.ended and self._desk.operator
        self._cancel.disabled = following.run.state_type == "CANCELLING"
        text = _log(following.lines, clock)
        if text != self._log.object:
            self._log.param.update(object=text, visible=bool(following.lines))
        if following.run.ended and not self._told_end:
            self._told_end = True
            if self._ended is not None:
                self._ended(following)

    def _draw(self, text: str) -> None:
        if text != self._say.object:
            self._say.object = text
        self.panel.visible = True

    # ------------------------------------------------------------------------------------------------ acting

    def _clicked(self) -> None:
        if self.button.loading:  # the second click of two
            return
        try:
            start = self._order()
        except SpreadwatchError as error:
            self._refused(str(error))
            return
        self.button.disabled = True
        self.button.loading = True
        desk, key = self._desk, start.key(self._nonce)

        def ask() -> str:
            desk.permit("start runs")
            return desk.context.prefect.start_run(start.deployment, start.parameters, key=key, tags=("dashboard", f"user:{desk.user}"))

        def started(run_id: str | None, problem: str) -> None:
            self.button.loading = False
            self.enable(ready=True)
            if run_id is None:
                self._refused(problem)
                return
            self._nonce = secrets.token_hex(8)
            self.follow(run_id)

        desk.work(ask, started)

    def _refused(self, problem: str) -> None:
        """Say why there is no run."""
        self.run_id = ""
        self._desk.session.want(self._show, [])
        self._cancel.visible = self._log.visible = False
        self._draw(_problem(problem))

    def _cancelled(self) -> None:
        self._cancel.disabled = True
        desk, run_id = self._desk, self.run_id

        def ask() -> None:
            desk.permit("cancel runs")
            desk.context.prefect.cancel_run(run_id)

        def done(_nothing: None, problem: str) -> None:
            if problem:
                desk.toast("error", problem)
                self._cancel.disabled = False
            else:
                desk.toast("info", "The run is being cancelled; what it has written stays.")

        desk.work(ask, done)


def chip(run: FlowRun) -> str:
    """The state as a chip."""
    return f'<span class="chip {COLOURS.get(run.state_type, "faint")}">{escape(run.state)}</span>'


def _told(following: Following, clock: Clock, url: str) -> str:
    run = following.run
    when = f"started {clock.short(run.start, datetime.now(UTC))} {clock.city}" if run.start else "not started yet"
    took = f", {age(run.duration_s)}" if run.start and run.duration_s else ""
    link = f'<a href="{escape(url)}" target="_blank" rel="noopener">in the Prefect UI ↗</a>'
    return (
        f'<div class="run" role="status"><div class="line">{chip(run)}<b class="strong">{escape(run.name)}</b>'
        f'<span class="faint">{when}{took}</span>{link}</div>{_bar(following)}<div class="note">{_words(following)}</div></div>'
    )


def _bar(following: Following) -> str:
    run, progress = following.run, following.progress
    if run.ended:
        side = COLOURS.get(run.state_type, "faint")
        return f'<div class="bar {side}" aria-hidden="true"><i style="width:{100 if run.ok else 100 * (progress or 0):.1f}%"></i></div>'
    if progress is None:
        return f'<div class="bar{" wait" if run.state_type == "RUNNING" else ""}" role="progressbar" aria-label="Progress"><i></i></div>'
    share = 100 * progress
    return (
        f'<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share:.0f}">'
        f'<i style="width:{share:.1f}%"></i></div>'
    )


def _words(following: Following) -> str:
    run = following.run
    if run.ok:
        return escape(following.summary) or "Done."
    if run.state_type in ("FAILED", "CRASHED"):
        return f'<span class="down">{escape(run.message) or "It ended without a word; its log tells more."}</span>'
    if run.state_type == "CANCELLED":
        return "Cancelled; what it had written by then stays."
    if run.state_type == "CANCELLING":
        return "It is being ended."
    if run.state_type == "RUNNING":
        share = following.progress
        return "At work." if share is None else f"{100 * share:.0f} % of {escape(following.progress_of) or 'the work'}"
    return _WAITING.get(run.state, "It has not begun.")


def _log(lines: tuple[LogLine, ...], clock: Clock) -> str:
    if not lines:
        return ""
    told = "\n".join(
        f'<span class="faint">{clock.local(line.time):%H:%M:%S}</span> <span class="{line.level}">{escape(line.text)}</span>'
        for line in lines
    )
    # Newest at the foot, and the foot in sight: the column is reversed, so that is where it scrolls to by itself.
    return f'<div class="log" tabindex="0" role="log" aria-label="Log of the run"><pre>{told}</pre></div>'


def _problem(text: str) -> str:
    return f'<div class="run" role="alert"><div class="note"><span class="down">{escape(text)}</span></div></div>'
