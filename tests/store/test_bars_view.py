"""The view of all bars equals a plain recomputation at every moment of resampling."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from pipeline.jobs.resample import resample
from pipeline.model.event import Gap
from pipeline.model.timeframe import Timeframe
from pipeline.store import open_local
from pipeline.store.bars import load_bars, load_last_bars
from pipeline.store.klines import save_klines
from pipeline.store.landing import JournalClock, LandingStore
from pipeline.store.resampling import resample_chunk, resample_due

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T0_MS = 1_772_445_600_000  # a whole hour
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
COLUMNS = [
    "symbol",
    "ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "taker_buy_volume",
    "first_id",
    "last_id",
    "complete",
]
LATENESS_MS = 1_000


class Market:
    """Trades landed through the store, and the same trades in a plain list."""

    def __init__(self, opened, names):
        self.opened = opened
        self.store = LandingStore(opened.connection, Path("no-archive"))
        self.trades = []
        self.gaps = {}
        self.clock = JournalClock()
        self.configure(names)

    def configure(self, names):
        self.timeframes = [Timeframe.parse(name) for name in names]
        self.store.set_timeframes(self.timeframes)

    def land(self, trades, *, ended=False):
        """(symbol, id, ms, price, qty, maker), as one landing commit."""
        commit = self.clock.commit_no + 1
        self.trades += trades
        time_us = max([self.clock.time_us, *(T0_MS * 1_000 + trade[2] * 1_000 for trade in trades)])
        times = [EPOCH + timedelta(milliseconds=T0_MS + trade[2]) for trade in trades]
        frame = pl.DataFrame(
            {
                "symbol": [trade[0] for trade in trades],
                "trade_id": [trade[1] for trade in trades],
                "price": [trade[3] for trade in trades],
                "qty": [trade[4] for trade in trades],
                "event_time": times,
                "recv_time": times,
                "buyer_is_maker": [trade[5] for trade in trades],
                "first_id": [trade[1] * 10 for trade in trades],
                "last_id": [trade[1] * 10 + trade[1] % 3 for trade in trades],
            },
            schema_overrides={"event_time": pl.Datetime("us", "UTC"), "recv_time": pl.Datetime("us", "UTC")},
        )
        with self.store.transaction():
            if trades:
                self.store.add_ticks(frame.to_arrow(), "test")
                touched = frame.select("symbol", ts=pl.col("event_time").dt.truncate("1s")).unique().to_arrow()
                self.store.touch_bars(touched, commit, journal_time_us=self.clock.time_us, lateness_us=LATENESS_MS * 1_000)
            self.clock = JournalClock(time_us, commit, ended)
            self.store.set_clock(self.clock, lateness_ms=LATENESS_MS)

    def gap(self, symbol, first, last):
        gap = Gap(f"{symbol}-{first}-{last}", symbol, first, last)
        by_id = {(trade[0], trade[1]): trade[2] for trade in self.trades}
        self.gaps[gap.gap_id] = (symbol, by_id[symbol, first - 1], by_id[symbol, last + 1])
        self.land([])  # a commit of its own
        self.store.add_gap(gap, 0, self.clock.commit_no)
        return gap.gap_id

    def close_gap(self, gap_id):
        del self.gaps[gap_id]
        self.store.close_gap(gap_id, "refilled", 0, None, self.clock.commit_no)

    def expected(self, timeframe):
        groups = defaultdict(list)
        for trade in self.trades:
            groups[trade[0], trade[2] // timeframe.ms * timeframe.ms].append(trade)
        rows = []
        for (symbol, open_ms), trades in sorted(groups.items()):
            trades.sort(key=lambda trade: trade[1])
            prices = [Decimal(trade[3]) for trade in trades]
            amounts = [Decimal(trade[4]) for trade in trades]
            passed = T0_MS + open_ms + timeframe.ms + LATENESS_MS <= self.clock.time_us // 1_000
            spoilt = any(of == symbol and low < open_ms + timeframe.ms and high >= open_ms for of, low, high in self.gaps.values())
            rows.append(
                (
                    symbol,
                    EPOCH + timedelta(milliseconds=T0_MS + open_ms),
                    prices[0],
                    max(prices),
                    min(prices),
                    prices[-1],
                    sum(amounts),
                    sum(price * amount for price, amount in zip(prices, amounts, strict=True)),
                    sum(trade[1] % 3 + 1 for trade in trades),
                    sum((amount for amount, trade in zip(amounts, trades, strict=True) if not trade[5]), Decimal(0)),
                    trades[0][1] * 10,
                    max(trade[1] * 10 + trade[1] % 3 for trade in trades),
                    (passed or self.clock.ended) and not spoilt,
                )
            )
        return rows

    def check(self):
        for timeframe in self.timeframes:
            found = load_bars(self.opened, ["A", "B"], timeframe, start=START, end=END)
            assert found.select(COLUMNS).rows() == self.expected(timeframe), timeframe
            assert set(found["source"]) <= {"tick"}
            shown = self.opened.select("SELECT * FROM bars WHERE timeframe = $t ORDER BY symbol, ts", t=timeframe.name)
            assert shown.equals(found), timeframe


@pytest.fixture
def market(profile):
    with open_local(profile) as opened:
        yield Market(opened, ["1s", "1m", "5m"])


def some_trades(generator, count, start_ms, *, first_id, step_ms=900):
    at, trades = start_ms, []
    for number in range(count):
        at += generator.randrange(0, 2 * step_ms)
        price = f"{100 + generator.randrange(-500, 500) / 100:.2f}"
        trades.append(
            ("AB"[generator.randrange(2)], first_id + number, at, price, f"0.{generator.randrange(1, 999):03d}", generator.random() < 0.5)
        )
    return trades


@pytest.mark.parametrize("seed", range(3))
def test_the_view_is_right_at_every_moment(market, seed):
    generator = random.Random(seed)
    market.check()
    market.land(some_trades(generator, 300, 0, first_id=1))
    market.check()  # before the first run
    resample(market.opened, market.timeframes)
    market.check()
    market.land(some_trades(generator, 200, market.trades[-1][2], first_id=1_001))
    market.check()  # moving on
    market.land(some_trades(generator, 20, 30_000, first_id=5_001))
    market.check()  # late trades in bars that have been written
    due = resample_due(market.opened, market.timeframes[1])
    resample_chunk(market.opened, market.timeframes[1], due.keys.head(2))
    market.check()  # in the middle of a run
    market.land(some_trades(generator, 50, market.clock.time_us // 1_000 - T0_MS, first_id=6_001))
    resample(market.opened, market.timeframes)
    market.check()
    market.configure(["1s", "15s", "1m", "5m"])
    market.check()  # a timeframe that nobody has resampled yet
    resample(market.opened, market.timeframes)
    market.store.prune()
    market.check()
    market.configure(["1s", "1m"])
    market.land(some_trades(generator, 10, 0, first_id=8_001))
    resample(market.opened, market.timeframes)
    market.store.prune()
    market.configure(["1s", "15s", "1m", "5m"])
    market.check()  # back again, with marks pruned while it was away
    market.land([], ended=True)
    market.check()
    resample(market.opened, market.timeframes)
    market.check()


def test_gaps_open_and_close_bars_whenever_they_come(market):
    generator = random.Random(7)
    trades = [("A", *rest) for _, *rest in some_trades(generator, 400, 0, first_id=1)]
    lost = range(101, 140)
    market.land([trade for trade in trades if trade[1] not in lost])
    resample(market.opened, market.timeframes)
    gap_id = market.gap("A", 101, 139)
    market.check()  # found after the bars had been written as complete
    resample(market.opened, market.timeframes)
    market.check()
    market.land([trade for trade in trades if trade[1] in lost])
    market.close_gap(gap_id)
    market.check()
    resample(market.opened, market.timeframes)
    market.check()


def kline(second, *, trades, close, closed=True, timeframe="1m", symbol="A"):
    amounts = dict.fromkeys(("open", "high", "low", "volume", "quote_volume", "taker_buy_volume"), "7.0")
    ts = EPOCH + timedelta(milliseconds=T0_MS, seconds=second)
    return {
        "symbol": symbol,
        "timeframe": timeframe,
        "ts": ts,
        **amounts,
        "close": close,
        "trades": trades,
        "closed": closed,
        "fetched_at": ts,
    }


@pytest.mark.parametrize("resampled", [False, True])
def test_the_better_of_kline_and_trades_is_shown(market, resampled):
    trades = [("A", number, 1_000 * number, "100.0", "1.0", False) for number in range(1, 200)]  # three minutes and a bit
    market.land(trades)
    if resampled:
        resample(market.opened, market.timeframes)
    counts = {row[1]: row[8] for row in market.expected(Timeframe.parse("1m"))}
    by_minute = [counts[EPOCH + timedelta(milliseconds=T0_MS, minutes=minute)] for minute in range(4)]
    save_klines(
        market.opened,
        pl.DataFrame(
            [
                kline(-60, trades=5, close="1.0"),  # before our trades
                kline(0, trades=by_minute[0], close="2.0"),  # just as many as ours
                kline(60, trades=by_minute[1] + 1, close="3.0"),  # one more than ours
                kline(120, trades=by_minute[2] - 1, close="4.0"),
                kline(180, trades=10**6, close="5.0", closed=False),  # still moving at the exchange
                kline(240, trades=0, close="6.0"),  # nothing traded: no bar
                kline(300, trades=1, close="7.0", symbol="C"),
                kline(0, trades=10**6, close="8.0", timeframe="15m"),
            ]
        ),
    )
    found = load_bars(market.opened, "A", Timeframe.parse("1m"), start=START, end=END)
    shown = [(row["ts"].minute, float(row["close"]), row["source"], row["complete"]) for row in found.iter_rows(named=True)]
    assert shown == [
        (59, 1.0, "kline", True),
        (0, 100.0, "tick", True),
        (1, 3.0, "kline", True),
        (2, 100.0, "tick", True),
        (3, 100.0, "tick", False),
    ]
    assert load_last_bars(market.opened, "A", Timeframe.parse("1m"), 2)["ts"].dt.minute().to_list() == [2, 3]
    assert load_last_bars(market.opened, "C", Timeframe.parse("1m"), 5).height == 1
    assert load_last_bars(market.opened, "NOBODY", Timeframe.parse("1m"), 5).is_empty()


def test_only_complete_bars_when_asked(market):
    market.land([("A", number, 1_000 * number, "100.0", "1.0", False) for number in range(1, 130)])
    found = load_bars(market.opened, "A", Timeframe.parse("1m"), start=START, end=END, complete_only=True)
    assert found.height == 2
    assert found["complete"].all()
