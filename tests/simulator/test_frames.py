"""Our frames against recorded ones: names, order, types and the way that numbers are written."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from pipeline.simulator import frames
from pipeline.simulator.candles import from_trades
from pipeline.simulator.exchange_info import exchange_info
from pipeline.simulator.frames import decimal_text
from pipeline.simulator.quotes import quotes
from pipeline.simulator.universe import BY_SYMBOL, SPECS

HOUR = 498_711
ADDED_SINCE = {"nq", "st", "ps"}
BTC = BY_SYMBOL["BTCUSDT"].instrument
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


@pytest.fixture(scope="module")
def recorded(market_data):
    """One recorded frame by event type, as text; the two captures give the order of keys of their own day."""
    found: dict[str, str] = {}
    for path in ("ws_usdm_20240808/btcusdt_20240808.gz", "ws_cryptofeed/BINANCE_FUTURES.ws.1.0.gz"):
        with gzip.open(market_data / path, "rt") as lines:
            for _, line in zip(range(3_000), lines, strict=False):
                raw = line.partition(" ")[2].rstrip()
                if raw.startswith('{"stream"'):
                    found.setdefault(json.loads(raw)["data"]["e"], raw)
    return found


def shape(value: object) -> object:
    """Names in order, and for each value what it is: the kind of number text, or the type."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if name not in ADDED_SINCE}
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        return "decimal text"
    return type(value).__name__


def ordered(text: str) -> list[str]:
    return [name for name in re.findall(r'"([A-Za-z]+)":', text) if name not in ADDED_SINCE]


@pytest.fixture(scope="module")
def ours(tape):
    trades = tape.trades("BTCUSDT", HOUR).part(0, 50)
    candle = next(frames.rows_of(from_trades(trades, 60_000)))
    book = quotes(tape, "BTCUSDT", HOUR)
    return {
        "aggTrade": frames.wrapped("btcusdt@aggTrade", frames.agg_trade_frames(BTC, trades)[0]),
        "trade": frames.wrapped("btcusdt@trade", frames.raw_trade_frames(BTC, trades)[0][0]),
        "bookTicker": frames.wrapped("btcusdt@bookTicker", frames.quote_frames(BTC, book)[0]),
        "kline": frames.wrapped("btcusdt@kline_1m", frames.kline_frame(BTC, "1m", 60_000, candle, 1_795_360_123_456, closed=False)),
    }


@pytest.mark.parametrize("event", ["aggTrade", "trade", "bookTicker", "kline"])
def test_frames_look_recorded(recorded, ours, event):
    assert shape(json.loads(ours[event])) == shape(json.loads(recorded[event]))
    assert ordered(ours[event]) == ordered(recorded[event])
    assert json.dumps(json.loads(ours[event]), separators=(",", ":")) == ours[event]


@pytest.mark.parametrize(("event", "file"), [("aggTrade", "agg_trade_stream"), ("bookTicker", "book_ticker_stream")])
def test_frames_have_the_newer_fields(market_data, ours, event, file):
    newer = json.loads((market_data / f"ws_messages/nautilus_futures/{file}.json").read_text())
    mine = json.loads(ours[event])["data"]
    assert set(newer) <= set(mine)
    assert set(mine) - set(newer) <= ADDED_SINCE
    assert mine["st"] == newer["st"] == 1
    assert all(type(mine[name]) is type(value) for name, value in newer.items())


def test_prices_are_written_as_the_venue_writes_them(recorded, ours):
    for event, names in (("trade", "pq"), ("bookTicker", "bBaA")):
        theirs, mine = json.loads(recorded[event])["data"], json.loads(ours[event])["data"]
        for name in names:
            # BTCUSDT on the venue and here: two decimals in prices though the tick is 0.10, three in quantities
            decimals = len(mine[name].partition(".")[2])
            assert decimals == (2 if name in "pba" else 3)
            if theirs["s"] == "BTCUSDT":
                assert len(theirs[name].partition(".")[2]) == decimals


def test_kline_amounts_have_the_decimals_of_price_and_quantity_together(recorded, ours):
    for text in (recorded["kline"], ours["kline"]):
        kline = json.loads(text)["data"]["k"]
        price, qty, quote = (len(kline[name].partition(".")[2]) for name in "ovq")
        assert quote == price + qty
        assert kline["B"] == "0"
        assert kline["T"] - kline["t"] == 59_999


def test_raw_trades_add_up_to_their_aggregate(tape):
    trades = tape.trades("ETHUSDT", HOUR).part(0, 300)
    instrument = BY_SYMBOL["ETHUSDT"].instrument
    for aggregate, fills in zip(frames.agg_trade_frames(instrument, trades), frames.raw_trade_frames(instrument, trades), strict=True):
        whole, parts = json.loads(aggregate), [json.loads(fill) for fill in fills]
        assert [part["t"] for part in parts] == list(range(whole["f"], whole["l"] + 1))
        assert sum(int(part["q"].replace(".", "")) for part in parts) == int(whole["q"].replace(".", ""))
        assert all(float(part["q"]) > 0 for part in parts)
        assert {(part["p"], part["T"], part["m"], part["X"]) for part in parts} == {(whole["p"], whole["T"], whole["m"], "MARKET")}


def test_exchange_info_is_shaped_as_recorded(market_data):
    with gzip.open(market_data / "ws_cryptofeed/BINANCE_FUTURES.0.gz", "rt") as lines:
        theirs = json.loads(lines.readline().partition(": ")[2])
    mine = json.loads(exchange_info([spec.instrument for spec in SPECS], 1_795_360_123_456))
    assert list(mine) == list(theirs)
    assert list(mine["symbols"][0]) == list(theirs["symbols"][0])
    for name, value in theirs["symbols"][0].items():
        assert type(mine["symbols"][0][name]) is type(value), name
    assert [list(one) for one in mine["symbols"][0]["filters"]] == [list(one) for one in theirs["symbols"][0]["filters"]]
    btc = mine["symbols"][0]
    assert (btc["symbol"], btc["baseAsset"], btc["pricePrecision"]) == ("BTCUSDT", "BTC", 2)
    assert btc["filters"][0]["tickSize"] == "0.10"
    assert btc["filters"][1]["stepSize"] == "0.001"


@pytest.mark.parametrize(
    ("units", "decimals", "text"), [(6_180_020, 2, "61800.20"), (5, 3, "0.005"), (0, 0, "0"), (42, 0, "42"), (1_405_0000, 7, "1.4050000")]
)
def test_decimal_text(units, decimals, text):
    assert decimal_text(units, decimals) == text
