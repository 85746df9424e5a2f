"""The main job on real input: a recording in, exact tables out."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.errors import ProvenanceError
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.warehouse.ingest import ingest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "symbol, timeframe, ts, open, high, low, close, volume, quote_volume, trades, taker_buy_volume, vwap, first_id, last_id,"
    " complete, revision, source"
)


def nothing(_what, _lines):
    pass


def test_every_trade_and_quote_of_the_capture_is_there_once(ingested, tables):
    added = ingested.report.added
    assert (added.ticks, added.quotes, added.gaps) == (21_313 + 14_076, 66_089 + 53_992, 0)
    counts = "SELECT symbol, count(*) AS n, count(DISTINCT {}) AS different FROM {} GROUP BY symbol ORDER BY symbol"
    assert tables.select(counts.format("trade_id", "ticks")).rows() == [("BTCUSDT", 21_313, 21_313), ("ETHUSDT", 14_076, 14_076)]
    assert tables.select(counts.format("update_id", "quotes")).rows() == [("BTCUSDT", 66_089, 66_089), ("ETHUSDT", 53_992, 53_992)]
    assert tables.select("SELECT count(*) FROM gaps").item() == 0
    assert tables.select("SELECT symbol, count(*) AS n FROM coverage GROUP BY symbol ORDER BY symbol").rows() == [
        ("BTCUSDT", 1),
        ("ETHUSDT", 1),
    ]
    assert ingested.report.damage.told() == ""


def test_ticks_equal_a_plain_reading_of_the_files(tables, raw_trades):
    columns = "symbol, trade_id, epoch_ms(event_time), price, qty, buyer_is_maker"
    rows = tables.select(f"SELECT {columns} FROM ticks WHERE first_id = trade_id AND last_id = trade_id").rows()
    assert sorted(rows) == sorted((t.symbol, t.trade_id, t.time_ms, t.price, t.qty, t.buyer_is_maker) for t in raw_trades)


@pytest.mark.parametrize(("timeframe", "seconds"), [("1s", 1), ("1m", 60), ("5m", 300)])
def test_bars_equal_an_independent_computation(tables, raw_trades, timeframe, seconds):
    groups = defaultdict(list)
    for trade in raw_trades:
        groups[trade.symbol, trade.time_ms // 1_000 // seconds * seconds].append(trade)
    expected = []
    for (symbol, second), trades in sorted(groups.items()):
        trades.sort(key=lambda trade: trade.trade_id)
        prices = [trade.price for trade in trades]
        volume = sum(trade.qty for trade in trades)
        quote_volume = sum(trade.price * trade.qty for trade in trades)
        taker = sum((trade.qty for trade in trades if not trade.buyer_is_maker), Decimal(0))
        ts = EPOCH + timedelta(seconds=second)
        ends = (trades[0].trade_id, trades[-1].trade_id)
        vwap = float(quote_volume) / float(volume)
        candle = (prices[0], max(prices), min(prices), prices[-1], volume, quote_volume, len(trades), taker, vwap)
        expected.append((symbol, timeframe, ts, *candle, *ends, True, 0, "tick"))
    found = tables.select(f"SELECT {COLUMNS} FROM bars WHERE timeframe = '{timeframe}' ORDER BY symbol, ts").rows()
    assert found == expected


# Made with zcat, grep, sort by trade id and awk in whole units (price * 100, quantity * 1000), hence exact.
ONE_MINUTE = [
    (
        "BTCUSDT",
        "23:54",
        "61800.30",
        "61839.80",
        "61800.00",
        "61807.80",
        "125.967",
        "7786316.85560",
        1751,
        "50.874",
        5266583935,
        5266585685,
    ),
    (
        "BTCUSDT",
        "23:55",
        "61807.70",
        "61839.90",
        "61760.30",
        "61760.30",
        "136.450",
        "8432904.62160",
        2005,
        "57.185",
        5266585686,
        5266587690,
    ),
    (
        "BTCUSDT",
        "23:56",
        "61760.40",
        "61760.40",
        "61700.00",
        "61701.20",
        "203.143",
        "12539687.84930",
        1992,
        "106.193",
        5266587691,
        5266589682,
    ),
    (
        "BTCUSDT",
        "23:57",
        "61701.30",
        "61719.00",
        "61620.00",
        "61628.10",
        "607.148",
        "37439808.10180",
        4717,
        "259.421",
        5266589683,
        5266594399,
    ),
    (
        "BTCUSDT",
        "23:58",
        "61628.20",
        "61730.40",
        "61590.30",
        "61694.40",
        "890.437",
        "54889635.07080",
        7387,
        "547.167",
        5266594400,
        5266601786,
    ),
    (
        "BTCUSDT",
        "23:59",
        "61694.50",
        "61730.60",
        "61645.00",
        "61659.80",
        "466.221",
        "28757328.39070",
        3461,
        "230.736",
        5266601787,
        5266605247,
    ),
    ("ETHUSDT", "23:54", "2681.62", "2683.44", "2681.17", "2681.79", "710.971", "1906773.21589", 1421, "393.041", 4308068523, 4308069943),
    ("ETHUSDT", "23:55", "2681.78", "2683.33", "2680.66", "2681.35", "1172.012", "3143193.38343", 2029, "751.071", 4308069944, 4308071972),
    ("ETHUSDT", "23:56", "2681.36", "2682.03", "2680.00", "2681.04", "1611.512", "4320388.88137", 2150, "910.972", 4308071973, 4308074122),
    ("ETHUSDT", "23:57", "2681.05", "2681.15", "2677.90", "2677.93", "1378.284", "3693280.60793", 2384, "376.417", 4308074123, 4308076506),
    ("ETHUSDT", "23:58", "2677.92", "2683.14", "2677.92", "2683.14", "1924.640", "5157759.45827", 2922, "1017.663", 4308076507, 4308079428),
    ("ETHUSDT", "23:59", "2683.13", "2684.82", "2681.59", "2681.59", "2358.963", "6330490.73976", 3145, "1511.400", 4308079429, 4308082573),
    ("ETHUSDT", "00:00", "2681.59", "2681.59", "2681.38", "2681.38", "8.566", "22970.22755", 25, "0.000", 4308082574, 4308082598),
]


def test_one_minute_bars_are_these(tables):
    found = tables.select(
        """SELECT symbol, strftime(ts, '%H:%M') AS at, open, high, low, close, volume, quote_volume, trades,
                  taker_buy_volume, first_id, last_id
           FROM bars WHERE timeframe = '1m' AND complete ORDER BY symbol, ts"""
    )
    amounts = (2, 3, 4, 5, 6, 7, 9)
    expected = [tuple(Decimal(value) if at in amounts else value for at, value in enumerate(row)) for row in ONE_MINUTE]
    assert found.rows() == expected


def test_ingesting_again_adds_nothing(ingested, usdm, tmp_path):
    profile = open_profile(tmp_path, "again", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    first = ingest(profile, Settings(), usdm[1:], nothing)
    assert (first.added.ticks, first.added.quotes) == (14_076, 53_992)
    with open_local(profile) as opened:
        before = opened.select(f"SELECT {COLUMNS} FROM bars ORDER BY ALL")
    second = ingest(profile, Settings(), usdm[1:], nothing)
    assert second.lines == first.lines
    assert (second.added.ticks, second.added.quotes, second.added.gaps, second.added.bars) == (0, 0, 0, 0)
    with open_local(profile) as opened:
        assert opened.select(f"SELECT {COLUMNS} FROM bars ORDER BY ALL").equals(before)


def test_files_one_after_the_other_give_the_same_tables_as_together(tables, usdm, tmp_path):
    profile = open_profile(tmp_path, "separate", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    for path in reversed(usdm):
        ingest(profile, Settings(), [path], nothing)
    with open_local(profile) as opened:
        for table in ("ticks", "quotes", "coverage", "gaps"):
            query = f"SELECT * FROM {table} ORDER BY ALL"
            assert opened.select(query).equals(tables.select(query)), table
        query = f"SELECT {COLUMNS.replace('revision,', '')} FROM bars ORDER BY ALL"
        assert opened.select(query).equals(tables.select(query))


def test_a_live_profile_refuses_recordings(usdm, tmp_path):
    profile = open_profile(tmp_path, "live", Kind.LIVE, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    with pytest.raises(ProvenanceError, match="recorded profile"):
        ingest(profile, Settings(), usdm, nothing)
    assert not profile.database.exists()
