"""What is due, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipeline.errors import UsageError
from pipeline.jobs.backfill import Order, Source, What, legs_first
from pipeline.jobs.backfill.klines import plan_klines
from pipeline.jobs.backfill.order import PAGE, to_ms
from pipeline.jobs.backfill.trades import plan_trades
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.store.klines import save_klines
from pipeline.store.partitions import Made, put_partitions

MINUTE, FIVE, HOUR = (Timeframe.parse(name) for name in ("1m", "5m", "1h"))
NOW = datetime(2026, 3, 12, 10, 30, 20, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 12, tzinfo=UTC)


def save(warehouse, symbol, start, end, *, timeframe=MINUTE):
    count = (end - start) // timedelta(seconds=timeframe.seconds)
    amounts = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"), ["1.5"] * count)
    start = start.replace(second=0)
    times = [start + timedelta(seconds=number * timeframe.seconds) for number in range(count)]
    frame = {"symbol": [symbol] * count, "timeframe": [timeframe.name] * count, "ts": times, **amounts, "trades": [1] * count}
    save_klines(warehouse, pl.DataFrame({**frame, "closed": [True] * count, "fetched_at": [NOW] * count}))


def order(*symbols, start=None, end=NOW, frames=(MINUTE,), **options):
    return Order(symbols, frames, end, start=start, **options)


def planned(warehouse, wanted):
    plan = plan_klines(warehouse, wanted, to_ms(NOW))
    return plan, [(part.newest.day, part.timeframe.name, part.symbol, part.last - part.first + 1) for part in plan.parts]


def test_newest_day_first_then_short_timeframes_then_the_order_of_symbols(warehouse):
    plan, parts = planned(warehouse, order("BBB", "AAA", start=MIDNIGHT - timedelta(days=1), frames=(MINUTE, FIVE)))
    assert parts == [
        (12, "1m", "BBB", 630),
        (12, "1m", "AAA", 630),
        (12, "5m", "BBB", 414),  # two days fit into one request
        (12, "5m", "AAA", 414),
        (11, "1m", "BBB", 1_440),
        (11, "1m", "AAA", 1_440),
    ]
    assert plan.steps == 8
    assert {key: told.missing for key, told in plan.told.items()} == {
        (symbol, name): count for symbol in ("AAA", "BBB") for name, count in (("1m", 630 + 1_440), ("5m", 414))
    }


def test_only_what_is_missing_is_due_unless_refetched(warehouse):
    save(warehouse, "AAA", MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(hours=1))
    asked = order("AAA", start=MIDNIGHT - timedelta(days=2))
    _, parts = planned(warehouse, asked)
    assert parts == [(12, "1m", "AAA", 570), (10, "1m", "AAA", 1_440)]
    _, parts = planned(warehouse, order("AAA", start=MIDNIGHT - timedelta(days=2), refetch=True))
    assert [count for *_, count in parts] == [630, 1_440, 1_440]


def test_the_open_candlestick_and_the_future_are_not_due(warehouse):
    _, parts = planned(warehouse, order("AAA", start=NOW - timedelta(hours=3), end=NOW + timedelta(days=1), frames=(HOUR,)))
    assert parts == [(12, "1h", "AAA", 2)]


def test_after_a_long_downtime_the_hole_is_due_and_its_newest_part_first(warehouse):
    save(warehouse, "AAA", NOW - timedelta(days=6), NOW - timedelta(days=5))
    _, parts = planned(warehouse, order("AAA", "BBB"))
    days = {symbol: [day for day, _, of, _ in parts if of == symbol] for symbol in ("AAA", "BBB")}
    assert days == {"AAA": [12, 11, 10, 9, 8, 7], "BBB": [12, 11]}
    # What a killed run has left in the middle is still due the next time.
    save(warehouse, "AAA", NOW - timedelta(days=2), NOW)
    _, parts = planned(warehouse, order("AAA"))
    assert sum(count for *_, count in parts) == 3 * 1_440
    # But nothing is looked for further back than a month.
    save(warehouse, "CCC", NOW - timedelta(days=90), NOW - timedelta(days=89))
    _, parts = planned(warehouse, order("CCC"))
    assert sum(count for *_, count in parts) == 1_439


def test_long_timeframes_share_requests(warehouse):
    _, parts = planned(warehouse, order("AAA", start=MIDNIGHT - timedelta(days=30), frames=(HOUR,)))
    assert sum(count for *_, count in parts) == 30 * 24 + 10
    assert len(parts) == 2
    assert max(count for *_, count in parts) <= PAGE


def test_days_of_trades_newest_first_without_those_that_are_whole(warehouse):
    put_partitions(
        warehouse, [Made("trades", "AAA/2026-03-11", True, 5, "x", symbol="AAA", day=MIDNIGHT.date() - timedelta(days=1))], run="x"
    )
    put_partitions(
        warehouse, [Made("trades", "BBB/2026-03-11", False, 5, "x", symbol="BBB", day=MIDNIGHT.date() - timedelta(days=1))], run="x"
    )
    asked = order("AAA", "BBB", start=MIDNIGHT - timedelta(days=1, hours=6), what=(What.TRADES,))
    plan = plan_trades(warehouse, asked, NOW)
    assert [(due.symbol, due.day.day, due.whole) for due in plan.days] == [
        ("AAA", 12, False),
        ("BBB", 12, False),
        ("BBB", 11, True),
        ("AAA", 10, False),
        ("BBB", 10, False),
    ]
    assert plan.days[-1].end_ms - plan.days[-1].start_ms == 6 * 3_600_000
    assert len(plan_trades(warehouse, order("AAA", start=MIDNIGHT - timedelta(days=1), refetch=True, what=(What.TRADES,)), NOW).days) == 2
    exact = order("AAA", start=MIDNIGHT - timedelta(days=2), end=MIDNIGHT - timedelta(days=1))
    assert [due.day.day for due in plan_trades(warehouse, exact, NOW).days] == [10]


def test_legs_of_pairs_come_before_other_symbols():
    universe = Universe(("AAA", "BBB", "CCC", "DDD"), (PairSpec(Pair("DDD", "BBB"), lookback=100),), 1)
    assert legs_first(universe.symbols, universe) == ("DDD", "BBB", "AAA", "CCC")
    assert legs_first(("AAA", "BBB"), universe) == ("BBB", "AAA")


def test_orders_that_cannot_be_met():
    with pytest.raises(UsageError, match="no candlesticks of 15s"):
        order("AAA", frames=(Timeframe.parse("15s"),))
    with pytest.raises(UsageError, match="is empty; give a start in the past"):
        order("AAA", start=NOW)
    week = order("AAA", hours=7 * 24, what=(What.TRADES,))
    assert NOW - week.trades_from() == timedelta(hours=47)
    assert NOW - order("AAA", hours=7 * 24, source=Source.ARCHIVE).trades_from() == timedelta(days=7)
