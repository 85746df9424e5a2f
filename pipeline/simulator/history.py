"""What a REST request or a stream may ask of a market, and the synthetic market's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache, partial
from typing import Protocol

from pipeline.simulator.candles import Candles, from_trades, merged
from pipeline.simulator.quotes import Quotes, quotes
from pipeline.simulator.trades import HOUR_MS, Tape, Trades, hour_of_id, joined, no_trades
from pipeline.simulator.universe import BY_SYMBOL, GENESIS_HOUR, SPECS, Instrument

_MINUTE_MS = 60_000


class History(Protocol):
    """Everything that has happened on a market so far."""

    def now_ms(self) -> int:
        """The market's time, in milliseconds; nothing later than this is told."""

    def instruments(self) -> Sequence[Instrument]:
        """The symbols that are traded."""

    def instrument(self, symbol: str) -> Instrument | None:
        """One of them; None when it is unknown."""

    def from_id(self, symbol: str, first_id: int, limit: int) -> Trades:
        """Up to ``limit`` aggregate trades from an id on, oldest first."""

    def oldest(self, symbol: str, start_ms: int, end_ms: int, limit: int) -> Trades:
        """The first ``limit`` aggregate trades with ``start_ms <= T <= end_ms``."""

    def newest(self, symbol: str, end_ms: int, limit: int) -> Trades:
        """The last ``limit`` aggregate trades with ``T <= end_ms``, oldest first."""

    def candles(self, symbol: str, interval_ms: int, hour: int) -> Candles:
        """Candles of one absolute hour that had trades. An interval above an hour gives the hour's own part of it."""

    def close_before(self, symbol: str, time_ms: int) -> int | None:
        """Last price before a moment, in price units; None when there is none."""

    def quote(self, symbol: str) -> Quotes | None:
        """The best bid and ask of this moment, one row; None when they are not known."""

    def first_hour(self, symbol: str) -> int:
        """The hour at which a symbol's history begins."""


class SyntheticHistory:
    """The simulated market up to a clock's time."""

    def __init__(self, tape: Tape, clock_ms: Callable[[], int]) -> None:
        self._tape = tape
        self.now_ms = clock_ms
        self._whole = lru_cache(maxsize=4096)(self._candles_of_whole_hour)
        self._quotes = lru_cache(maxsize=4)(partial(quotes, tape))

    def instruments(self) -> Sequence[Instrument]:
        """The symbols that are traded."""
        return [spec.instrument for spec in SPECS]

    def instrument(self, symbol: str) -> Instrument | None:
        """One of them; None when it is unknown."""
        spec = BY_SYMBOL.get(symbol)
        return spec.instrument if spec else None

    def first_hour(self, symbol: str) -> int:
        """The hour at which a symbol's history begins."""
        del symbol
        return GENESIS_HOUR

    def _hour(self, symbol: str, hour: int) -> Trades:
        """Trades of an hour that have happened."""
        if hour * HOUR_MS > self.now_ms():
            return no_trades()
        trades = self._tape.trades(symbol, hour)
        if (hour + 1) * HOUR_MS <= self.now_ms():
            return trades
        return trades.part(0, int(trades.time_ms.searchsorted(self.now_ms(), "right")))

    def from_id(self, symbol: str, first_id: int, limit: int) -> Trades:
        """Up to ``limit`` aggregate trades from an id on, oldest first."""
        first_id = max(first_id, 1)
        hour = hour_of_id(symbol, first_id)
        start = int(self._hour(symbol, hour).ids.searchsorted(first_id))
        return self._forward(symbol, hour, start, limit)

    def oldest(self, symbol: str, start_ms: int, end_ms: int, limit: int) -> Trades:
        """The first ``limit`` aggregate trades with ``start_ms <= T <= end_ms``."""
        hour = max(start_ms // HOUR_MS, GENESIS_HOUR)
        start = int(self._hour(symbol, hour).time_ms.searchsorted(start_ms, "left"))
        found = self._forward(symbol, hour, start, limit)
        return found.part(0, int(found.time_ms.searchsorted(end_ms, "right")))

    def newest(self, symbol: str, end_ms: int, limit: int) -> Trades:
        """The last ``limit`` aggregate trades with ``T <= end_ms``, oldest first."""
        hour = min(end_ms, self.now_ms()) // HOUR_MS
        parts: list[Trades] = []
        wanted = limit
        while wanted > 0 and hour >= GENESIS_HOUR:
            trades = self._hour(symbol, hour)
            stop = int(trades.time_ms.searchsorted(end_ms, "right"))
            parts.insert(0, trades.part(max(0, stop - wanted), stop))
            wanted -= len(parts[0])
            hour -= 1
        return joined(parts)

    def _forward(self, symbol: str, hour: int, start: int, limit: int) -> Trades:
        parts: list[Trades] = []
        while limit > 0 and hour * HOUR_MS <= self.now_ms():
            trades = self._hour(symbol, hour)
            parts.append(trades.part(start, min(start + limit, len(trades))))
            limit -= len(parts[-1])
            start = 0
            hour += 1
        return joined(parts) if parts else no_trades()

    def candles(self, symbol: str, interval_ms: int, hour: int) -> Candles:
        """Candles of one absolute hour that had trades. An interval above an hour gives the hour's own part of it."""
        if (hour + 1) * HOUR_MS > self.now_ms():
            return from_trades(self._hour(symbol, hour), interval_ms)
        if interval_ms < _MINUTE_MS:  # 3,600 rows an hour: made again rather than kept
            return self._candles_of_whole_hour(symbol, interval_ms, hour)
        return self._whole(symbol, interval_ms, hour)

    def _candles_of_whole_hour(self, symbol: str, interval_ms: int, hour: int) -> Candles:
        if interval_ms > _MINUTE_MS:
            return merged([self._whole(symbol, _MINUTE_MS, hour)], interval_ms)
        return from_trades(self._tape.trades(symbol, hour), interval_ms)

    def close_before(self, symbol: str, time_ms: int) -> int | None:
        """Last price before a moment, in price units; None when there is none."""
        last = self.newest(symbol, time_ms - 1, 1)
        return int(last.price[0]) if len(last) else None

    def quote(self, symbol: str) -> Quotes | None:
        """The best bid and ask of this moment, one row; None before the first."""
        now_ms = self.now_ms()
        for hour in (now_ms // HOUR_MS, now_ms // HOUR_MS - 1):
            found = self._quotes(symbol, hour)
            passed = int(found.time_ms.searchsorted(now_ms, "right"))
            if passed:
                return Quotes(*(getattr(found, field.name)[passed - 1 : passed] for field in fields(Quotes)))
        return None
