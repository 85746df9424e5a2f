from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.resample import resample
from pipeline.model.timeframe import Timeframe
from pipeline.store.liquidity import newest_liquidity, quoted_spreads
from pipeline.store.partitions import load_partitions

MINUTE = Timeframe.parse("1m")
SYMBOLS = ("ETHUSDT", "BTCUSDT")


def table(warehouse):
    return warehouse.select("SELECT * FROM liquidity ORDER BY timeframe, symbol, ts")


def test_each_symbol_has_a_row_for_each_five_minutes_however_often_it_runs(warehouse):
    resample(warehouse, (MINUTE,))
    first = measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=20)
    before = table(warehouse)
    assert measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=20) == []
    assert table(warehouse).equals(before)
    assert len(first) == before.height == 2 * 23  # 10:04 to 11:54: 11:59 waits for late trades
    rows = {row["symbol"]: row for row in newest_liquidity(warehouse, MINUTE).iter_rows(named=True)}
    btc, eth = rows["BTCUSDT"], rows["ETHUSDT"]
    assert btc["ts"] == datetime(2026, 3, 2, 11, 54, tzinfo=UTC)
    assert (btc["window_bars"], btc["trades"]) == (20, 1200)
    assert btc["quoted_spread"] == pytest.approx(1.0)
    assert btc["quoted_spread_bps"] == pytest.approx(1e4 / 60_000, rel=0.05)
    assert btc["amihud"] > 0
    assert eth["quoted_spread"] is None
    assert "quoted spread: no quotes in this bar" in eth["notes"]
    bought = warehouse.select(
        """SELECT CAST(sum(qty) FILTER (NOT buyer_is_maker) - sum(qty) FILTER (buyer_is_maker) AS DOUBLE) / CAST(sum(qty) AS DOUBLE) AS i
           FROM ticks WHERE symbol = 'BTCUSDT' AND event_time >= '2026-03-02 11:35:00+00' AND event_time < '2026-03-02 11:55:00+00'"""
    ).item()
    assert btc["taker_imbalance"] == pytest.approx(bought)


def test_a_window_that_is_not_full_gives_null_and_the_reason(warehouse):
    (btc, eth) = measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=500)[-2:]
    assert eth.amihud is None
    assert btc.volume > 0
    assert "amihud: 115 complete bars, 501 are needed" in btc.notes


def test_a_quote_weighs_as_long_as_it_stands(warehouse):
    connection = warehouse.connection
    connection.execute("DELETE FROM quotes_recent")
    for second, width in ((-5, 4), (15, 1)):
        connection.execute(
            """INSERT INTO quotes_recent SELECT 'BTCUSDT', ?, 100, 1, 100 + ?, 1, t, t
               FROM (SELECT TIMESTAMPTZ '2026-03-02 10:10:00+00' + to_seconds(?) AS t)""",
            [second + 10, width, second],
        )
    start = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
    found = quoted_spreads(warehouse, ["BTCUSDT"], [start], MINUTE)
    assert found["quoted_spread"].item() == pytest.approx((15 * 4 + 45 * 1) / 60)


ALL = tuple(Timeframe.parse(name) for name in ("1s", "1m", "5m"))


def test_one_run_after_a_pause_leaves_the_rows_of_many(warehouse, profile, tmp_path):
    from pipeline.model.event import TradeKind
    from pipeline.profile import Kind, open_profile
    from pipeline.store import open_local

    often = open_profile(tmp_path / "often", "often", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with open_local(often) as other:
        for name in ("timeframes", "ticks_recent", "quotes_recent", "bars_1s_recent", "dirty_marks", "journal_clock"):
            other.connection.register("given", warehouse.arrow(f"SELECT * FROM {name}"))
            other.connection.execute(f"INSERT INTO {name} FROM given")
        for minute in (7, 31, 32, 90, 120):
            now = datetime(2026, 3, 2, 10, tzinfo=UTC) + timedelta(minutes=minute)
            other.connection.execute("UPDATE journal_clock SET journal_time = ?", [now])
            measure_liquidity(other, SYMBOLS, ALL, window=20)
        measure_liquidity(warehouse, SYMBOLS, ALL, window=20)
        assert table(other).equals(table(warehouse))


def test_a_late_trade_measures_the_windows_it_lies_in_anew_and_no_other(warehouse, more_trades):
    measure_liquidity(warehouse, SYMBOLS, ALL, window=5)
    before, entered = table(warehouse), load_partitions(warehouse, asset="liquidity")
    more_trades("BTCUSDT", [(3_630, "59999.00")], commit=2, first_id=100_000)  # 11:00:30
    measured = measure_liquidity(warehouse, SYMBOLS, ALL, window=5)
    changed = table(warehouse).join(before, on=before.columns, how="anti", nulls_equal=True)
    assert set(changed["symbol"]) == {"BTCUSDT"}
    times = {name: [ts.strftime("%H:%M:%S") for ts in changed.filter(timeframe=name)["ts"]] for name in ("1s", "1m", "5m")}
    assert times["1s"] == []  # no measured second has it in its window
    assert times["1m"] == ["11:04:00"]
    assert times["5m"][0] == "11:00:00"
    assert times["5m"][-1] <= "11:30:00"
    assert {(row.symbol, row.timeframe) for row in measured} == {("BTCUSDT", "1m"), ("BTCUSDT", "5m")}
    assert measure_liquidity(warehouse, SYMBOLS, ALL, window=5) == []
    after = load_partitions(warehouse, asset="liquidity")
    assert after.filter(symbol="ETHUSDT").equals(entered.filter(symbol="ETHUSDT"))
    assert after.filter(symbol="BTCUSDT")["complete"].any() is False


def test_candlesticks_behind_the_newest_measurement_are_followed_up(warehouse):
    from pipeline.store.klines import save_klines

    measure_liquidity(warehouse, SYMBOLS, ALL, window=5)
    klines = warehouse.select(
        """SELECT symbol, timeframe, ts, open, high, low, close, volume * 2 AS volume, quote_volume, trades + 1 AS trades, taker_buy_volume,
                  TRUE AS closed, now() AS fetched_at
           FROM bars WHERE symbol = 'ETHUSDT' AND timeframe = '1m' AND ts = '2026-03-02 10:31:00+00'"""
    )
    save_klines(warehouse, klines)
    measured = measure_liquidity(warehouse, SYMBOLS, ALL, window=5)
    assert [(row.symbol, row.timeframe, row.ts.minute) for row in measured] == [("ETHUSDT", "1m", 34)]
    assert warehouse.select("SELECT count(*) AS n FROM kline_marks").item() == 0


def test_a_run_killed_midway_is_made_good_by_the_next(warehouse, monkeypatch):
    import pipeline.jobs.liquidity as job

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "liquidity_followed", die)
        with pytest.raises(KeyboardInterrupt):
            measure_liquidity(warehouse, SYMBOLS, ALL, window=20)
    killed = table(warehouse)
    measure_liquidity(warehouse, SYMBOLS, ALL, window=20)
    assert table(warehouse).equals(killed)


def test_marks_stay_until_liquidity_has_followed_them_too(warehouse, profile):
    from pipeline.store.landing import LandingStore

    store = LandingStore(warehouse.connection, profile.archive)
    resample(warehouse, ALL)
    store.prune()
    assert warehouse.select("SELECT count(*) AS n FROM dirty_marks").item() > 0
    measure_liquidity(warehouse, SYMBOLS, ALL, window=20)
    store.prune()
    assert warehouse.select("SELECT count(*) AS n FROM dirty_marks").item() == 0
