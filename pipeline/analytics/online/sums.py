"""Running means and centred sums of two series, over a sliding window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.analytics.arrays import FloatArray
from pipeline.errors import NotFinite


@dataclass(slots=True)
class Sums:
    """Count, means (relative to an origin) and centred sums of squares and products of pairs of values.

    Welford's step adds a pair, Chan, Golub and LeVeque's merges two sets. The origin is the first pair, so the
    level of the values costs no precision.
    """

    n: int = 0
    a_origin: float = 0.0
    b_origin: float = 0.0
    a_mean: float = 0.0
    b_mean: float = 0.0
    saa: float = 0.0
    sbb: float = 0.0
    sab: float = 0.0

    def add(self, a: float, b: float) -> None:
        """Take in one pair of values."""
        if self.n == 0:
            self.a_origin, self.b_origin = a, b
        self.n += 1
        da, db = a - self.a_origin - self.a_mean, b - self.b_origin - self.b_mean
        self.a_mean += da / self.n
        self.b_mean += db / self.n
        eb = b - self.b_origin - self.b_mean
        self.saa += da * (a - self.a_origin - self.a_mean)
        self.sbb += db * eb
        self.sab += da * eb

    def copy(self) -> Sums:
        """These sums as they are now."""
        return Sums(self.n, self.a_origin, self.b_origin, self.a_mean, self.b_mean, self.saa, self.sbb, self.sab)

    def merged(self, other: Sums) -> Sums:
        """The sums of both sets together."""
        if other.n == 0:
            return self.copy()
        n = self.n + other.n
        da = other.a_origin - self.a_origin + other.a_mean - self.a_mean
        db = other.b_origin - self.b_origin + other.b_mean - self.b_mean
        share = other.n / n
        weight = self.n * share
        return Sums(
            n,
            self.a_origin,
            self.b_origin,
            self.a_mean + da * share,
            self.b_mean + db * share,
            self.saa + other.saa + da * da * weight,
            self.sbb + other.sbb + db * db * weight,
            self.sab + other.sab + da * db * weight,
        )


class SlidingSums:
    """Sums over the last ``window`` pairs, at constant average cost and without ever subtracting what has left.

    Pairs fill blocks of ``window``. The window is the newest part of the block before and all of the current
    one: sums over each newest part are made once, when a block is full, and merged with the current block's.
    So nothing drifts, and an outlier that has left leaves no trace.
    """

    __slots__ = ("_block", "_head", "_previous", "_tails", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self._previous: list[tuple[float, float]] = []
        self._block: list[tuple[float, float]] = []
        self._head = Sums()
        self._tails: list[Sums] = []  # [k]: of the last k pairs of the block before

    def add(self, a: float, b: float) -> None:
        """Take in one pair; the oldest leaves when the window is full."""
        if len(self._block) == self.window:
            self._turn(self._block)
        self._block.append((a, b))
        self._head.add(a, b)

    def add_many(self, a: FloatArray, b: FloatArray) -> None:
        """Take in many pairs: the same bits as one by one, at the cost of two blocks, since nothing older is remembered."""
        held = len(self._block)
        start = max(held + a.size - 1, 0) // self.window * self.window - held  # of the newest block, among the new pairs
        if start + held > 0:
            first = start - self.window
            self._turn([*(self._block[first:] if first < 0 else []), *_pairs(a, b, max(first, 0), start)])
        for pair in _pairs(a, b, max(start, 0), a.size):
            self.add(*pair)

    def pairs(self) -> list[tuple[float, float]]:
        """All pairs that are remembered, from which :meth:`add_many` makes the same state again: a full block, then the current one."""
        return [*self._previous, *self._block]

    def _turn(self, full: list[tuple[float, float]]) -> None:
        tail = Sums()
        self._tails = [tail.copy()]
        for pair in reversed(full):
            tail.add(*pair)
            self._tails.append(tail.copy())
        self._previous, self._block, self._head = full, [], Sums()

    def sums(self) -> Sums | None:
        """Sums over the window; None until it is full."""
        missing = self.window - self._head.n
        if missing == 0:
            return self._head
        return self._head.merged(self._tails[missing]) if self._tails else None


def _pairs(a: FloatArray, b: FloatArray, first: int, stop: int) -> list[tuple[float, float]]:
    return list(zip(a[first:stop].tolist(), b[first:stop].tolist(), strict=True))


def require_value(name: str, value: float) -> None:
    """Check one value of a statistic over everything so far.

    Raises:
        NotFinite: when it is NaN or infinite; the statistic keeps its state.
    """
    if not math.isfinite(value):
        msg = f"{name} is {value}; expected a finite number; leave the bar out"
        raise NotFinite(msg)
