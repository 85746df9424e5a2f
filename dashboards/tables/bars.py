"""The newest bars of one symbol, and what there is of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dashboards.format import decimals_of
from dashboards.hub import Moment
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.bars import load_bars, load_last_bars
from pipeline.store.market import bar_span

_RELOAD_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars in time order, as columns.

    ``ts`` is the open time in milliseconds. ``kind``: 2 complete from our trades, 1 from the exchange's klines, 0 still moving
    or touched by an open gap.
    """

    symbol: str
    timeframe: Timeframe
    loaded_at: datetime
    ts: NDArray[np.float64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    kind: NDArray[np.int64]
    decimals: int

    def __len__(self) -> int:
        return int(self.ts.size)


@dataclass(frozen=True, slots=True)
class BarsTopic:
    """The bars of a symbol's last ``count`` intervals; the tail is read each second, all of it once a minute.

    Those around a moment that lies before them, when there is one.
    """

    symbol: str
    timeframe: Timeframe
    around: datetime | None = None
    count: int = 1000
    every_s: float = 0.9
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The bars now; ``before`` when none changed."""
        if warehouse is None or moment is None:
            return before
        old: Bars | None = before
        if self.around is not None and is_past(self.around, moment, self.timeframe, self.count):
            if old is not None and (moment.now - old.loaded_at).total_seconds() < _RELOAD_S:
                return before
            start, end = window(self.around, self.timeframe, self.count)
            return _columns(
                self.symbol, self.timeframe, moment.now, load_bars(warehouse, self.symbol, self.timeframe, start=start, end=end), None
            )
        if old is None or not len(old) or (moment.now - old.loaded_at).total_seconds() >= _RELOAD_S:
            frame = load_last_bars(warehouse, self.symbol, self.timeframe, self.count)
            return _columns(self.symbol, self.timeframe, moment.now, frame, None)
        moving = np.flatnonzero(old.kind == 0)
        at = int(moving[0]) if moving.size and moving[0] >= len(old) - 50 else len(old) - 1
        start = _time(old.ts[at])
        frame = load_bars(warehouse, self.symbol, self.timeframe, start=start, end=start + timedelta(days=36_500))
        fresh = _columns(self.symbol, self.timeframe, old.loaded_at, frame, old)
        return old if _same(old, fresh) else fresh


def is_past(around: datetime, moment: Moment, timeframe: Timeframe, count: int) -> bool:
    """Whether a moment lies before the newest ``count`` bars, or so near to their beginning that what led to it would not be seen."""
    return (moment.time - around).total_seconds() > 0.8 * count * timeframe.seconds


def window(around: datetime, timeframe: Timeframe, count: int) -> tuple[datetime, datetime]:
    """``count`` intervals with a moment in their middle."""
    half = timedelta(seconds=timeframe.seconds * count // 2)
    return around - half, around + half


@dataclass(frozen=True, slots=True)
class Span:
    """What there is of a symbol and timeframe: None and 0 when nothing."""

    first: datetime | None
    last: datetime | None
    bars: int
    complete: int
    klines: int
    open_gaps: int
    gaps: int

    def expected(self, timeframe: Timeframe) -> int:
        """Intervals from the first bar to the last."""
        if self.first is None or self.last is None:
            return 0
        return int((self.last - self.first).total_seconds()) // timeframe.seconds + 1


@dataclass(frozen=True, slots=True)
class SpanTopic:
    """The data availability of a symbol and timeframe."""

    symbol: str
    timeframe: Timeframe
    every_s: float = 5.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The span now."""
        if warehouse is None or moment is None:
            return before
        row = bar_span(warehouse, self.symbol, self.timeframe)
        span = Span(row["first_ts"], row["last_ts"], row["bars"], row["complete_bars"], row["kline_bars"], row["open_gaps"], row["gaps"])
        return before if span == before else span


def _time(ms: float) -> datetime:
    return datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(milliseconds=float(ms))


def _columns(symbol: str, timeframe: Timeframe, loaded_at: datetime, frame: pl.DataFrame, old: Bars | None) -> Bars:
    """Columns of a frame, behind those bars of ``old`` that are before its first."""
    ts = frame["ts"].dt.epoch("ms").to_numpy().astype(np.float64)
    kind = np.where(frame["source"].to_numpy() == "kline", 1, np.where(frame["complete"].to_numpy(), 2, 0)).astype(np.int64)
    values = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    keep = int(np.searchsorted(old.ts, ts[0])) if old is not None and ts.size else (len(old) if old is not None else 0)
    decimals = decimals_of(values["close"][-50:])
    if old is not None:
        ts = np.concatenate([old.ts[:keep], ts])
        kind = np.concatenate([old.kind[:keep], kind])
        values = {name: np.concatenate([getattr(old, name)[:keep], column]) for name, column in values.items()}
        decimals = max(decimals, old.decimals)
    return Bars(symbol, timeframe, loaded_at, ts, kind=kind, decimals=decimals, **values)


def _same(old: Bars, new: Bars) -> bool:
    return len(old) == len(new) and all(
        np.array_equal(getattr(old, name)[-60:], getattr(new, name)[-60:])
        for name in ("ts", "open", "high", "low", "close", "volume", "kind")
    )
