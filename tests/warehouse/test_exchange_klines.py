"""Bars made from aggregate trades, held against the exchange's own candlesticks of the same trades."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal

import pytest

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.warehouse.ingest import ingest


def nothing(_what, _lines):
    pass


@pytest.fixture(scope="module")
def messages(market_data):
    with gzip.open(market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz", "rt") as file:
        lines = [line for line in file if ": {" in line[:60]]
    return [json.loads(line.split(": ", 1)[1])["data"] for line in lines]


@pytest.fixture(scope="module")
def comparable(messages):
    """Kline updates of which both ends of the id range fall on the boundaries of captured aggregate trades."""
    trades = [data for data in messages if data["e"] == "aggTrade"]
    starts = {(data["s"], data["f"]) for data in trades}
    ends = {(data["s"], data["l"]) for data in trades}
    klines = [data["k"] for data in messages if data["e"] == "kline"]
    return [k for k in klines if (k["s"], k["f"]) in starts and (k["s"], k["L"]) in ends]


def test_fifteen_updates_can_be_compared(comparable):
    assert Counter(k["s"] for k in comparable) == {"CTKUSDT": 9, "SUSHIUSDT": 5, "KEEPUSDT": 1}


def test_bars_equal_the_klines(messages, comparable, market_data, tmp_path):
    for number, kline in enumerate(comparable):
        # A profile that holds just the trades that the kline had seen: its bar must be the kline, landed, resampled and viewed.
        inside = [d for d in messages if d["e"] == "aggTrade" and d["s"] == kline["s"] and kline["f"] <= d["f"] and d["l"] <= kline["L"]]
        recording = tmp_path / f"{number}.jsonl"
        recording.write_text("".join(f"{d['E']}000000 {json.dumps({'stream': 'x', 'data': d})}\n" for d in inside))
        profile = open_profile(tmp_path, f"k{number}", Kind.RECORDED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        ingest(profile, Settings(symbols=(kline["s"],), pairs=(), timeframes=("1m",)), [recording], nothing)
        with open_local(profile) as opened:
            for source in ("bars", "bars_resampled"):
                found = opened.select(
                    f"""SELECT epoch_ms(ts), open, high, low, close, volume, quote_volume, trades, taker_buy_volume, first_id, last_id
                        FROM {source} WHERE timeframe = '1m'"""
                ).rows()
                amounts = [Decimal(kline[name]) for name in "ohlcvq"]
                assert found == [(kline["t"], *amounts, kline["n"], Decimal(kline["V"]), kline["f"], kline["L"])], source
    assert len(comparable) == 15


def test_the_whole_recording_lands(market_data, tmp_path):
    profile = open_profile(tmp_path, "feed", Kind.RECORDED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    path = market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz"
    report = ingest(profile, Settings(), [path], nothing)
    assert (report.added.ticks, report.added.quotes, report.added.gaps) == (91, 613, 0)
    with open_local(profile) as opened:
        counts = dict(opened.select("SELECT name, count FROM landing_counts WHERE source = 'ingest'").rows())
    assert counts["unused:depthUpdate"] == 764
    assert counts.get("malformed", 0) == 0
