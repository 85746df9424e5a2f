"""A pair computed on demand: bars in, pure functions over them, figures out. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from dashboards.tables.pairs import load_legs
from pipeline.analytics import Aligned, PairFit, Signals, fit_model, signal_series, warm
from pipeline.errors import TooShort
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Method
from pipeline.store import Warehouse

LEAST_BARS = 30


@dataclass(frozen=True, slots=True)
class Order:
    """What to compute."""

    pair: Pair
    timeframe: Timeframe
    lookback: int
    zscore_window: int
    correlation_window: int
    method: str
    scale: str
    significance: float
    max_fill: int


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """An order's answer: the legs on one grid, the model over all of them, and the series under it."""

    order: Order
    legs: Aligned
    fit: PairFit
    signals: Signals
    took_s: float
    at: datetime

    @property
    def ts(self) -> NDArray[np.float64]:
        """Bar times in milliseconds."""
        return self.legs.ts / 1000.0

    @property
    def filled(self) -> int:
        """Bars at which one leg was carried forward."""
        return int((self.legs.y_filled | self.legs.x_filled).sum())


def compute(warehouse: Warehouse, order: Order, *, now: datetime) -> Computed:
    """Load the legs, fit the model on all of them, and put the series under its beta.

    Raises:
        TooShort: when fewer than ``LEAST_BARS`` bars of both legs are there.
        AnalyticsError: when the model is not defined on them.
        StoreError: when the bars cannot be read.
    """
    begun = perf_counter()
    # The bar that is still moving is left out: a figure that is computed twice should be the same twice.
    legs = load_legs(warehouse, order.pair, order.timeframe, order.lookback + order.max_fill + 1, order.max_fill)
    legs = _tail(legs, order.lookback, drop_last=1)
    if len(legs) < LEAST_BARS:
        msg = (
            f"{order.pair} has {len(legs)} common {order.timeframe} bars, at least {LEAST_BARS} are needed;"
            " wait for more, choose a shorter timeframe, or backfill"
        )
        raise TooShort(msg)
    fit = fit_model(legs.y, legs.x, method=order.method, scale=order.scale, significance=order.significance)
    signals = signal_series(
        legs.y, legs.x, fit.beta, scale=order.scale, zscore_window=order.zscore_window, correlation_window=order.correlation_window
    )
    return Computed(order, legs, fit, signals, perf_counter() - begun, now)


def warm_up() -> None:
    """Load what a first Compute would wait for: compiled kernels, and the libraries behind the tests."""
    warm()
    steps = np.sin(np.arange(120.0) * 1.7) + np.cos(np.arange(120.0) * 0.31)
    x = 100 + np.cumsum(steps)
    for method in Method:
        fit_model(x + np.roll(steps, 3), x, method=method.value)


def _tail(legs: Aligned, count: int, *, drop_last: int) -> Aligned:
    end = max(0, len(legs) - drop_last)
    part = slice(max(0, end - count), end)
    return Aligned(legs.ts[part], legs.y[part], legs.x[part], legs.y_filled[part], legs.x_filled[part])
