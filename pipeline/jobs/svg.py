"""Line charts as inline SVG: a few hundred points, two axes, no script, nothing fetched. Good on paper too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

_WIDTH, _HEIGHT = 980, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 62, 10, 24
_MOST_POINTS = 2 * (_WIDTH - _LEFT - _RIGHT)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800)


@dataclass(frozen=True, slots=True)
class Level:
    """A dashed horizontal line with a label."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded range of values."""

    low: float
    high: float


def line_chart(
    label: str,
    times: Sequence[datetime],
    values: Sequence[float | None],
    *,
    levels: Sequence[Level] = (),
    band: Band | None = None,
    span: tuple[datetime, datetime] | None = None,
) -> str:
    """One series over time.

    Args:
        label: what it is, for screen readers.
        times: in order.
        values: one for each time; None or NaN leaves a hole in the line. Of more than there are pixels the extremes are drawn.
        levels: horizontal lines that belong to the picture.
        band: a range that belongs to the picture.
        span: first and last time of the axis; of the series when not given.

    Returns:
        An ``<svg>`` element; a plain sentence when there are not two values to draw a line between.
    """
    seconds = [time.timestamp() for time in times]
    numbers = [math.nan if value is None else float(value) for value in values]
    defined = [value for value in numbers if math.isfinite(value)]
    if len(defined) < 2:
        return f'<p class="none">{escape(label)}: nothing to draw yet.</p>'
    extent = [*defined, *(level.value for level in levels), *((band.low, band.high) if band else ())]
    low, high = _padded(min(extent), max(extent))
    first, last = (span[0].timestamp(), span[1].timestamp()) if span else (seconds[0], seconds[-1])
    frame = _Frame(first, last, low, high)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">']
    if band:
        top, height = frame.y(band.high), frame.y(band.low) - frame.y(band.high)
        parts.append(f'<rect class="band" x="{_LEFT}" y="{top:.1f}" width="{_WIDTH - _LEFT - _RIGHT}" height="{height:.1f}"/>')
    for tick in _ticks(low, high):
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_number(tick, high - low)}</text>')
    for at, text in _time_ticks(first, last):
        parts.append(f'<text class="tick" x="{frame.x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{text}</text>')
    for level in levels:
        y = frame.y(level.value)
        parts.append(f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    parts += [f'<polyline points="{points}"/>' for points in _lines(frame, *_thinned(seconds, numbers))]
    # Over the line, or a dense one would hide them.
    parts += [f'<text class="name" x="{_LEFT + 4}" y="{frame.y(level.value) - 3:.1f}">{escape(level.label)}</text>' for level in levels]
    newest = next(index for index in reversed(range(len(numbers))) if math.isfinite(numbers[index]))
    x, y = frame.x(seconds[newest]), frame.y(numbers[newest])
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>')
    parts.append(
        f'<text class="last" x="{min(x, _WIDTH - _RIGHT) + 6:.1f}" y="{y + 3.5:.1f}">{_number(numbers[newest], (high - low) / 10)}</text>'
    )
    parts.append("</svg>")
    return "".join(parts)


def _thinned(seconds: Sequence[float], numbers: Sequence[float]) -> tuple[list[float], list[float]]:
    """Of each run of neighbours the lowest and the highest, in order: what a pixel column would show of them anyway."""
    if len(numbers) <= _MOST_POINTS:
        return list(seconds), list(numbers)
    size = math.ceil(len(numbers) * 2 / _MOST_POINTS)
    kept: list[int] = []
    for at in range(0, len(numbers), size):
        run = range(at, min(at + size, len(numbers)))
        defined = [index for index in run if math.isfinite(numbers[index])]
        if not defined:
            kept.append(at)  # a hole stays one
            continue
        low, high = min(defined, key=numbers.__getitem__), max(defined, key=numbers.__getitem__)
        kept += sorted({low, high})
    return [seconds[index] for index in kept], [numbers[index] for index in kept]


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
        # Midnight is told by the day that begins.
        yield at, datetime.fromtimestamp(at, UTC).strftime("%d %b" if at % 86_400 == 0 else pattern)
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
