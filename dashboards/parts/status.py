"""How the dashboard stands to the warehouse, in the header and, when it matters, in a banner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import escape
from dashboards.hub import Status
from dashboards.theme import BADGES
from pipeline.profile import Kind, Profile


def _styled(css: str) -> Callable[[Callable[..., str]], Any]:
    """Keep a part's style beside the function that draws it."""

    def keep(function: Any) -> Any:
        function.css = css
        return function

    return keep


@_styled(asset("badge.css"))
def badge(profile: Profile) -> str:
    """What kind of data this is: LIVE, DEMO or REPLAY."""
    word, back, ink = BADGES[profile.kind.value]
    meaning = {
        Kind.LIVE: "Live data from Binance",
        Kind.SIMULATED: "Simulated data, not a real market",
        Kind.RECORDED: "Replayed recordings, not the present market",
    }[profile.kind]
    return f'<span class="b" style="background:{back};color:{ink}" title="{meaning}; profile {escape(profile.name)}">{word}</span>'


@_styled(asset("pill.css"))
def pill(status: Status, profile: Profile, clock: Clock, *, live: bool) -> str:
    """One dot and the journal's time; ``live`` is told to whoever drives the page by program."""
    colour, word = {
        "ok": ("up", "Streaming"),
        "ended": ("accent", "Recording over"),
        "quiet": ("warn", "No new data"),
        "down": ("down", "Disconnected"),
        "connecting": ("faint", "Connecting"),
    }[status.state]
    told = clock.local(status.clock.journal_time) if status.clock else None
    time = f"{told:%H:%M:%S}" if told else "--:--:--"
    day = "" if profile.kind is Kind.LIVE or told is None else f"{told:%Y-%m-%d} "
    return (
        f'<div class="p" role="status" data-live="{live}" title="{word}; journal time {day}{time} {clock.name}"><i class="{colour}"></i>'
        f'<span class="long">{word}</span>'
        f"<span>{time} {clock.city}</span></div>"
    )


@_styled(asset("banner.css"))
def banner(status: Status, profile: Profile, clock: Clock) -> str:
    """What is wrong and what to do; empty when all is well."""
    up = f"<code>spreadwatch up --profile {escape(profile.name)}</code>"
    last = f"Everything below is as of {clock.text(status.clock.journal_time)} {clock.name}." if status.clock else ""
    match status.state:
        case "down":
            text = f"It is tried again every second. If nothing runs, start it with {up}. {last}"
            return _notice("down", f"The warehouse has not answered since {clock.short(status.since)} {clock.name}.", text)
        case "quiet":
            text = f"The warehouse answers, but capture delivers nothing. See Health, or <code>spreadwatch status</code>. {last}"
            return _notice("warn", f"Stale: nothing has been landed since {clock.short(status.since)} {clock.name}.", text)
        case "connecting" if status.problem:
            return _notice("faint", "Waiting for the first data.", f"{escape(status.problem)}.")
        case _ if status.problem:
            return _notice("warn", "A part could not be read.", escape(status.problem))
        case _:
            return ""


def _notice(colour: str, head: str, text: str) -> str:
    return f'<div class="n {colour}" role="alert"><b>{head}</b><span>{text}</span></div>'
