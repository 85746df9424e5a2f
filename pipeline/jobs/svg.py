"""Line charts as inline SVG: a few hundred points, two axes, no script, nothing fetched. Good on paper too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

_WIDTH, _HEIGHT = 760, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 10, 24
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800)


@dataclass(frozen=True, slots=True)
class Level:
    """A dashed horizontal line with a label."""

    value: float
    label: str


def line_chart(label: str, times: Sequence[datetime], values: Sequence[float | None], *, levels: Sequence[Level] = ()) -> str:
    """One series over time.

    Args:
        label: what it is, for screen readers.
        times: in order.
        values: one for each time; None or NaN leaves a hole in the line.
        levels: horizontal lines that belong to the picture.

    Returns:
        An ``<svg>`` element; a plain sentence when there are not two values to draw a line between.
    """
    seconds = [time.timestamp() for time in times]
    numbers = [math.nan if value is None else float(value) for value in values]
    defined = [value for value in numbers if math.isfinite(value)]
    if len(defined) < 2:
        return f'<p class="none">{escape(label)}: nothing to draw yet.</p>'
    low, high = _padded(min([*defined, *(level.value for level in levels)]), max([*defined, *(level.value for level in levels)]))
    frame = _Frame(seconds[0], seconds[-1], low, high)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">']
    for tick in _ticks(low, high):
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_number(tick, high - low)}</text>')
    for at, text in _time_ticks(seconds[0], seconds[-1]):
        parts.append(f'<text class="tick" x="{frame.x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{text}</text>')
    for level in levels:
        y = frame.y(level.value)
        parts.append(f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_WIDTH - _RIGHT}" y="{y - 3:.1f}" text-anchor="end">{escape(level.label)}</text>')
    parts += [f'<polyline points="{points}"/>' for points in _lines(frame, seconds, numbers)]
    parts.append("</svg>")
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """From data to pixels."""

    first: float
    last: float
    low: float
    high: float

    def x(self, seconds: float) -> float:
        return _LEFT + (seconds - self.first) / max(self.last - self.first, 1e-9) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """About four round numbers inside the range."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * 0.999)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


def _number(value: float, span: float) -> str:
    decimals = max(0, 1 - math.floor(math.log10(span)))
    return f"{value + 0.0:,.{min(decimals, 8)}f}"


def _time_ticks(first: float, last: float) -> Iterator[tuple[float, str]]:
    """About six round times."""
    step = next((step for step in _TIME_STEPS_S if step >= (last - first) / 6), _TIME_STEPS_S[-1])
    pattern = "%d %b" if step >= 86_400 else "%H:%M" if step >= 60 else "%H:%M:%S"
    at = math.ceil(first / step) * step
    while at <= last:
        yield at, datetime.fromtimestamp(at, UTC).strftime(pattern)
        at += step


def _lines(frame: _Frame, seconds: Sequence[float], numbers: Sequence[float]) -> Iterator[str]:
    """Runs of defined values; a lone value between two holes is drawn as a dot would be, one pixel long."""
    run: list[str] = []
    for at, value in zip(seconds, numbers, strict=True):
        if math.isfinite(value):
            run.append(f"{frame.x(at):.1f},{frame.y(value):.1f}")
        elif run:
            yield " ".join(run if len(run) > 1 else run * 2)
            run = []
    if run:
        yield " ".join(run if len(run) > 1 else run * 2)
