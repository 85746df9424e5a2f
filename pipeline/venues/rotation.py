"""When a connection is replaced before the venue ends it, pure: the time of its opening is passed in."""

from __future__ import annotations

from typing import Final

DAY_S: Final = 86_400.0

_STEP_S: Final = 30.0
_PLACES: Final = 30
"""Connections beyond this many share a moment with another one."""
_YOUNG_S: Final = 600.0


def rotate_after_s(opened_s: float, *, life_s: float, at_s: float | None = None, place: int = 0) -> float:
    """Seconds from the opening of a connection to its planned replacement: more than 0, at most ``life_s``.

    Without ``at_s`` that is its life. With it, the next such time of day, or the end of its life where that comes first: a
    connection replaced at 04:30 whose life is 23 h is replaced at 03:30 the day after, and once more at 04:30. So what has to
    happen every day happens within the hour before that time and never drifts into a busy one. A connection that is only some
    minutes old is left alone.

    Args:
        opened_s: When it was opened, in seconds since the epoch, UTC.
        life_s: Its longest planned life, below the venue's 24 h.
        at_s: Time of day, in seconds after midnight UTC, at which connections are best replaced.
        place: Number of the connection among all, so that they are not replaced at once: each half a minute or more apart.
    """
    lag_s = place % _PLACES * min(_STEP_S, life_s / (4 * _PLACES))
    end_s = life_s - 2 * lag_s  # twice: one that was opened ``lag_s`` late must not end together with all others
    if at_s is None:
        return end_s
    young_s = min(_YOUNG_S, life_s / 10)
    due_s = young_s + (at_s + lag_s - opened_s - young_s) % DAY_S
    return min(due_s, end_s)


def time_of_day_s(text: str) -> float:
    """Seconds after midnight of a time written ``HH:MM``."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 3_600.0 + int(minutes) * 60.0
