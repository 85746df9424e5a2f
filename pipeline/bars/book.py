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
    """The newest bars of one symbol and timeframe, by open time.

    ``newest`` is the open time of the newest one. ``past`` counts the changes of bars that were not of the moment: while it stands
    still, so do they.
    """

    bars: dict[int, _Bar] = field(default_factory=dict)
    newest: int = -1
    past: int = 0


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
        self._legs: dict[str, dict[Timeframe, _Leg]] = {}

    def follow(self, symbol: str, timeframe: Timeframe) -> bool:
        """Keep bars of this series from now on; False when it was followed already."""
        legs = self._legs.setdefault(symbol, {})
        if timeframe in legs:
            return False
        legs[timeframe] = _Leg()
        return True

    @property
    def followed(self) -> list[tuple[str, Timeframe]]:
        """The series that are kept."""
        return [(symbol, timeframe) for symbol, legs in self._legs.items() for timeframe in legs]

    def start_us(self, timeframe: Timeframe, now_us: int) -> int:
        """Open time of the oldest bar that can be looked at."""
        return timeframe.bucket_us(now_us) - (self.reach - 1) * timeframe.us

    def fill(self, symbol: str, timeframe: Timeframe, bars: Iterable[tuple[int, float, int, int]]) -> bool:
        """Add bars (open time, close, volume in 1/``UNIT``, last id) that are not known yet, from the tables; whether any was new."""
        leg = self._legs[symbol][timeframe]
        before = len(leg.bars)
        for ts_us, close, volume, last_id in bars:
            leg.bars.setdefault(ts_us, _Bar(close, volume, last_id))
            leg.newest = max(leg.newest, ts_us)
        if len(leg.bars) == before:
            return False
        leg.past += 1
        return True

    def apply(self, update: Update) -> None:
        """Take in trades."""
        known = self.prices.get(update.symbol)
        # Older trades that come late (refilled ones) are not the price of the moment.
        if known is None or update.last_id >= known.last_id:
            self.prices[update.symbol] = LastPrice(update.price, update.last_id, update.grid_us)
        for timeframe, leg in self._legs.get(update.symbol, {}).items():
            ts_us = timeframe.bucket_us(update.event_us)
            if ts_us < timeframe.bucket_us(update.grid_us):
                leg.past += 1
            bar = leg.bars.get(ts_us)
            if bar is None:
                leg.bars[ts_us] = _Bar(update.price, update.qty, update.last_id)
                leg.newest = max(leg.newest, ts_us)
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

    def newest_us(self, symbol: str, timeframe: Timeframe) -> int:
        """Open time of the newest bar, -1 when there is none."""
        return self._legs[symbol][timeframe].newest

    def past(self, symbol: str, timeframe: Timeframe) -> int:
        """A number that changes whenever a bar before the one of the moment has changed."""
        return self._legs[symbol][timeframe].past

    def close_at(self, symbol: str, timeframe: Timeframe, ts_us: int) -> float | None:
        """Close of the bar that opens at ``ts_us``, None when there is none."""
        bar = self._legs[symbol][timeframe].bars.get(ts_us)
        return bar.close if bar else None

    def closes(self, symbol: str, timeframe: Timeframe, end_us: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Open times and closes of the bars within reach that open before ``end_us``, the end of the newest one that is looked at."""
        bars = self._legs[symbol][timeframe].bars
        start_us = end_us - self.reach * timeframe.us
        times = sorted(time for time in bars if start_us <= time < end_us)
        return np.array(times, np.int64), np.array([bars[time].close for time in times], np.float64)

    def last_close(self, symbol: str, timeframe: Timeframe, end_us: int) -> tuple[int, float] | None:
        """Open time and close of the newest bar that opens before ``end_us``; None when there is none within reach."""
        leg = self._legs[symbol][timeframe]
        start_us = end_us - self.reach * timeframe.us
        ts_us = leg.newest if leg.newest < end_us else max((time for time in leg.bars if time < end_us), default=-1)
        return (ts_us, leg.bars[ts_us].close) if ts_us >= max(start_us, 0) else None

    def volume(self, symbol: str, timeframe: Timeframe, start_us: int, end_us: int | None) -> tuple[float, int | None]:
        """Volume of the bars that open in ``start <= time < end`` (None: without end), and the open time of the oldest of them."""
        leg = self._legs[symbol][timeframe]
        last = leg.newest if end_us is None else min(leg.newest, end_us - timeframe.us)
        few = (last - start_us) // timeframe.us < len(leg.bars)
        times = range(start_us, last + 1, timeframe.us) if few else sorted(time for time in leg.bars if start_us <= time <= last)
        found = [(time, bar.volume) for time in times if (bar := leg.bars.get(time)) is not None]
        return sum(volume for _, volume in found) / UNIT, found[0][0] if found else None

    def next_bar_us(self, symbol: str, timeframe: Timeframe, after_us: int) -> int | None:
        """Open time of the first bar that opens after ``after_us``."""
        leg = self._legs[symbol][timeframe]
        return min((time for time in leg.bars if time > after_us), default=None) if leg.newest > after_us else None

    def _trim(self, leg: _Leg, start_us: int) -> None:
        if len(leg.bars) > 2 * self.reach:  # not at every bar: a look at all of them
            for time in [time for time in leg.bars if time < start_us]:
                del leg.bars[time]
