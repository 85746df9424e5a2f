"""What can go wrong at the venue, one frozen value for each kind, with what it may be told.

Each field's metadata says what a plan may set it to; its default is what happens when the plan says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

_MOST_S = 86_400.0 * 366
NARROW_STREAM = frozenset({"route", "symbol", "stream", "all"})


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _one_of(default: str, *choices: str) -> Any:
    return field(default=default, metadata={"choices": choices})


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of fault.

    Attributes:
        KIND: what a plan calls it.
        LASTS_S: how long it lasts when the plan says nothing; None where it has no duration.
        NARROWED: keys that may narrow what it hits.
        ALWAYS: whether it begins with the simulator when the plan gives no time.
    """

    KIND: ClassVar[str]
    LASTS_S: ClassVar[float | None] = None
    NARROWED: ClassVar[frozenset[str]] = frozenset()
    ALWAYS: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Drop(Act):
    """A connection is aborted: a TCP reset, what was on its way is lost."""

    KIND = "drop"
    NARROWED = NARROW_STREAM


@dataclass(frozen=True, slots=True)
class Close(Act):
    """A connection is closed in order, with a code."""

    KIND = "close"
    NARROWED = NARROW_STREAM
    code: int = _number(1001, 1000, 4999)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HalfOpen(Act):
    """A socket stays open while nothing is sent, nothing is read and no ping is answered; aborted when it is over."""

    KIND = "half_open"
    LASTS_S = math.inf
    NARROWED = NARROW_STREAM


@dataclass(frozen=True, slots=True)
class Slow(Act):
    """A connection sends only so many bytes a second, frames torn anywhere; the rest follows when it is over."""

    KIND = "slow"
    LASTS_S = 10.0
    NARROWED = NARROW_STREAM
    bytes_per_s: float = _number(2_000, 1, 1e9)


@dataclass(frozen=True, slots=True)
class Shutdown(Act):
    """A connection is told ``serverShutdown`` and closed after a grace."""

    KIND = "shutdown"
    NARROWED = NARROW_STREAM
    grace_s: float = _number(5.0, 0, _MOST_S)


@dataclass(frozen=True, slots=True)
class Life(Act):
    """Every connection that matches is closed when it is so old."""

    KIND = "life"
    LASTS_S = math.inf
    NARROWED = frozenset({"route", "symbol", "stream"})
    ALWAYS = True
    after_s: float = _number(86_400.0, 0.05, _MOST_S)
    code: int = _number(1001, 1000, 4999)


@dataclass(frozen=True, slots=True)
class Silence(Act):
    """One stream of one live connection is silent until it is subscribed again, or the time is over."""

    KIND = "silence"
    LASTS_S = math.inf
    NARROWED = NARROW_STREAM


@dataclass(frozen=True, slots=True)
class Duplicate(Act):
    """Messages of a stream come again, at once or later."""

    KIND = "duplicate"
    LASTS_S = 5.0
    NARROWED = NARROW_STREAM
    chance: float = _number(0.2, 0, 1)
    copies: int = _number(1, 1, 100)
    lag_s: float = _number(0.0, 0, 3_600)


@dataclass(frozen=True, slots=True)
class Delay(Act):
    """Messages of a stream come late, in their order."""

    KIND = "delay"
    LASTS_S = 5.0
    NARROWED = NARROW_STREAM
    by_s: float = _number(1.0, 0, 3_600)


@dataclass(frozen=True, slots=True)
class Reorder(Act):
    """Messages of a stream are overtaken by those behind them."""

    KIND = "reorder"
    LASTS_S = 5.0
    NARROWED = NARROW_STREAM
    chance: float = _number(0.2, 0, 1)
    depth: int = _number(3, 1, 1_000)
    most_s: float = _number(1.0, 0, 3_600)


@dataclass(frozen=True, slots=True)
class Skip(Act):
    """The next messages of a stream of trades never come; REST has them."""

    KIND = "skip"
    NARROWED = NARROW_STREAM
    count: int = _number(5, 1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Hole(Act):
    """The next ids of a symbol never exist: no stream, no REST answer and no candle knows of them."""

    KIND = "hole"
    NARROWED = frozenset({"symbol", "all"})
    count: int = _number(5, 1, 1_000_000)


SHAPES = ("truncated", "mutated", "not_json", "not_utf8", "types", "empty")
"""Ways in which a frame can be malformed."""


@dataclass(frozen=True, slots=True)
class Malformed(Act):
    """Messages of a stream are spoilt: lost, and something that cannot be read comes in their place (or beside them)."""

    KIND = "malformed"
    NARROWED = NARROW_STREAM
    count: int = _number(1, 1, 1_000_000)
    shape: str = _one_of("any", "any", *SHAPES)
    replace: bool = True


@dataclass(frozen=True, slots=True)
class Oversized(Act):
    """Messages of a stream are blown up to so many bytes by a field that nobody knows."""

    KIND = "oversized"
    NARROWED = NARROW_STREAM
    count: int = _number(1, 1, 1_000)
    bytes: int = _number(2 << 20, 1_000, 64 << 20)


@dataclass(frozen=True, slots=True)
class Refuse(Act):
    """Nobody listens on the port; what is connected stays."""

    KIND = "refuse"
    LASTS_S = 5.0


@dataclass(frozen=True, slots=True)
class Status(Act):
    """Requests are answered with an HTTP error.

    ``path`` names the request that it hits, such as ``aggTrades``; all but ``ping`` when it is empty. ``on`` says which: REST
    requests, WebSocket handshakes, or both.
    """

    KIND = "status"
    LASTS_S = 5.0
    code: int = _number(429, 400, 599)
    retry_after_s: float = _number(0.0, 0, _MOST_S)
    chance: float = _number(1.0, 0, 1)
    path: str = ""
    on: str = _one_of("rest", "rest", "ws", "both")


@dataclass(frozen=True, slots=True)
class Skew(Act):
    """The venue's clock is wrong: in what REST says of the time, or, with ``events``, in everything that happens."""

    KIND = "skew"
    LASTS_S = math.inf
    ALWAYS = True
    ms: int = _number(1_000, -86_400_000, 86_400_000)
    events: bool = False


ACTS: dict[str, type[Act]] = {
    act.KIND: act
    for act in (
        Drop, Close, HalfOpen, Slow, Shutdown, Life, Silence, Duplicate, Delay, Reorder, Skip, Hole, Malformed, Oversized,
        Refuse, Status, Skew,
    )
}  # fmt: skip
"""Every kind by its name."""
