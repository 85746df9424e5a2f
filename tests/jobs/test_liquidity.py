from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.resample import resample
from pipeline.model.timeframe import Timeframe
from pipeline.store.liquidity import newest_liquidity, quoted_spreads

MINUTE = Timeframe.parse("1m")
SYMBOLS = ("ETHUSDT", "BTCUSDT")


def test_each_symbol_has_one_row_for_its_newest_bar_however_often_it_runs(warehouse):
    resample(warehouse, (MINUTE,))
    first = measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=20)
    measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=20)
    rows = {row["symbol"]: row for row in newest_liquidity(warehouse, MINUTE).iter_rows(named=True)}
    assert len(first) == len(rows) == warehouse.select("SELECT count(*) AS n FROM liquidity").item() == 2
    btc, eth = rows["BTCUSDT"], rows["ETHUSDT"]
    assert btc["ts"] == datetime(2026, 3, 2, 11, 58, tzinfo=UTC)
    assert (btc["window_bars"], btc["trades"]) == (20, 1200)
    assert btc["quoted_spread"] == pytest.approx(1.0)
    assert btc["quoted_spread_bps"] == pytest.approx(1e4 / 60_000, rel=0.05)
    assert btc["amihud"] > 0
    assert eth["quoted_spread"] is None
    assert "quoted spread: no quotes in this bar" in eth["notes"]
    bought = warehouse.select(
        """SELECT CAST(sum(qty) FILTER (NOT buyer_is_maker) - sum(qty) FILTER (buyer_is_maker) AS DOUBLE) / CAST(sum(qty) AS DOUBLE) AS i
           FROM ticks WHERE symbol = 'BTCUSDT' AND event_time >= '2026-03-02 11:39:00+00' AND event_time < '2026-03-02 11:59:00+00'"""
    ).item()
    assert btc["taker_imbalance"] == pytest.approx(bought)


def test_a_window_that_is_not_full_gives_null_and_the_reason(warehouse):
    (eth, btc) = measure_liquidity(warehouse, SYMBOLS, (MINUTE,), window=500)[::-1]
    assert eth.amihud is None
    assert btc.volume > 0
    assert "amihud: 119 complete bars, 501 are needed" in btc.notes


def test_a_quote_weighs_as_long_as_it_stands(warehouse):
    connection = warehouse.connection
    connection.execute("DELETE FROM quotes_recent")
    for second, width in ((-5, 4), (15, 1)):
        connection.execute(
            """INSERT INTO quotes_recent SELECT 'BTCUSDT', ?, 100, 1, 100 + ?, 1, t, t
               FROM (SELECT TIMESTAMPTZ '2026-03-02 10:10:00+00' + to_seconds(?) AS t)""",
            [second + 10, width, second],
        )
    start, end = datetime(2026, 3, 2, 10, 10, tzinfo=UTC), datetime(2026, 3, 2, 10, 11, tzinfo=UTC)
    found = quoted_spreads(warehouse, ["BTCUSDT"], start=start, end=end)
    assert found["quoted_spread"].item() == pytest.approx((15 * 4 + 45 * 1) / 60)
