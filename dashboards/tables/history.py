"""How much of a symbol's history a chart needs, and how fine: from what is seen of it and how wide it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboards.tables.bars import ms_of, opened, time_of
from pipeline.model.timeframe import Timeframe

LEAST_PX = 2.0
"""No candle is narrower: where more bars are seen, several become one candle."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_LADDER = (
    1, 2, 5, 10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE,
    _HOUR, 2 * _HOUR, 4 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 5 * _DAY, 10 * _DAY, 30 * _DAY, 100 * _DAY, 300 * _DAY,
)  # fmt: skip
_AROUND = 1.0  # windows loaded on each side of what is seen
_NEAR = 0.3  # and how much of one must be there before more is loaded


@dataclass(frozen=True, slots=True)
class Window:
    """What is seen of the time axis, in milliseconds, and how wide it is drawn."""

    start_ms: float
    end_ms: float
    width_px: float

    @property
    def span_ms(self) -> float:
        """How much time is seen."""
        return max(1.0, self.end_ms - self.start_ms)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the past, from ``start`` to before ``end``."""

    start: datetime
    end: datetime

    def reaches(self, start_ms: float, end_ms: float) -> bool:
        """Whether all of a span lies in it."""
        return ms_of(self.start) <= start_ms and end_ms <= ms_of(self.end)


def steps(timeframe: Timeframe) -> tuple[int, ...]:
    """Lengths in seconds that bars of a timeframe may be added up into, shortest first: its own, and round multiples of it."""
    return (timeframe.seconds, *(step for step in _LADDER if step > timeframe.seconds and step % timeframe.seconds == 0))


def step_for(timeframe: Timeframe, span_ms: float, width_px: float) -> int:
    """The shortest step whose candles are not too narrow when so much time is drawn so wide."""
    allowed = steps(timeframe)
    least = span_ms / 1000 * LEAST_PX / max(width_px, 50.0)
    return next((step for step in allowed if step >= least), allowed[-1])


def part_for(timeframe: Timeframe, span_ms: float, most: int) -> int:
    """The shortest step that divides so much time into at most ``most`` parts."""
    return step_for(timeframe, span_ms, most * LEAST_PX)


def missing(seen: Window, known: Stretch | None, live_ms: float, step_s: int) -> Stretch | None:
    """What must be loaded so that the window, and some to its sides, is there; None when nothing is missing.

    Args:
        seen: what is looked at.
        known: the stretch that has been loaded already, at this step.
        live_ms: where the live candles begin: from there on everything is there.
        step_s: length of a candle.
    """
    near = _NEAR * seen.span_ms
    end = min(seen.end_ms + near, live_ms)
    if seen.start_ms - near >= live_ms or (known and known.reaches(seen.start_ms - near, end)):
        return None
    around = _AROUND * seen.span_ms
    start = opened(_time(seen.start_ms - around), step_s)
    last = min(seen.end_ms + around, live_ms)
    return Stretch(start, opened(_time(last), step_s) + (timedelta() if last == live_ms else timedelta(seconds=step_s)))


def _time(ms: float) -> datetime:
    """Bounded, for a chart can be dragged beyond any calendar."""
    return time_of(min(max(ms, -2e12), 8e12))
