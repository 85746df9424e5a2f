"""How often a spread crosses its level, and how long ago it last did: how often there is something to trade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import IntArray, finite_series
from pipeline.errors import AnalyticsError

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Crossings:
    """Crossings of one level.

    Attributes:
        level: the level.
        count: how often the spread went from one side of it to the other.
        per_day: ``count`` over the days between the first bar and the last; None when they are one bar.
        last_ts: time of the first bar on the side where the spread is now; None without a crossing.
        bars_since: bars after that one; None without a crossing.
        us_since: microseconds from it to the last bar; None without a crossing.
        at: positions of all crossings, each the first bar on the new side.
    """

    level: float
    count: int
    per_day: float | None
    last_ts: int | None
    bars_since: int | None
    us_since: int | None
    at: IntArray


def crossings(s: ArrayLike, ts: ArrayLike, *, level: float | None = None) -> Crossings:
    """Count the crossings of ``level``.

    A bar exactly at the level is on neither side: touching the level and turning back is no crossing. Time without
    bars counts as time. An AR(1) of coefficient phi crosses its mean with probability ``arccos(phi) / pi`` a bar
    (Rice's formula in discrete time; Kedem, "Time Series Analysis by Higher Order Crossings", 1994): at phi = 0.95 every tenth bar.

    Args:
        s: the spread, finite.
        ts: bar times in microseconds, strictly increasing, one for each value.
        level: what to cross, such as the model's mean, known beforehand; None: the mean of ``s``, which has seen every bar.

    Raises:
        TooShort: with no bar.
        NotFinite: on NaN or infinity, also of the level.
        AnalyticsError: when times do not increase or are not as many as values.
    """
    series = finite_series("s", s, 1, varying=False)
    times = np.ascontiguousarray(ts, dtype=np.int64)
    if times.shape != series.shape or (np.diff(times) <= 0).any():
        msg = f"s has {series.size} values and ts {times.size} times; expected one time for each value, strictly increasing; sort the bars"
        raise AnalyticsError(msg)
    middle = float(series[0] + np.mean(series - series[0])) if level is None else float(level)
    finite_series("level", [middle], 1, varying=False)
    side = np.sign(series - middle)
    apart = np.flatnonzero(side)
    at = apart[1:][side[apart][1:] != side[apart][:-1]].astype(np.int64)
    days = int(times[-1] - times[0]) / DAY_US
    last = int(at[-1]) if at.size else None
    return Crossings(
        level=middle,
        count=int(at.size),
        per_day=at.size / days if days > 0 else None,
        last_ts=None if last is None else int(times[last]),
        bars_since=None if last is None else series.size - 1 - last,
        us_since=None if last is None else int(times[-1] - times[last]),
        at=at,
    )
