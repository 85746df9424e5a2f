from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import UsageError
from pipeline.jobs.backfill import PAGE, backfill_klines, default_start, venue_timeframes
from pipeline.jobs.venue_rest import VenueRest
from pipeline.model.timeframe import Timeframe
from pipeline.store.klines import kline_spans

MINUTE, FIVE = Timeframe.parse("1m"), Timeframe.parse("5m")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
HELD = "SELECT * EXCLUDE (fetched_at) FROM klines ORDER BY symbol, timeframe, ts"


@pytest.fixture
def rest(venue_url):
    with VenueRest(venue_url) as opened:
        yield opened


def two_hours(_timeframe, end):
    return end - timedelta(hours=2)


def test_candlesticks_are_fetched_once_and_never_the_open_one(warehouse, rest):
    seen = []
    done = backfill_klines(warehouse, rest, SYMBOLS, (MINUTE, FIVE), start=two_hours, progress=lambda *at: seen.append(at))
    assert {(row.symbol, row.timeframe): row.written for row in done} == {
        (symbol, name): count for symbol in SYMBOLS for name, count in (("1m", 119), ("5m", 23))
    }
    before = warehouse.select(HELD)
    days = before.select("symbol", "timeframe", before["ts"].dt.date()).unique().height  # more than four around midnight
    assert seen[-1] == (days, days, 2 * (119 + 23))
    assert before["closed"].all()
    now = datetime.now(UTC)
    newest = dict(kline_spans(warehouse).filter(symbol="BTCUSDT").select("timeframe", "last_ts").rows())
    assert newest["1m"] + timedelta(minutes=1) <= now < newest["1m"] + timedelta(minutes=2, seconds=20)

    again = backfill_klines(warehouse, rest, SYMBOLS, (MINUTE,), start=two_hours)
    assert all(row.missing == row.written <= 1 for row in again)  # a minute may have ended meanwhile


def test_only_holes_are_fetched_unless_everything_is_asked_for(warehouse, rest):
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    backfill_klines(warehouse, rest, SYMBOLS, (MINUTE,), start=two_hours, end=end)
    before = warehouse.select(HELD)
    assert before.height == 240
    hole = [end - timedelta(hours=1), end - timedelta(minutes=50)]
    warehouse.connection.execute("DELETE FROM klines WHERE symbol = 'BTCUSDT' AND ts >= ? AND ts < ?", hole)
    done = backfill_klines(warehouse, rest, SYMBOLS, (MINUTE,), start=two_hours, end=end)
    assert [(row.symbol, row.missing, row.written) for row in done] == [("BTCUSDT", 10, 10), ("ETHUSDT", 0, 0)]
    assert warehouse.select(HELD).equals(before)
    done = backfill_klines(warehouse, rest, SYMBOLS, (MINUTE,), start=two_hours, end=end, refetch=True)
    assert [row.written for row in done] == [120, 120]
    assert warehouse.select(HELD).equals(before)


def test_a_day_comes_in_pages_and_is_written_at_once(warehouse, rest):
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    (done,) = backfill_klines(warehouse, rest, ("BTCUSDT",), (MINUTE,), start=lambda _, until: until - timedelta(minutes=PAGE + 7), end=end)
    assert (done.written, done.days) == (PAGE + 7, 0)
    assert warehouse.select("SELECT count(DISTINCT ts) AS n FROM klines").item() == PAGE + 7
    (done,) = backfill_klines(warehouse, rest, ("BTCUSDT",), (MINUTE,), start=lambda _, until: until - timedelta(days=1), end=end)
    assert (done.written, done.missing, done.days) == (1_440 - PAGE - 7, 1_440 - PAGE - 7, 1)


def test_bars_show_candlesticks_where_there_are_no_trades_of_our_own(warehouse, rest):
    backfill_klines(warehouse, rest, ("BTCUSDT",), (MINUTE,), start=two_hours)
    shown = warehouse.select("SELECT source, count(*) AS n FROM bars WHERE timeframe = '1m' AND symbol = 'BTCUSDT' GROUP BY ALL")
    traded = warehouse.select("SELECT count(*) AS n FROM klines WHERE trades > 0").item()
    assert dict(shown.rows()) == {"tick": 120, "kline": traded}


def test_what_the_venue_cannot_give_is_refused_in_one_line(warehouse, rest):
    with pytest.raises(UsageError, match="no candlesticks of 15s"):
        backfill_klines(warehouse, rest, SYMBOLS, (Timeframe.parse("15s"),), start=two_hours)
    with pytest.raises(UsageError, match="is empty; give a start in the past"):
        backfill_klines(warehouse, rest, SYMBOLS, (MINUTE,), start=lambda _, end: end + timedelta(hours=1))
    assert venue_timeframes((Timeframe.parse("1s"), Timeframe.parse("15s"), MINUTE)) == (MINUTE,)


def test_a_first_start_looks_back_far_enough_for_a_model():
    end = datetime(2026, 3, 2, tzinfo=UTC)
    assert end - default_start(MINUTE, end, hours=24, lookback=500) == timedelta(hours=24)
    assert end - default_start(FIVE, end, hours=24, lookback=500) == timedelta(minutes=5 * 520)
    assert end - default_start(Timeframe.parse("1d"), end, hours=24, lookback=90_000) == timedelta(days=3 * PAGE)
