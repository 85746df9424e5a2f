"""REST: requests as values, answers as events, HTTP statuses as errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.errors import BadRequest, MalformedMessage, RateLimited, RegionBlocked, UsageError, VenueUnavailable
from pipeline.model.event import Kline, Trade, TradeKind
from pipeline.venues import ExchangeInfo, Request, SymbolSpec, binance
from pipeline.venues.rest import classify_status


def test_requests():
    assert binance.agg_trades_from("BTCUSDT", 5) == Request(
        "/fapi/v1/aggTrades",
        (("symbol", "BTCUSDT"), ("fromId", "5"), ("limit", "1000")),
        20,
    )
    window = binance.agg_trades_between("BTCUSDT", 1_000, 3_600_999)
    assert window.params == (("symbol", "BTCUSDT"), ("startTime", "1000"), ("endTime", "3600999"), ("limit", "1000"))
    assert binance.continuous_klines("BTCUSDT", "1s", 0, 9, limit=3).params == (
        ("pair", "BTCUSDT"),
        ("contractType", "PERPETUAL"),
        ("interval", "1s"),
        ("startTime", "0"),
        ("endTime", "9"),
        ("limit", "3"),
    )
    assert [binance.klines("BTCUSDT", "1m", 0, limit=limit).weight for limit in (1, 99, 100, 499, 500, 1000, 1001, 1500)] == [
        1, 1, 2, 2, 5, 5, 10, 10,
    ]  # fmt: skip
    assert [request.path for request in (binance.ping(), binance.server_time(), binance.exchange_info())] == [
        "/fapi/v1/ping",
        "/fapi/v1/time",
        "/fapi/v1/exchangeInfo",
    ]


def test_requests_that_the_venue_would_refuse():
    for make in (
        lambda: binance.agg_trades_from("BTCUSDT", 5, 1_001),
        lambda: binance.agg_trades_from("BTCUSDT", -1),
        lambda: binance.agg_trades_from("btc&limit=1", 5),
        lambda: binance.agg_trades_between("BTCUSDT", 0, 3_600_000),
        lambda: binance.agg_trades_between("BTCUSDT", 5, 4),
        lambda: binance.klines("BTCUSDT", "1m", 0, limit=1_501),
        lambda: binance.subscribe([], 1),
    ):
        with pytest.raises(UsageError):
            make()


def test_streams_and_commands():
    assert binance.trade_stream("BTCUSDT", TradeKind.AGGREGATE) == "btcusdt@aggTrade"
    assert binance.trade_stream("BTCUSDT", TradeKind.RAW) == "btcusdt@trade"
    assert binance.quote_stream("BTCUSDT") == "btcusdt@bookTicker"
    assert binance.kline_stream("BTCUSDT", "1m") == "btcusdt@kline_1m"
    public = ["btcusdt@bookTicker", "!bookTicker", "btcusdt@depth", "btcusdt@depth20@100ms", "btcusdt@depth@0ms", "btcusdt@rpiDepth@500ms"]
    market = ["btcusdt@aggTrade", "btcusdt@trade", "btcusdt@kline_1m", "!ticker@arr", "btcusdt@markPrice@1s", "!forceOrder@arr"]
    assert {binance.route(stream) for stream in public} == {"public"}
    assert {binance.route(stream) for stream in market} == {"market"}
    assert binance.symbol_of("btcusdt@aggTrade") == "BTCUSDT"
    assert binance.symbol_of("!ticker@arr") is None
    assert json.loads(binance.subscribe(["a@b", "c@d"], 3)) == {"method": "SUBSCRIBE", "params": ["a@b", "c@d"], "id": 3}
    assert json.loads(binance.unsubscribe(["a@b"], 4)) == {"method": "UNSUBSCRIBE", "params": ["a@b"], "id": 4}
    assert json.loads(binance.list_subscriptions(5)) == {"method": "LIST_SUBSCRIPTIONS", "id": 5}


def test_the_stream_of_a_raw_message(market_data: Path):
    with gzip.open(market_data / "ws_usdm_20240808" / "btcusdt_20240808.gz") as lines:
        names = {binance.stream_of(next(lines).split(b" ", 1)[1]) for _ in range(2_000)}
    assert names == {"btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth@0ms", None}
    assert binance.stream_of(b'{"e":"aggTrade","E":5,"a":7,"s":"BTCUSDT","p":"1"}') == "btcusdt@aggTrade"
    assert binance.stream_of(b'{"result":null,"id":1}') is None
    assert binance.stream_of(b"") is None


def test_agg_trades():
    body = b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27782,"T":1498793709153,"m":true,"nq":"1"}]'
    trade = Trade("BTCUSDT", 26129, "0.01633102", "4.70443515", 1498793709153, 7, True, 27781, 27782, TradeKind.AGGREGATE)
    assert binance.parse_agg_trades(body, "BTCUSDT", 7) == [trade]
    assert binance.parse_agg_trades(b"[]", "BTCUSDT", 7) == []
    for bad in (b"{}", b"[{}]", body[:-1], body.replace(b"27782", b"3"), body.replace(b"4.7", b"-4.7"), body.replace(b"26129", b"-1")):
        with pytest.raises(MalformedMessage):
            binance.parse_agg_trades(bad, "BTCUSDT", 7)


def test_klines():
    row = b'[1638747660000,"1.0","1.3","0.9","1.1","10",1638747719999,"15000000000.5",4,"5","6.5","0"]'
    (first, second) = binance.parse_klines(b"[" + row + b"," + row.replace(b"719999", b"779999") + b"]", "BTCUSDT", "1m", 1638747720000)
    assert first == Kline(
        symbol="BTCUSDT",
        interval="1m",
        open_time_ms=1638747660000,
        close_time_ms=1638747719999,
        open="1.0",
        high="1.3",
        low="0.9",
        close="1.1",
        volume="10",
        quote_volume="15000000000.5",
        trades=4,
        taker_buy_volume="5",
        taker_buy_quote_volume="6.5",
        first_id=-1,
        last_id=-1,
        closed=True,
    )
    assert not second.closed
    for bad in (b"{}", b"[[1]]", b"[" + row.replace(b'"1.3"', b'"NaN"') + b"]"):
        with pytest.raises(MalformedMessage):
            binance.parse_klines(bad, "BTCUSDT", "1m", 0)


def test_the_real_exchange_info(market_data: Path):
    lines = gzip.decompress((market_data / "ws_cryptofeed" / "BINANCE_FUTURES.0.gz").read_bytes()).splitlines()
    body = next(line for line in lines if b"exchangeInfo" in line).split(b": ", 1)[1]
    info = binance.parse_exchange_info(body)
    plain = json.loads(body)
    assert info.server_time_ms == plain["serverTime"]
    assert [spec.symbol for spec in info.symbols] == [item["symbol"] for item in plain["symbols"]]
    assert info.symbols[0] == SymbolSpec("BTCUSDT", "BTC", "USDT", "TRADING", "PERPETUAL", "0.01", "0.001")
    assert info.skipped == ()


def test_symbols_that_cannot_be_followed_are_only_named():
    sizes = [{"filterType": "PRICE_FILTER", "tickSize": "0.1"}, {"filterType": "LOT_SIZE", "stepSize": "1"}]
    symbols = [
        {"symbol": "AUSDT", "status": "TRADING", "filters": sizes},
        {"symbol": "币安人生USDT", "status": "TRADING", "filters": sizes},
        {"symbol": "BUSDT", "status": "TRADING", "filters": sizes[:1]},
        {"symbol": "CUSDT", "status": "TRADING", "filters": [sizes[0], {"filterType": "LOT_SIZE", "stepSize": "0.000"}]},
    ]
    info = binance.parse_exchange_info(json.dumps({"serverTime": 5, "symbols": symbols}).encode())
    assert info == ExchangeInfo(5, (SymbolSpec("AUSDT", "", "", "TRADING", "", "0.1", "1"),), ("币安人生USDT", "BUSDT", "CUSDT"))


def test_server_time_and_weight():
    assert binance.parse_server_time(b'{"serverTime":1499827319559}') == 1499827319559
    with pytest.raises(MalformedMessage):
        binance.parse_server_time(b'{"serverTime":"1"}')
    assert binance.used_weight({"x-mbx-used-weight-1m": "20"}) == 20
    assert binance.used_weight({}) is None
    assert binance.used_weight({"X-MBX-USED-WEIGHT-1M": "many"}) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, BadRequest),
        (404, BadRequest),
        (403, RegionBlocked),
        (451, RegionBlocked),
        (408, VenueUnavailable),
        (429, RateLimited),
        (418, RateLimited),
        (500, VenueUnavailable),
        (503, VenueUnavailable),
        (302, VenueUnavailable),
    ],
)
def test_statuses(status: int, kind: type):
    error = classify_status(status, {}, b'{"code":-1121,"msg":"Invalid\\nsymbol."}')
    assert type(error) is kind
    assert f"HTTP {status}, -1121: Invalid symbol." in str(error)
    assert "\n" not in str(error)
    assert classify_status(200, {}, b"") is None


@pytest.mark.parametrize(
    ("status", "value", "wait"),
    [
        (429, None, 60),
        (418, None, 300),
        (429, "7", 7),
        (418, " 120 ", 120),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 60),
        (429, "-5", 60),
        (429, "9" * 40, 3 * 86_400),
    ],
)
def test_retry_after(status: int, value: str | None, wait: float):
    error = classify_status(status, {} if value is None else {"retry-after": value}, "<html>")
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == wait


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[1]", b'{"msg":3}', b"[" * 100_000])
def test_bodies_that_say_nothing(body: bytes):
    assert "(HTTP 500)" in str(classify_status(500, {}, body))
