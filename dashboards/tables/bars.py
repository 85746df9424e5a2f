"""Bars of one symbol as candles: the newest ones live, for everybody who looks at them, and any stretch of the past for one who asks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dashboards.format import decimals_of
from dashboards.hub import Moment
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.candles import bar_ends, load_candles

_RELOAD_S = 60.0
_SHARE = 50  # reading everything anew takes at most this part of the time
_LATER = timedelta(days=36_500)
_EPOCH = datetime.fromtimestamp(0, UTC)


class Kind(IntEnum):
    """What a candle is made of."""

    MOVING = 0
    """Its time has not passed, or an open gap touches it."""
    EXCHANGE = 1
    """Whole, with bars from the exchange's own candlesticks."""
    OWN = 2
    """Whole, from our own trades."""


Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Candles in time order, as columns: bars of ``timeframe``, added up into ``step_s`` seconds where that is longer.

    ``ts`` is the open time in milliseconds, ``kind`` a ``Kind``, ``count`` how many bars are in each; ``vwap`` is NaN without volume.
    """

    symbol: str
    timeframe: Timeframe
    step_s: int
    loaded_at: datetime
    took_s: float
    decimals: int
    ts: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    trades: Floats
    count: Floats
    kind: Floats
    key: tuple[str, str, int] = field(init=False)
    """Symbol, timeframe and step: candles of one key are one series."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (self.symbol, self.timeframe.name, self.step_s))

    def __len__(self) -> int:
        return int(self.ts.size)

    @property
    def step_ms(self) -> float:
        """Length of a candle."""
        return self.step_s * 1000.0

    def part(self, start_ms: float, end_ms: float) -> Bars:
        """Candles that open at or after ``start_ms`` and before ``end_ms``."""
        at = slice(*np.searchsorted(self.ts, [start_ms, end_ms]).tolist())
        return replace(self, **{name: getattr(self, name)[at] for name in COLUMNS})

    def then(self, later: Bars) -> Bars:
        """These candles as far as ``later`` does not begin, and those; the same series."""
        until = float(later.ts[0]) if len(later) else np.inf
        kept = self.part(-np.inf, until)
        joined = {name: np.concatenate([getattr(kept, name), getattr(later, name)]) for name in COLUMNS}
        return replace(later, decimals=max(self.decimals, later.decimals), **joined)

    def same(self, other: Bars, last: int) -> bool:
        """Whether the ``last`` candles and the number of all are equal."""
        return len(self) == len(other) and all(
            np.array_equal(getattr(self, name)[-last:], getattr(other, name)[-last:], equal_nan=True) for name in COLUMNS
        )


COLUMNS = tuple(entry.name for entry in fields(Bars) if entry.type == "Floats")


def read_bars(warehouse: Warehouse, symbol: str, timeframe: Timeframe, step_s: int, *, start: datetime, end: datetime) -> Bars:
    """Candles from ``start`` (a multiple of the step) to before ``end``.

    Raises:
        StoreError: when they cannot be read.
    """
    begun = perf_counter()
    frame = load_candles(warehouse, symbol, timeframe, step_s=step_s, start=start, end=end)
    kinds = pl.when(pl.col("complete")).then(pl.when(pl.col("kline_bars") > 0).then(int(Kind.EXCHANGE)).otherwise(int(Kind.OWN)))
    frame = frame.with_columns(ts=pl.col("ts").dt.epoch("ms"), kind=kinds.otherwise(int(Kind.MOVING))).rename({"bars": "count"})
    columns = {name: frame[name].cast(pl.Float64).to_numpy() for name in COLUMNS}
    now = datetime.now(UTC)
    return Bars(symbol, timeframe, step_s, now, perf_counter() - begun, decimals_of(columns["close"][-50:]), **columns)


@dataclass(frozen=True, slots=True)
class BarsTopic:
    """The candles of a symbol's last ``count`` steps; the tail is read each second, all of it once a minute or more seldom."""

    symbol: str
    timeframe: Timeframe
    step_s: int
    count: int = 1000
    every_s: float = 0.4
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The candles now; ``before`` when none changed."""
        if warehouse is None or moment is None:
            return before
        old: Bars | None = before
        if old is None or not len(old) or (moment.now - old.loaded_at).total_seconds() >= max(_RELOAD_S, _SHARE * old.took_s):
            ends = bar_ends(warehouse, self.symbol, self.timeframe)
            newest = ends[1] if ends else moment.time
            start = opened(newest, self.step_s) - timedelta(seconds=self.step_s * (self.count - 1))
            return self._read(warehouse, start)
        # Long candles are many bars each, so that fewer of those that still move can be looked at again.
        near = max(2, 50 * self.timeframe.seconds // self.step_s)
        moving = np.flatnonzero(old.kind == Kind.MOVING)
        at = int(moving[moving >= len(old) - near][0]) if moving.size and moving[-1] >= len(old) - near else len(old) - 1
        fresh = old.then(self._read(warehouse, time_of(old.ts[at])))
        fresh = replace(fresh, loaded_at=old.loaded_at, took_s=old.took_s)
        return old if old.same(fresh, last=60) else fresh

    def _read(self, warehouse: Warehouse, start: datetime) -> Bars:
        return read_bars(warehouse, self.symbol, self.timeframe, self.step_s, start=start, end=start + _LATER)


def opened(time: datetime, step_s: int) -> datetime:
    """The open time of the candle that a time falls in."""
    return _EPOCH + timedelta(seconds=(time - _EPOCH) // timedelta(seconds=step_s) * step_s)


def time_of(ms: float) -> datetime:
    """A time of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=float(ms))


def ms_of(time: datetime) -> float:
    """The other way round."""
    return (time - _EPOCH) / timedelta(milliseconds=1)


def is_past(around: datetime, moment: Moment, timeframe: Timeframe, count: int) -> bool:
    """Whether a moment lies before the newest ``count`` bars, or so near to their beginning that what led to it would not be seen."""
    return (moment.time - around).total_seconds() > 0.8 * count * timeframe.seconds


def window(around: datetime, timeframe: Timeframe, count: int) -> tuple[datetime, datetime]:
    """``count`` intervals with a moment in their middle."""
    half = timedelta(seconds=timeframe.seconds * count // 2)
    return around - half, around + half
