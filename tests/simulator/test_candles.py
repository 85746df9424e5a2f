from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from pipeline.simulator import candles
from pipeline.simulator.candles import INTERVALS, bucket_ms, filled, from_trades, merged
from pipeline.simulator.frames import Candle, rows_of
from pipeline.simulator.trades import HOUR_MS, joined, no_trades

HOUR = 498_711


def naive(trades, interval_ms: int) -> list[Candle]:
    """One trade at a time, no arrays."""
    made: dict[int, Candle] = {}
    columns = (trades.time_ms, trades.price, trades.qty, trades.first, trades.last, trades.maker)
    for time, price, qty, first, last, maker in zip(*(column.tolist() for column in columns), strict=True):
        start = bucket_ms(time, interval_ms)
        candle = made.setdefault(start, Candle(start, price, price, price, price, 0, 0, 0, 0, 0, first, last))
        candle.high, candle.low, candle.close = max(candle.high, price), min(candle.low, price), price
        candle.volume += qty
        candle.quote += price * qty
        candle.trades += last - first + 1
        candle.buy_volume += 0 if maker else qty
        candle.buy_quote += 0 if maker else price * qty
        candle.last = last
    return list(made.values())


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h"])
def test_candles_are_what_one_counts_by_hand(tape, interval):
    trades = tape.trades("ETHUSDT", HOUR)
    assert list(rows_of(from_trades(trades, INTERVALS[interval]))) == naive(trades, INTERVALS[interval])


@pytest.mark.parametrize("interval", ["3m", "1h", "4h", "1d", "1w"])
def test_merging_short_candles_gives_the_long_ones(tape, interval):
    length = INTERVALS[interval]
    parts = [tape.trades("ETCUSDT", HOUR + k) for k in range(30)]
    minutes = [from_trades(part, 60_000) for part in parts]
    assert list(rows_of(merged(minutes, length))) == naive(joined(parts), length)


def test_weeks_begin_on_monday():
    assert bucket_ms(1_795_360_123_456, INTERVALS["1w"]) == 1_794_787_200_000  # Monday 2026-11-16
    assert bucket_ms(1_795_360_123_456, INTERVALS["1d"]) == 1_795_305_600_000


def test_holes_are_filled_flat(tape):
    start = HOUR * HOUR_MS
    trades = tape.trades("ETCUSDT", HOUR)
    sparse = from_trades(trades, 1_000)
    every = filled(sparse, 1_000, start, start + HOUR_MS - 1_000, 19_000)
    assert every.open_ms.tolist() == list(range(start, start + HOUR_MS, 1_000))
    rows = list(rows_of(every))
    close = 19_000
    for row in rows:
        if row.trades == 0:
            assert (row.open, row.high, row.low, row.close, row.volume, row.quote) == (close, close, close, close, 0, 0)
            assert row.first == row.last == -1
        close = row.close
    assert [row for row in rows if row.trades] == list(rows_of(sparse))
    assert 0 < len(sparse) < 3_600


def test_nothing_comes_of_nothing():
    nothing = from_trades(no_trades(), 60_000)
    assert len(nothing) == len(merged([nothing, nothing], 300_000)) == 0
    assert len(filled(nothing, 60_000, 0, 120_000, None)) == 0
    assert [row.close for row in rows_of(filled(nothing, 60_000, 0, 120_000, 5))] == [5, 5, 5]
    assert all(getattr(nothing, field.name).dtype == np.int64 for field in fields(candles.Candles))
