"""Does our clock agree with the venue's? Journal time is ours, bars are the venue's."""

from __future__ import annotations

from pipeline.quality.finding import Finding, Severity, State, graded, unknown

NAME = "clock"

ERROR_MS = 5_000.0
"""Bars would complete seconds before their trades are here, or long after."""


def judge_clock(offset_ms: float | None, *, lateness_ms: float, how: str) -> Finding:
    """Judge our clock minus the venue's.

    Args:
        offset_ms: in milliseconds, above zero when ours is ahead; None when nothing says.
        lateness_ms: how long a bar waits for late trades: an offset beyond it completes bars too early.
        how: how it was measured, or why it could not be.
    """
    if offset_ms is None:
        return unknown(NAME, "venue", "", Severity.ERROR, how)
    state, threshold = graded(abs(offset_ms), warn=max(lateness_ms, 250.0), error=ERROR_MS)
    side = "ahead of" if offset_ms > 0 else "behind"
    advice = "" if state is State.OK else "; set the clock of this machine (NTP)"
    return Finding(
        NAME,
        "venue",
        "",
        Severity.ERROR,
        state,
        offset_ms,
        threshold,
        f"ours is {abs(offset_ms):.0f} ms {side} the venue's ({how}){advice}",
    )
