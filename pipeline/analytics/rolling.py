"""Sums over every window, each a function of the values in its window and of nothing else.

A window's sum adds its values one by one, oldest first, whatever the array around it: results are the same to
the last bit however the input is cut into batches, nothing that has left a window leaves a trace in it, and the
value at t never depends on t + 1. The work is vectorised over windows, in blocks that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.analytics.arrays import FloatArray

_BLOCK = 2048  # windows worked on at once: a few arrays of this length fit the first-level cache


@dataclass(frozen=True, slots=True)
class Windows:
    """A run of consecutive windows of one series, whose ends are at ``at``.

    Attributes:
        at: positions of the windows' last values.
        origin: each window's first value. Subtracted before summing, it keeps full precision at any level and
            makes the deviations of a constant window exactly zero.
        mean: each window's mean, relative to its origin.
    """

    series: FloatArray
    at: slice
    window: int
    origin: FloatArray
    mean: FloatArray

    def deviations(self, offset: int, out: FloatArray) -> FloatArray:
        """The ``offset``-th value of each window minus the window's mean, written to ``out``."""
        first = self.at.start - self.window + 1 + offset
        np.subtract(self.series[first : first + self.origin.size], self.origin, out=out)
        out -= self.mean
        return out


def runs(n: int, window: int) -> Iterator[slice]:
    """Positions of the last values of all full windows over ``n`` values, in runs of bounded length."""
    for start in range(window - 1, n, _BLOCK):
        yield slice(start, min(start + _BLOCK, n))


def windows(series: FloatArray, at: slice, window: int) -> Windows:
    """The windows of ``window`` values that end at ``at``, with their means."""
    first, count = at.start - window + 1, at.stop - at.start
    origin = series[first : first + count]
    total, scratch = np.zeros(count), np.empty(count)
    for offset in range(1, window):
        np.subtract(series[first + offset : first + offset + count], origin, out=scratch)
        total += scratch
    return Windows(series, at, window, origin, total / window)


def second_moments(a: Windows, b: Windows) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Centred sums of squares of ``a``, of ``b``, and of their products, for each window."""
    count = a.origin.size
    u, v, product = np.empty(count), np.empty(count), np.empty(count)
    saa, sbb, sab = np.zeros(count), np.zeros(count), np.zeros(count)
    for offset in range(a.window):
        a.deviations(offset, u)
        b.deviations(offset, v)
        sab += np.multiply(u, v, out=product)
        saa += np.multiply(u, u, out=u)
        sbb += np.multiply(v, v, out=v)
    return saa, sbb, sab


def squares(a: Windows) -> FloatArray:
    """Centred sum of squares of each window."""
    total, scratch = np.zeros(a.origin.size), np.empty(a.origin.size)
    for offset in range(a.window):
        a.deviations(offset, scratch)
        total += np.multiply(scratch, scratch, out=scratch)
    return total


def mean_of_defined(series: FloatArray, window: int) -> FloatArray:
    """Mean of the values in each window that are not NaN; NaN where all are, and before the first full window."""
    result = np.full(series.size, np.nan)
    defined = ~np.isnan(series)
    filled = np.where(defined, series, 0.0)
    for at in runs(series.size, window):
        first, count = at.start - window + 1, at.stop - at.start
        total, members = np.zeros(count), np.zeros(count)
        for offset in range(window):
            part = slice(first + offset, first + offset + count)
            total += filled[part]
            members += defined[part]
        members[members == 0] = np.nan
        result[at] = total / members
    return result
