"""Sums over every window, each a function of the values in its window and of nothing else.

A window's sum adds its values one by one, oldest first, whatever the array around it: results are the same to
the last bit however the input is cut into batches, nothing that has left a window leaves a trace in it, and the
value at t never depends on t + 1. The work is vectorised over windows, in blocks that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.analytics.arrays import FloatArray

_BLOCK = 2048  # windows worked on at once: a few arrays of this length fit the first-level cache


def blocks(n_windows: int) -> Iterator[slice]:
    """Slices that cover ``n_windows`` windows, in order."""
    for start in range(0, n_windows, _BLOCK):
        yield slice(start, min(start + _BLOCK, n_windows))


def deviations(values: FloatArray, first: int, count: int, window: int) -> tuple[FloatArray, FloatArray]:
    """Mean of each window, relative to its first value, and that first value.

    Subtracting the first value before summing keeps full precision at any price level, and makes the mean
    deviation of a constant window exactly zero.

    Args:
        values: the whole series.
        first: start of the first window.
        count: how many consecutive windows.
        window: their length.

    Returns:
        ``(origin, mean)`` with ``origin + mean`` the windows' means; both of length ``count``.
    """
    origin = values[first : first + count]
    total = np.zeros(count)
    scratch = np.empty(count)
    for offset in range(1, window):
        np.subtract(values[first + offset : first + offset + count], origin, out=scratch)
        total += scratch
    return origin, total / window
