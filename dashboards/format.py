"""Numbers, times and ages as people read them. Pure text; the decimals of a price follow its own tick size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from html import escape

__all__ = [
    "NONE",
    "age",
    "compact",
    "count",
    "decimals_of",
    "duration",
    "escape",
    "number",
    "p_value",
    "percent",
    "price",
    "short_time",
    "significant",
    "time_text",
]

NONE = "\u2013"
_MOST_DECIMALS = 8
_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def missing(value: float | None) -> bool:
    """Whether there is no number to show."""
    return value is None or not math.isfinite(value)


def decimals_of(values: Iterable[float]) -> int:
    """The most decimals that any of the prices needs, at most eight: the tick size as far as it can be seen."""
    most = 0
    for value in values:
        text = f"{value:.{_MOST_DECIMALS}f}".rstrip("0")
        most = max(most, len(text) - text.index(".") - 1)
    return most


def price(value: float | None, decimals: int) -> str:
    """A price with a fixed number of decimals and grouped thousands."""
    return NONE if missing(value) else f"{value:,.{decimals}f}"


def significant(value: float | None, digits: int = 5) -> str:
    """A number of any magnitude with so many significant digits, without an exponent where that stays short; a true minus sign."""
    if missing(value):
        return NONE
    assert value is not None  # noqa: S101  for the type checker
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    shape = f".{digits - 1}e" if exponent < -6 or exponent > 14 else f",.{max(0, min(10, digits - 1 - exponent))}f"
    text = f"{abs(value):{shape}}"
    return f"\u2212{text}" if value < 0 else text


def number(value: float | None, decimals: int = 2) -> str:
    """A plain number; a true minus sign, so that columns of figures align."""
    return NONE if missing(value) else f"{value:,.{decimals}f}".replace("-", "\u2212")


def percent(value: float | None, decimals: int = 2) -> str:
    """A fraction as a signed percentage."""
    return NONE if missing(value) else f"{value * 100:+.{decimals}f}%".replace("-", "\u2212")


def compact(value: float | None) -> str:
    """``1.23M``: three significant digits and a suffix."""
    if missing(value):
        return NONE
    assert value is not None  # noqa: S101  for the type checker
    for size, suffix in _SUFFIXES:
        if abs(value) >= size:
            scaled = value / size
            return f"{scaled:.{2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0}f}{suffix}"
    return f"{value:.{0 if value == round(value) else 2}f}"


def p_value(p: float | None) -> str:
    """A p-value: three decimals, and ``< 0.001`` below that."""
    if missing(p):
        return NONE
    assert p is not None  # noqa: S101  for the type checker
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(value: float | None) -> str:
    """A whole number with grouped thousands."""
    return NONE if missing(value) else f"{value:,.0f}"


def age(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    if missing(seconds):
        return NONE
    assert seconds is not None  # noqa: S101  for the type checker
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def duration(seconds: float) -> str:
    """A whole length of time in its largest unit that fits: ``90 s``, ``5 min``, ``4 h``, ``10 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def time_text(time: datetime | None, *, seconds: bool = True) -> str:
    """A time in UTC, date and time of day."""
    if time is None:
        return NONE
    return f"{time:%Y-%m-%d %H:%M:%S}" if seconds else f"{time:%Y-%m-%d %H:%M}"


def short_time(time: datetime | None, now: datetime | None = None) -> str:
    """The time of day, with the date in front when it is another day than ``now``."""
    if time is None:
        return NONE
    return f"{time:%H:%M:%S}" if now is None or time.date() == now.date() else f"{time:%d %b %H:%M}"
