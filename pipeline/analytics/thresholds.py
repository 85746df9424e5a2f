"""Where a z-score enters and leaves the bands that somebody chose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import IntArray, as_series
from pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class ThresholdMarks:
    """Bars at which the rule would have acted, and what it held.

    A description of the past, no advice: without costs and slippage, and often under a model that was fitted on the very bars.

    Attributes:
        enter_long: positions of the bars that enter long the spread (long y, short x): z at or below ``-entry``.
        enter_short: those that enter short the spread (short y, long x): z at or above ``entry``.
        leave: those that leave either.
        position: after each bar 1 (long the spread), -1 (short) or 0.
    """

    enter_long: IntArray
    enter_short: IntArray
    leave: IntArray
    position: IntArray


def threshold_marks(zscore: ArrayLike, *, entry: float, leave: float) -> ThresholdMarks:
    """Walk through a z-score: enter against it beyond ``entry``, leave when it has come back to ``leave`` of the same side.

    A bar depends on those up to it only. A NaN decides nothing. A bar that jumps from beyond one entry to beyond the other leaves and
    enters at once.

    Args:
        zscore: one value for each bar; NaN where undefined.
        entry: size of z that enters, above ``leave``.
        leave: size of z that leaves, 0 or more.

    Raises:
        UsageError: when not ``0 <= leave < entry``, or a threshold is not finite.
        AnalyticsError: when ``zscore`` is not one-dimensional.
    """
    if not 0.0 <= leave < entry < np.inf:
        msg = f"entry is {entry:g} and exit {leave:g}; expected 0 <= exit < entry, such as 2 and 0.5"
        raise UsageError(msg)
    series = as_series("zscore", zscore)
    longs: list[int] = []
    shorts: list[int] = []
    left: list[int] = []
    position = np.zeros(series.size, np.int64)
    side = 0
    # Only bars at which something can happen are walked through.
    acting = np.flatnonzero((np.abs(series) >= entry) | (np.abs(series) <= leave) | (np.diff(np.sign(series), prepend=0.0) != 0.0))
    before = 0
    for at in acting.tolist():
        position[before:at] = side
        before = at
        z = float(series[at])
        if side * z >= -leave and side:  # long from below, short from above: back to the side's own exit, or beyond it
            side = 0
            left.append(at)
        if side == 0 and abs(z) >= entry:
            side = -1 if z > 0 else 1
            (shorts if side < 0 else longs).append(at)
    position[before:] = side
    return ThresholdMarks(np.array(longs, np.int64), np.array(shorts, np.int64), np.array(left, np.int64), position)
