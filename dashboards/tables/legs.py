"""Both legs of a pair over a stretch of complete bars, on one grid, thin bars left out when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dashboards.order import LEAST_BARS, Order
from pipeline.analytics import Aligned, align, liquid_bars
from pipeline.errors import TooShort
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.bars import load_bars, load_common_bars, load_last_bars

FloatArray = NDArray[np.float64]

_WIDER = 4
"""How many times further is looked back when a leg is silent at times; as the flow fit_pairs does."""

BAR_COLUMNS = ("high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """A stretch of bars with the rows before it that windows look back on.

    Attributes:
        whole: closes of both legs, those before the stretch included.
        lead: rows of ``whole`` before the stretch.
        bars: the bars of y and of x in the stretch, thin ones included; times and numbers as in the view ``bars``, as floats.
        thin: bars of each leg in the stretch that were left out.
    """

    whole: Aligned
    lead: int
    bars: tuple[pl.DataFrame, pl.DataFrame]
    thin: tuple[int, int]

    @property
    def stretch(self) -> Aligned:
        """The rows of the stretch alone."""
        return cut(self.whole, slice(self.lead, None))

    def quote_volumes(self, leg: int) -> FloatArray:
        """Quote volume of each bar of the stretch; NaN where the leg has no bar."""
        ts, bars = self.stretch.ts, self.bars[leg]
        known = bars["ts"].dt.epoch("us").to_numpy()
        at = np.minimum(np.searchsorted(known, ts), max(known.size - 1, 0))
        if not known.size:
            return np.full(ts.size, np.nan)
        return np.where(known[at] == ts, bars["quote_volume"].to_numpy()[at], np.nan)


def cut(legs: Aligned, part: slice) -> Aligned:
    """Some of the rows."""
    return Aligned(legs.ts[part], legs.y[part], legs.x[part], legs.y_filled[part], legs.x_filled[part])


def load_stretch(warehouse: Warehouse, order: Order) -> Legs:
    """The legs of an order: its range, or its newest complete bars.

    Raises:
        TooShort: when there are fewer than ``LEAST_BARS`` of them; the message says which leg has how many.
        StoreError: when the bars cannot be read.
    """
    legs = _in_range(warehouse, order) if order.start is not None else _newest(warehouse, order)
    if len(legs.stretch) < LEAST_BARS:
        raise TooShort(_too_few(order, legs))
    return legs


def load_moving(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, count: int, max_fill: int) -> Aligned:
    """Closes of both legs over the last ``count`` intervals, on one grid; the moving bar included."""
    symbols = [pair.y, pair.x]
    frame = load_last_bars(warehouse, symbols, timeframe, count)
    if frame["symbol"].n_unique() == 1:  # one leg ended long before the other
        frame = load_common_bars(warehouse, symbols, timeframe, count, max_fill=max_fill)
    return _aligned(frame, pair, timeframe, max_fill)


def _in_range(warehouse: Warehouse, order: Order) -> Legs:
    assert order.start is not None  # noqa: S101  for the type checker
    assert order.end is not None  # noqa: S101
    before = timedelta(seconds=order.timeframe.seconds * (order.lead + order.max_fill))
    frame = load_bars(
        warehouse, [order.pair.y, order.pair.x], order.timeframe, start=order.start - before, end=order.end, complete_only=True
    )
    first = round(order.start.timestamp() * 1_000_000)
    return _legs(frame, order, lambda ts: int(np.searchsorted(ts, first)))


def _newest(warehouse: Warehouse, order: Order) -> Legs:
    symbols, reach = [order.pair.y, order.pair.x], order.lookback + order.lead + order.max_fill + 3

    def first(ts: NDArray[np.int64]) -> int:
        return max(0, ts.size - order.lookback)

    legs = _legs(load_last_bars(warehouse, symbols, order.timeframe, reach, complete_only=True), order, first)
    if len(legs.stretch) < order.lookback:
        legs = _legs(load_last_bars(warehouse, symbols, order.timeframe, reach * _WIDER, complete_only=True), order, first)
    if len(legs.stretch) < LEAST_BARS:  # one leg may have ended long before the other
        common = load_common_bars(warehouse, symbols, order.timeframe, reach, max_fill=order.max_fill, complete_only=True)
        legs = max(legs, _legs(common, order, first), key=lambda found: len(found.stretch))
    return legs


def _legs(frame: pl.DataFrame, order: Order, first: Callable[[NDArray[np.int64]], int]) -> Legs:
    frame = frame.with_columns(pl.col(*BAR_COLUMNS).cast(pl.Float64))
    enough = np.ones(frame.height, np.bool_)
    if order.least_volume > 0:
        enough = liquid_bars(frame["quote_volume"].to_numpy(), least=order.least_volume)
    whole = _aligned(frame.filter(enough), order.pair, order.timeframe, order.max_fill)
    begin = first(whole.ts)
    # By time, not by rows, so that a range and the newest bars have the same lead wherever legs are silent.
    lead = begin - int(np.searchsorted(whole.ts, whole.ts[begin] - order.lead * order.timeframe.us)) if begin < len(whole) else 0
    whole = cut(whole, slice(begin - lead, None))
    since = whole.ts[lead] if len(whole) > lead else 0
    inside = (frame["ts"].dt.epoch("us") >= int(since)).to_numpy()
    names = frame["symbol"]
    here = [inside & (names == symbol).to_numpy() for symbol in (order.pair.y, order.pair.x)]
    bars = tuple(frame.filter(leg) for leg in here)
    thin = tuple(int((leg & ~enough).sum()) for leg in here)
    return Legs(whole, lead, (bars[0], bars[1]), (thin[0], thin[1]))


def _aligned(frame: pl.DataFrame, pair: Pair, timeframe: Timeframe, max_fill: int) -> Aligned:
    legs = []
    for symbol in (pair.y, pair.x):
        leg = frame.filter(symbol=symbol)
        legs += [leg["ts"].dt.epoch("us").to_numpy(), leg["close"].to_numpy().astype(np.float64)]
    return align(*legs, timeframe.us, max_fill)


def _too_few(order: Order, legs: Legs) -> str:
    names = (order.pair.y, order.pair.x)
    counts = [leg.height - thin for leg, thin in zip(legs.bars, legs.thin, strict=True)]
    where = "in this range" if order.start is not None else "yet"
    for name, count, thin in zip(names, counts, legs.thin, strict=True):
        if count == 0:
            why = f"every one is under the least volume ({thin:,})" if thin else f"there is no complete bar {where}"
            return f"{name} has no {order.timeframe} bars to compute with: {why}; choose another range, timeframe or leg, or backfill"
    thin = f", {sum(legs.thin):,} thin bars left out" if sum(legs.thin) else ""
    each = f"{names[0]} {counts[0]:,}, {names[1]} {counts[1]:,}{thin}"
    return (
        f"{order.pair} has {len(legs.stretch)} common {order.timeframe} bars {where} ({each}),"
        f" at least {LEAST_BARS} are needed; widen the range, choose a shorter timeframe, or backfill"
    )
