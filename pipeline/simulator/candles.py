"""Candlesticks from aggregate trades, in exact integers, as the venue makes them.

Rows exist only where there were trades; ``filled`` adds the flat rows that the venue also sends (open, high, low
and close at the last close, no volume). ``trades`` counts raw trades, ``first`` and ``last`` are raw trade ids.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.simulator.noise import Bools, Ints
from pipeline.simulator.trades import Trades

DAY_MS = 86_400_000
_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday

INTERVALS: dict[str, int] = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
"""Intervals that are served, in milliseconds. The venue's ``1M``, the only one of changing length, is not."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Parallel arrays of integers, oldest first.

    ``volume`` and ``buy_volume`` are in units of the last printed decimal of a quantity, ``quote`` and ``buy_quote`` in
    units of (last decimal of a price times last decimal of a quantity).
    """

    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote: Ints
    trades: Ints
    buy_volume: Ints
    buy_quote: Ints
    first: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.open_ms)

    def where(self, keep: Bools) -> Candles:
        """The rows that ``keep`` marks."""
        return Candles(*(getattr(self, field.name)[keep] for field in fields(self)))


def bucket_ms(time_ms: int, interval_ms: int) -> int:
    """Open time of the candle that holds a moment. Weeks begin on Monday, everything else counts from the epoch."""
    origin = _MONDAY_MS if interval_ms == INTERVALS["1w"] else 0
    return (time_ms - origin) // interval_ms * interval_ms + origin


def from_trades(trades: Trades, interval_ms: int) -> Candles:
    """Candles of a tape that is in order of id; trades of one bucket must be neighbours."""
    if not len(trades):
        none = np.zeros(0, dtype=np.int64)
        return Candles(*(none for _ in fields(Candles)))
    buckets = _buckets(trades.time_ms, interval_ms)
    starts = np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))
    ends = np.append(starts[1:], len(trades)) - 1
    quote = trades.price * trades.qty
    bought = ~trades.maker
    return Candles(
        open_ms=buckets[starts],
        open=trades.price[starts],
        high=np.maximum.reduceat(trades.price, starts),
        low=np.minimum.reduceat(trades.price, starts),
        close=trades.price[ends],
        volume=np.add.reduceat(trades.qty, starts),
        quote=np.add.reduceat(quote, starts),
        trades=np.add.reduceat(trades.last - trades.first + 1, starts),
        buy_volume=np.add.reduceat(trades.qty * bought, starts),
        buy_quote=np.add.reduceat(quote * bought, starts),
        first=trades.first[starts],
        last=trades.last[ends],
    )


def merged(parts: list[Candles], interval_ms: int) -> Candles:
    """Consecutive candles of shorter intervals as candles of ``interval_ms``."""
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Candles)}
    if not len(columns["open_ms"]):
        return Candles(**columns)
    buckets = _buckets(columns["open_ms"], interval_ms)
    starts = np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))
    ends = np.append(starts[1:], len(buckets)) - 1
    summed = ("volume", "quote", "trades", "buy_volume", "buy_quote")
    return Candles(
        open_ms=buckets[starts],
        open=columns["open"][starts],
        high=np.maximum.reduceat(columns["high"], starts),
        low=np.minimum.reduceat(columns["low"], starts),
        close=columns["close"][ends],
        first=columns["first"][starts],
        last=columns["last"][ends],
        **{name: np.add.reduceat(columns[name], starts) for name in summed},
    )


def filled(candles: Candles, interval_ms: int, first_ms: int, last_ms: int, close_before: int | None) -> Candles:
    """Every candle from the one at ``first_ms`` to the one at ``last_ms``, flat rows put in where nothing was traded.

    Args:
        candles: rows with trades, inside that range.
        interval_ms: their interval.
        first_ms: open time of the first row wanted.
        last_ms: open time of the last row wanted.
        close_before: last price before ``first_ms``; None when there is none, then rows begin with the first trade.
    """
    if close_before is None:
        if not len(candles):
            return candles
        first_ms = int(candles.open_ms[0])
    wanted = np.arange(first_ms, last_ms + 1, interval_ms, dtype=np.int64)
    if len(wanted) == len(candles):
        return candles
    at = (candles.open_ms - first_ms) // interval_ms
    source = np.full(len(wanted), -1, dtype=np.int64)
    source[at] = np.arange(len(candles), dtype=np.int64)
    previous = np.maximum.accumulate(source)
    flat = source < 0
    closes = np.append(candles.close, close_before if close_before is not None else 0)[previous]
    columns = {}
    for field in fields(Candles):
        values = np.append(getattr(candles, field.name), 0)[source]
        if field.name in {"open", "high", "low", "close"}:
            values = np.where(flat, closes, values)
        columns[field.name] = values
    columns["open_ms"] = wanted
    columns["first"] = np.where(flat, -1, columns["first"])
    columns["last"] = np.where(flat, -1, columns["last"])
    return Candles(**columns)


def _buckets(time_ms: Ints, interval_ms: int) -> Ints:
    origin = _MONDAY_MS if interval_ms == INTERVALS["1w"] else 0
    buckets: Ints = (time_ms - origin) // interval_ms * interval_ms + origin
    return buckets
