"""The market of this moment, as alert rules see it: last prices, and the newest bars of the timeframes that rules use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.model.timeframe import Timeframe


@dataclass(slots=True)
class _Bar:
    close: float
    volume: float
    last_id: int


@dataclass(slots=True)
class _Leg:
    """The newest bars of one symbol and timeframe, by open time."""

    bars: dict[int, _Bar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """What the trades of one symbol did at one grid point within one second of event time."""

    grid_us: int
    symbol: str
    event_us: int
    price: float
    qty: float
    last_id: int


class Book:
    """Prices and provisional bars, fed in journal order. ``reach`` bars of each followed series are kept."""

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._prices: dict[str, tuple[float, int]] = {}
        self._legs: dict[tuple[str, Timeframe], _Leg] = {}

    def follow(self, symbol: str, timeframe: Timeframe) -> bool:
        """Keep bars of this series from now on; False when it was followed already."""
        if (symbol, timeframe) in self._legs:
            return False
        self._legs[symbol, timeframe] = _Leg()
        return True

    @property
    def followed(self) -> list[tuple[str, Timeframe]]:
        """The series that are kept."""
        return list(self._legs)

    def seed_price(self, symbol: str, price: float, known_us: int) -> None:
        """Set a symbol's last price as read from the tables."""
        self._prices[symbol] = (price, known_us)

    def fill(self, symbol: str, timeframe: Timeframe, bars: Iterable[tuple[int, float, float]], *, before_us: int) -> None:
        """Add bars (open time, close, volume) that are older than ``before_us`` and not known yet: history fetched later."""
        leg = self._legs[symbol, timeframe]
        for ts_us, close, volume in bars:
            if ts_us < before_us and ts_us not in leg.bars:
                leg.bars[ts_us] = _Bar(close, volume, -1)
        self._trim(leg)

    def apply(self, update: Update) -> None:
        """Take in trades."""
        self._prices[update.symbol] = (update.price, update.grid_us)
        for (symbol, timeframe), leg in self._legs.items():
            if symbol != update.symbol:
                continue
            ts_us = timeframe.bucket_us(update.event_us)
            bar = leg.bars.get(ts_us)
            if bar is None:
                leg.bars[ts_us] = _Bar(update.price, update.qty, update.last_id)
                self._trim(leg)
                continue
            bar.volume += update.qty
            if update.last_id >= bar.last_id:
                bar.close, bar.last_id = update.price, update.last_id

    def price(self, symbol: str) -> float | None:
        """Last price, None before the first trade."""
        known = self._prices.get(symbol)
        return known[0] if known else None

    def age_s(self, symbol: str, now_us: int) -> float | None:
        """Seconds of journal time since the last trade."""
        known = self._prices.get(symbol)
        return max(0.0, (now_us - known[1]) / 1e6) if known else None

    def closes(self, symbol: str, timeframe: Timeframe) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Open times and closes of the kept bars, the provisional one last."""
        leg = self._legs[symbol, timeframe]
        times = sorted(leg.bars)
        return np.array(times, np.int64), np.array([leg.bars[time].close for time in times], np.float64)

    def volume(self, symbol: str, timeframe: Timeframe, bars: int, now_us: int) -> float | None:
        """Volume of the last ``bars`` intervals, the current one included; None when no bar is known at all."""
        leg = self._legs[symbol, timeframe]
        if not leg.bars:
            return None
        first = timeframe.bucket_us(now_us) - (bars - 1) * timeframe.us
        return float(sum(bar.volume for time, bar in leg.bars.items() if time >= first))

    def change(self, symbol: str, timeframe: Timeframe, bars: int, now_us: int) -> float | None:
        """Simple return from the close ``bars`` intervals ago to now; None when there was no bar then."""
        leg = self._legs[symbol, timeframe]
        then = leg.bars.get(timeframe.bucket_us(now_us) - bars * timeframe.us)
        price = self.price(symbol)
        return None if then is None or price is None else price / then.close - 1.0

    def _trim(self, leg: _Leg) -> None:
        while len(leg.bars) > self._reach:
            del leg.bars[min(leg.bars)]
