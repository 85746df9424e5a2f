"""The simulated venue read by the very code that reads Binance."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from pipeline.model.event import Control, End, Kline, Quote, Trade, TradeKind
from pipeline.simulator import frames
from pipeline.simulator.candles import from_trades
from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.quotes import quotes
from pipeline.simulator.rest import Rest
from pipeline.simulator.session import Session
from pipeline.simulator.streams import Route, parse_address, parse_stream
from pipeline.simulator.universe import BY_SYMBOL, SPECS
from pipeline.venues import binance

HOUR = 498_711


@pytest.fixture
def ask(tape, now_ms):
    rest = Rest(SyntheticHistory(tape, lambda: now_ms), lambda: 0)

    spent = [0]

    def answer(request) -> bytes:
        query = "&".join(f"{name}={value}" for name, value in dict(request.params).items())
        found = asyncio.run(rest.answer(f"{request.path}?{query}"))
        assert found.status == 200, found
        spent.append(rest.weights.used)
        assert binance.used_weight(found.headers) == spent[-1]
        assert spent[-1] - spent[-2] == request.weight
        return found.body.encode()

    return answer


@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000SHIBUSDT", "OPUSDT"])
def test_frames_decode(tape, symbol):
    trades = tape.trades(symbol, HOUR).part(0, 200)
    instrument = BY_SYMBOL[symbol].instrument
    stream = binance.aggtrade_stream(symbol)
    rows = zip(*(column.tolist() for column in (trades.price, trades.qty)), strict=True)
    for at, frame in enumerate(frames.agg_trade_frames(instrument, trades)):
        trade = binance.decode(frames.wrapped(stream, frame), 5)
        assert isinstance(trade, Trade)
        assert (trade.symbol, trade.trade_id, trade.kind) == (symbol, trades.ids[at], TradeKind.AGGREGATE)
        assert (trade.event_time_ms, trade.first_id, trade.last_id) == (trades.time_ms[at], trades.first[at], trades.last[at])
        price, qty = next(rows)
        assert Decimal(trade.price).scaleb(instrument.price_decimals) == price
        assert Decimal(trade.qty).scaleb(instrument.qty_decimals) == qty
        assert binance.decode(frame, 5) == trade
    assert all(isinstance(binance.decode(fill, 5), Trade) for fills in frames.raw_trade_frames(instrument, trades) for fill in fills)
    assert all(isinstance(binance.decode(frame, 5), Quote) for frame in frames.quote_frames(instrument, quotes(tape, symbol, HOUR)))
    for candle in frames.rows_of(from_trades(trades, 60_000)):
        kline = binance.decode(frames.kline_frame(instrument, "1m", 60_000, candle, 5, closed=True), 5)
        assert isinstance(kline, Kline)
        assert kline.closed


def test_answers_to_commands_decode():
    address = parse_address("/market/stream")
    assert address is not None
    session = Session.opened(address)
    answer = binance.decode(session.answer(binance.subscribe([binance.aggtrade_stream("BTCUSDT")], 7)), 5)
    assert answer == Control(7, None)
    refused = binance.decode(session.answer('{"method":"NONE","id":8}'), 5)
    assert isinstance(refused, Control)
    assert refused.request_id == 8
    assert refused.error
    assert isinstance(binance.decode(frames.REPLAY_END, 5), End)


def test_both_sides_agree_on_routes_and_names():
    for spec in SPECS:
        for stream in (binance.aggtrade_stream(spec.symbol), binance.raw_trade_stream(spec.symbol), binance.quote_stream(spec.symbol)):
            parsed = parse_stream(stream)
            assert parsed is not None
            assert parsed.symbol == spec.symbol
            assert Route(binance.route(stream)).delivers(stream)


def test_rest_answers_parse(ask, tape, now_ms):
    info = binance.parse_exchange_info(ask(binance.exchange_info()))
    assert len(info.symbols) == len(SPECS)
    assert binance.parse_server_time(ask(binance.server_time())) == now_ms
    first = int(tape.trades("ETHUSDT", HOUR - 1).ids[0])
    trades = binance.parse_agg_trades(ask(binance.agg_trades_from("ETHUSDT", first)), "ETHUSDT", 5)
    assert [trade.trade_id for trade in trades] == list(range(first, first + 1_000))
    window = binance.parse_agg_trades(ask(binance.agg_trades_between("ETHUSDT", now_ms - 60_000, now_ms)), "ETHUSDT", 5)
    assert window
    klines = binance.parse_klines(ask(binance.klines("ETHUSDT", "1m", now_ms - 600_000)), "ETHUSDT", "1m", now_ms)
    assert len(klines) == 10
    assert [kline.closed for kline in klines] == [True] * 9 + [False]
    seconds = binance.parse_klines(ask(binance.continuous_klines("ETHUSDT", "1s", now_ms - 60_000)), "ETHUSDT", "1s", now_ms)
    assert len(seconds) == 60
