"""Sums over every window of what is defined in it, vectorised over windows in blocks that stay in the cache.

A window's sum adds its values one by one, oldest first, whatever the array around it: results are the same to
the last bit however the input is cut into batches, and the value at t never depends on t + 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.analytics.arrays import FloatArray

_BLOCK = 2048  # windows worked on at once: a few arrays of this length fit the first-level cache


def runs(n: int, window: int) -> Iterator[slice]:
    """Positions of the last values of all full windows over ``n`` values, in runs of bounded length."""
    for start in range(window - 1, n, _BLOCK):
        yield slice(start, min(start + _BLOCK, n))


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
