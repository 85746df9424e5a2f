"""Two legs on one grid of bar times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import BoolArray, FloatArray, IntArray, as_series, require_finite
from pipeline.errors import AnalyticsError


@dataclass(frozen=True, slots=True)
class Aligned:
    """Closes of two legs at the same bar times.

    Attributes:
        ts: open times of the bars, in microseconds, increasing, a multiple of the step apart.
        y: closes of the dependent leg.
        x: closes of the hedge.
        y_filled: true where y had no bar at that time and its last close was carried forward.
        x_filled: the same for x.
    """

    ts: IntArray
    y: FloatArray
    x: FloatArray
    y_filled: BoolArray
    x_filled: BoolArray

    def __len__(self) -> int:
        return int(self.ts.size)


def align(  # noqa: PLR0917 - two legs, then the grid
    y_ts: ArrayLike,
    y_close: ArrayLike,
    x_ts: ArrayLike,
    x_close: ArrayLike,
    step_us: int,
    max_fill: int,
    *,
    end_us: int | None = None,
) -> Aligned:
    """Bring two legs onto the common grid of bar times, carrying the last close forward at most ``max_fill`` bars.

    The grid has every bar time ``k * step_us`` at which each leg has a bar or had its last one at most
    ``max_fill`` bars earlier. So there is no row before both legs have started, none where a leg is silent for
    longer, and none after the later of the two last bars. Times are never interpolated and nothing is carried back.

    Args:
        y_ts: open times of y's bars in microseconds, strictly increasing multiples of ``step_us``.
        y_close: their closes, finite.
        x_ts: the same for x.
        x_close: the same for x.
        step_us: bar length in microseconds.
        max_fill: most bars over which a close is carried forward; 0 keeps only times at which both have a bar.
        end_us: carry forward also behind the last bars, up to the last slot that opens before this time; None: not behind them.
            A row is then the same whether the bars after it are known yet or not.

    Returns:
        The rows in time order; no rows when the legs share no time.

    Raises:
        AnalyticsError: when times are not strictly increasing multiples of the step, or lengths differ.
        NotFinite: when a close is NaN or infinite.
    """
    if step_us <= 0 or max_fill < 0:
        msg = f"step_us is {step_us} and max_fill {max_fill}; expected a positive step and a fill of 0 or more"
        raise AnalyticsError(msg)
    y_slots, y_closes = _leg("y", y_ts, y_close, step_us)
    x_slots, x_closes = _leg("x", x_ts, x_close, step_us)
    if y_slots.size == 0 or x_slots.size == 0:
        no_rows, unfilled = np.empty(0), np.empty(0, np.bool_)
        return Aligned(np.empty(0, np.int64), no_rows, no_rows, unfilled, unfilled)
    last = max(int(y_slots[-1]), int(x_slots[-1]), -1 if end_us is None else (end_us - 1) // step_us)
    slots = np.intersect1d(_reach(y_slots, max_fill, last), _reach(x_slots, max_fill, last), assume_unique=True)
    y_at = np.searchsorted(y_slots, slots, side="right") - 1
    x_at = np.searchsorted(x_slots, slots, side="right") - 1
    return Aligned(slots * step_us, y_closes[y_at], x_closes[x_at], y_slots[y_at] != slots, x_slots[x_at] != slots)


def _leg(name: str, ts: ArrayLike, close: ArrayLike, step_us: int) -> tuple[IntArray, FloatArray]:
    times = np.ascontiguousarray(ts, dtype=np.int64)
    closes = as_series(f"{name}_close", close)
    if times.ndim != 1 or times.size != closes.size:
        msg = f"{name} has {times.size} times and {closes.size} closes; expected one close for each time"
        raise AnalyticsError(msg)
    require_finite(f"{name}_close", closes)
    slots, rest = np.divmod(times, step_us)
    if rest.any() or (np.diff(slots) <= 0).any():
        msg = f"bar times of {name} are not strictly increasing multiples of {step_us} us; sort them and pass their own timeframe"
        raise AnalyticsError(msg)
    return slots, closes


def _reach(slots: IntArray, max_fill: int, last: int) -> IntArray:
    """Every slot at which a leg has a bar or a close that may be carried forward."""
    until_next = np.append(np.diff(slots), last - slots[-1] + 1)
    counts = np.minimum(until_next, max_fill + 1)
    starts = np.cumsum(counts) - counts
    return np.repeat(slots - starts, counts) + np.arange(int(counts.sum()))
