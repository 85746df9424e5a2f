"""The market of this moment, as alert rules see it: last prices, and the newest bars of the timeframes that rules use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.model.fixed import UNIT
from pipeline.model.timeframe import Timeframe


@dataclass(slots=True)
class _Bar:
    close: float
    volume: int
    last_id: int


@dataclass(slots=True)
class _Leg:
    """The newest bars of one symbol and timeframe, by open time."""

    bars: dict[int, _Bar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LastPrice:
    """A symbol's newest trade by id: its price, and the grid point (microseconds of journal time) at which it became known."""

    price: float
    last_id: int
    known_us: int


@dataclass(frozen=True, slots=True)
class Update:
    """What the trades of one symbol did at one grid point within one second of event time; ``qty`` in 1/``UNIT``."""

    grid_us: int
    symbol: str
    event_us: int
    price: float
    qty: int
    last_id: int


class Book:
    """Prices and provisional bars. Whatever it is fed, the order within one grid point changes nothing.

    Args:
        reach: bars of each followed series that can be looked at, the one of the moment included.
    """

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self.prices: dict[str, LastPrice] = {}
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

    def start_us(self, timeframe: Timeframe, now_us: int) -> int:
        """Open time of the oldest bar that can be looked at."""
        return timeframe.bucket_us(now_us) - (self.reach - 1) * timeframe.us

    def fill(self, symbol: str, timeframe: Timeframe, bars: Iterable[tuple[int, float, int, int]]) -> None:
        """Add bars (open time, close, volume in 1/``UNIT``, last id) that are not known yet, as read from the tables."""
        leg = self._legs[symbol, timeframe]
        for ts_us, close, volume, last_id in bars:
            leg.bars.setdefault(ts_us, _Bar(close, volume, last_id))

    def apply(self, update: Update) -> None:
        """Take in trades."""
        known = self.prices.get(update.symbol)
        # Older trades that come late (refilled ones) are not the price of the moment.
        if known is None or update.last_id >= known.last_id:
            self.prices[update.symbol] = LastPrice(update.price, update.last_id, update.grid_us)
        for (symbol, timeframe), leg in self._legs.items():
            if symbol != update.symbol:
                continue
            ts_us = timeframe.bucket_us(update.event_us)
            bar = leg.bars.get(ts_us)
            if bar is None:
                leg.bars[ts_us] = _Bar(update.price, update.qty, update.last_id)
                self._trim(leg, self.start_us(timeframe, update.grid_us))
                continue
            bar.volume += update.qty
            if update.last_id >= bar.last_id:
                bar.close, bar.last_id = update.price, update.last_id

    def price(self, symbol: str) -> float | None:
        """Last price, None before the first trade."""
        known = self.prices.get(symbol)
        return known.price if known else None

    def age_s(self, symbol: str, now_us: int) -> float | None:
        """Seconds of journal time since the newest trade became known."""
        known = self.prices.get(symbol)
        return max(0.0, (now_us - known.known_us) / 1e6) if known else None

    def closes(self, symbol: str, timeframe: Timeframe, now_us: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Open times and closes of the bars within reach, the provisional one last."""
        leg = self._legs[symbol, timeframe]
        start_us = self.start_us(timeframe, now_us)
        times = sorted(time for time in leg.bars if time >= start_us)
        return np.array(times, np.int64), np.array([leg.bars[time].close for time in times], np.float64)

    def volume(self, symbol: str, timeframe: Timeframe, bars: int, now_us: int) -> float | None:
        """Volume of the last ``bars`` intervals, the current one included; None before the symbol's first trade."""
        if symbol not in self.prices:
            return None
        first = timeframe.bucket_us(now_us) - (bars - 1) * timeframe.us
        return sum(bar.volume for time, bar in self._legs[symbol, timeframe].bars.items() if time >= first) / UNIT

    def change(self, symbol: str, timeframe: Timeframe, bars: int, now_us: int) -> float | None:
        """Simple return from the close ``bars`` intervals ago to now; None when there was no bar then."""
        leg = self._legs[symbol, timeframe]
        then = leg.bars.get(timeframe.bucket_us(now_us) - bars * timeframe.us)
        price = self.price(symbol)
        return None if then is None or price is None else price / then.close - 1.0

    def _trim(self, leg: _Leg, start_us: int) -> None:
        for time in [time for time in leg.bars if time < start_us]:
            del leg.bars[time]
