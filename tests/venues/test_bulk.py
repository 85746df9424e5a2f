"""Bulk decoding says of every line exactly what line-by-line decoding says."""

from __future__ import annotations

import gzip
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.event import End, Own, Quote, Trade, TradeKind
from pipeline.model.fixed import text_of, units
from pipeline.venues import binance_scan as scanner
from pipeline.venues.batch import MAX_SAMPLES, Batch, decode_lines
from pipeline.venues.binance import decode, decode_batch, encode_trade
from pipeline.venues.binance_wire import AggTrade, BookTicker, RawTrade
from pipeline.venues.columns import QuoteColumns, TradeColumns

AGG = b'{"stream":"a@b","data":{"e":"aggTrade","E":5,"a":7,"s":"BTCUSDT","p":"61800.30","q":"0.006","f":10,"l":12,"T":4,"m":true}}'
RAW = b'{"e":"trade","E":5,"T":4,"s":"ETHUSDT","t":7,"p":"2681.3","q":"0.006","X":"MARKET","m":false}'
FUND = b'{"stream":"s","data":{"e":"trade","E":5,"T":4,"s":"ETHUSDT","t":8,"p":"2681.3","q":"0.006","X":"INSURANCE_FUND","m":false}}'
BOOK = b'{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":4,"E":5}'
DEPTH = b'{"stream":"s","data":{"e":"depthUpdate","b":[["1","2"]]}}'
KLINE = (
    b'{"e":"kline","E":1,"s":"CTKUSDT","k":{"t":60000,"T":119999,"s":"CTKUSDT","i":"1m","f":1,"L":2,"o":"1.0","c":"1.1",'
    b'"h":"1.2","l":"0.9","v":"3917","n":2,"x":true,"q":"1","V":"1","Q":"1","B":"0"}}'
)
OTHERS = [
    b'{"e":"sw.clock","connected":true,"streams":{"a":{"n":1}}}',
    b'{"e":"sw.end"}',
    b'{"e":"sw.request","text":"\xc3\xa4 b"}',
    b'{"result":null,"id":1}',
    b'{"e":"serverShutdown","E":1}',
    b'{"e":"newThing"}',
    b'{"e":"markPriceUpdate"}',
    KLINE,
]
BROKEN = [
    b"",
    b"{}x",
    AGG[:-5],
    AGG.replace(b"61800.30", b"1e5"),
    AGG.replace(b'"l":12', b'"l":9'),
    AGG.replace(b"0.006", b"1\\n2"),
    AGG.replace(b'"E":5', b'"E":"\xff"'),
    RAW.replace(b"ETHUSDT", b"ethusdt"),
    BOOK.replace(b'"1.6"', b'""'),
    BOOK.replace(b"BTCUSDT", "币安人生USDT".encode()),
    AGG.replace(b'"a":7', b'"a":07'),
    AGG.replace(b'"a":7', b'"a":-7'),
    AGG.replace(b'"a":7', b'"a":9223372036854775808'),
    AGG.replace(b'"a":7', b'"a":7e0'),
    AGG.replace(b'"a":7', b'"a":"7"'),
    AGG.replace(b'"a":7', b'"a":null'),
    AGG.replace(b'"a":7,', b""),
    AGG.replace(b'"a":7', b'"a":7x'),
    AGG.replace(b'"p":"61800.30"', b'"p":61800.30'),
    AGG.replace(b"61800.30", b"61800."),
    AGG.replace(b"61800.30", b".30"),
    AGG.replace(b"61800.30", b"+6"),
    AGG.replace(b"61800.30", b"-6"),
    AGG.replace(b"61800.30", b"12345678901"),
    AGG.replace(b"61800.30", b"1.123456789"),
    AGG.replace(b"61800.30", b"18446744073709551617"),
    AGG.replace(b"BTCUSDT", b"B"),
    AGG.replace(b"BTCUSDT", b"B" * 31),
    AGG.replace(b"true", b"tru"),
    AGG.replace(b"true", b"1"),
    AGG.replace(b'"m":true', b'"m":true,"st":"1"'),
    AGG.replace(b'"m":true', b'"m":true,"x":[1,]'),
    AGG.replace(b'"m":true', b'"m":true,"x":[,1]'),
    AGG.replace(b'"m":true', b'"m":true,"x":[1 2]'),
    AGG.replace(b'"m":true', b'"m":true,"x":[1]]'),
    AGG.replace(b'"m":true', b'"m":true,"x":01'),
    AGG.replace(b'"m":true', b'"m":true,"x":-'),
    AGG.replace(b'"m":true', b'"m":true,"x":1.'),
    AGG.replace(b'"m":true', b'"m":true,"x":nul'),
    AGG.replace(b'"m":true', b'"m":true,"x":' + b"[" * 2_000 + b"]" * 2_000),
    AGG.replace(b'"m":true', b'"m":true,'),
    AGG.replace(b'"m":true', b'"m":true,"x"'),
    AGG.replace(b'"m":true', b'"m":true,"x'),
    AGG.replace(b"a@b", b"a\tb"),
    AGG.replace(b"a@b", b"a\x7fb"),
    AGG.replace(b"a@b", b"a\\xb"),
    AGG + b"}",
    AGG + b" x",
    RAW.replace(b'"X":"MARKET"', b'"X":5'),
    RAW.replace(b'"t":7', b'"t":' + b"7" * 40),
    BOOK.replace(b'"A":"3"', b'"A":"3","A":"4x"'),
    DEPTH[:-2],
    DEPTH.replace(b'"1"', b"1e"),
]
ODD_BUT_RIGHT = [
    AGG.replace(b'{"stream"', b'{ "stream"'),
    RAW.replace(b'"E":5', '"E":"ä"'.encode()),
    BOOK + b"\r",
    AGG.replace(b'"m":true', b'"m":true,"st":2'),
    BOOK.replace(b'"E":5', b'"st":2'),
    RAW.replace(b'"E":5', b'"st":1,"ps":"X Y"'),
    AGG.replace(b'"st":2', b'"st":1').replace(b'"m":true', b'"m":true,"nq":"0.1","st":1,"x":[1,[],[["a",null],-0.5]],"y":false'),
    AGG.replace(b'"E":5', b'"x":[[[[[["deep"]]]]]]'),
    AGG.replace(b'"E":5', b'"x":{"nested":{"a":[1]}}'),
    AGG.replace(b'"E":5', b'"E":-5e3'),
    AGG.replace(b'"E":5', b'"E":-0'),
    AGG.replace(b'"E":5', b'"E":123456789012345678901234567890.5'),
    AGG.replace(b'"E":5', b'"":0'),
    AGG.replace(b'"E":5', '"ключ":5'.encode()),
    AGG.replace(b'"s":"BTCUSDT"', b'"\\u0073":"BTCUSDT"'),
    AGG.replace(b"BTCUSDT", b"BTC\\u0055SDT"),
    AGG.replace(b'"a":7', b'"a":9223372036854775807'),
    AGG.replace(b'"a":7', b'"a":7.0'),
    AGG.replace(b'"a":7', b'"a":7,"a":8'),
    AGG.replace(b'"m":true', b'"m":true,"m":false'),
    AGG.replace(b'"e":"aggTrade","E":5', b'"E":5,"e":"aggTrade"'),
    AGG.replace(b'"e":"aggTrade"', b'"e":"aggTrade","e":"aggTrade"'),
    AGG.replace(b'"e":"aggTrade"', b'"e":"aggTrade","e":"trade"'),
    AGG.replace(b'"stream":"a@b",', b"").replace(b'{"data"', b'{"data"'),
    AGG[:-1] + b',"stream":"c"}',
    AGG.replace(b'{"stream":"a@b","data":', b"").replace(b"true}}", b'true,"stream":"c","data":5}'),
    RAW.replace(b'"X":"MARKET"', b'"X":"MARKET","X":"ADL"'),
    RAW.replace(b'"X":"MARKET"', b'"X":"MAR\\u004bET"'),
    RAW.replace(b'"X":"MARKET",', b""),
    BOOK.replace(b'{"e":"bookTicker","u":9', b'{"u":9,"e":"bookTicker"'),
    BOOK.replace(b":9,", b": 9,"),
    DEPTH.replace(b"]]}", b']],"st":2,"a":[],"s":5}'),
]
HEADS = [b"1723161255088176367 ", b"1723161255088176368 ", b"0000000000000000001 ", b"9223372036854775807 "]
ODD_HEADS = [
    b"5 ",
    b"9223372036854775808 ",
    b"9999999999999999999 ",
    b"17231612550881763670 ",
    b"172316125508817636x ",
    b"",
    b" ",
    b"-1 ",
    b"1_0 ",
]


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    """Loading the compiled scanner counts in no example's time."""
    decode_batch(b"")


def said(batch: Batch) -> tuple[object, ...]:
    """Everything that a batch says, in plain values."""
    return (
        batch.lines,
        batch.last_recv_ns,
        batch.malformed,
        batch.samples,
        batch.unused,
        batch.unknown,
        batch.others,
        values(batch.trades),
        values(batch.quotes),
    )


def values(columns: TradeColumns | QuoteColumns) -> dict[str, list[object]]:
    """All columns, symbols by name: they may be numbered in any order."""
    names = (field.name for field in fields(columns))
    return {name: columns.symbol if name == "symbols" else getattr(columns, name).tolist() for name in names}


def agree(block: bytes) -> Batch:
    batch = decode_batch(block)
    assert said(batch) == said(decode_lines(block, decode))
    rows = len(batch.trades) + len(batch.quotes) + len(batch.others) + batch.malformed
    assert rows + sum(batch.unused.values()) + sum(batch.unknown.values()) == batch.lines
    return batch


LINES = st.tuples(
    st.one_of(st.sampled_from(HEADS), st.sampled_from(HEADS), st.sampled_from(ODD_HEADS)),
    st.one_of(st.sampled_from([AGG, RAW, FUND, BOOK, DEPTH]), st.sampled_from([*OTHERS, *BROKEN, *ODD_BUT_RIGHT])),
).map(b"".join)


@settings(max_examples=200)
@given(st.lists(LINES, max_size=12), st.booleans())
def test_any_mixture_of_lines_agrees_with_decode(lines: list[bytes], ended: bool):  # noqa: FBT001
    agree(b"\n".join(lines) + (b"\n" if ended and lines else b""))


@settings(max_examples=100)
@given(st.lists(LINES, min_size=1, max_size=4), st.data())
def test_damaged_blocks_agree_with_decode(lines: list[bytes], data: st.DataObject):
    block = bytearray(b"\n".join(lines) + b"\n")
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(list(b'\n "{}:,0'))))
    agree(bytes(block))


MEMBERS = {
    b"aggTrade": [b'"E":5', b'"a":7', b'"s":"BTCUSDT"', b'"p":"61800.30"', b'"q":"0.006"', b'"f":10', b'"l":12', b'"T":4', b'"m":true'],
    b"trade": [b'"E":5', b'"T":4', b'"s":"ETHUSDT"', b'"t":7', b'"p":"2681.3"', b'"q":"0.006"', b'"X":"MARKET"', b'"m":false'],
    b"bookTicker": [b'"u":9', b'"s":"BTCUSDT"', b'"b":"1.5"', b'"B":"2"', b'"a":"1.6"', b'"A":"3"', b'"T":4', b'"E":5'],
    b"depthUpdate": [b'"E":5', b'"s":"BTCUSDT"', b'"b":[["1","2"],["3","4"]]', b'"a":[]'],
}
MORE = [
    *(b'"%c":7' % letter for letter in b"aflTutEeX"),
    *(b'"%c":"7"' % letter for letter in b"spqbBaAXe"),
    *(b'"st":1', b'"st":2', b'"st":1.0', b'"nq":"1"', b'"ps":"X"', b'"x":{}', b'"x":[{}]', b'"x":[[1],"a"]', b'"x":1e5', b'"m":null'),
    *(b'"stream":"s"', b'"data":{}', b'"e":"trade"', b'"\\u0061":7'),
    *(b'"p":"1.\\u0030"', b'"x":"\xc3\xa4"', b'"x":"\xff"', b' "x":1', b'"x" :1'),
]


@st.composite
def built(draw: st.DrawFn) -> bytes:
    """A message with its members in any order, some of them missing, doubled, or of other kinds."""
    name = draw(st.sampled_from(sorted(MEMBERS)))
    members = [*draw(st.permutations(MEMBERS[name])), *draw(st.lists(st.sampled_from(MORE), max_size=2))]
    if draw(st.integers(0, 3)) == 0:
        del members[draw(st.integers(0, len(members) - 1))]
    at = draw(st.sampled_from([0, 0, 0, 1]))
    members = draw(st.permutations(members)) if draw(st.booleans()) else members
    body = b"{" + b",".join([*members[:at], b'"e":"%b"' % name, *members[at:]]) + b"}"
    return draw(st.sampled_from([b"%b", b'{"stream":"a@b","data":%b}'])) % body


@settings(max_examples=300)
@given(st.lists(built(), min_size=1, max_size=5))
def test_messages_built_in_any_way_agree_with_decode(bodies: list[bytes]):
    agree(b"".join(HEADS[0] + body + b"\n" for body in bodies))


@pytest.mark.parametrize("body", [*OTHERS, *BROKEN, *ODD_BUT_RIGHT])
def test_each_special_line_among_ordinary_ones(body: bytes):
    block = b"".join(HEADS[0] + line + b"\n" for line in (AGG, body, AGG, FUND, BOOK))
    batch = agree(block)
    assert len(batch.trades) >= 3


def test_no_lines_at_all():
    batch = agree(b"")
    assert (batch.lines, batch.last_recv_ns, len(batch.trades), len(batch.quotes)) == (0, None, 0, 0)
    assert batch.trades.price.size == 0
    assert agree(b"\n").malformed == 1


def test_odd_lines_keep_their_places_among_ordinary_ones():
    bodies = [AGG, RAW, BOOK, FUND, OTHERS[0], AGG.replace(b"BTCUSDT", b"AUSDT"), BROKEN[3], RAW, ODD_BUT_RIGHT[0], BOOK, DEPTH]
    batch = agree(b"".join(HEADS[0] + body + b"\n" for body in bodies))
    assert batch.trades.line.tolist() == [0, 1, 3, 5, 7, 8]
    assert batch.trades.aggregate.tolist() == [True, False, False, True, False, True]
    assert batch.trades.market.tolist() == [True, True, False, True, True, True]
    assert batch.trades.symbol == ["BTCUSDT", "ETHUSDT", "ETHUSDT", "AUSDT", "ETHUSDT", "BTCUSDT"]


def test_more_symbols_than_the_scanner_keeps():
    lines = [HEADS[0] + AGG.replace(b"BTCUSDT", b"S%dUSDT" % number) + b"\n" for number in range(scanner.MAX_SYMBOLS + 20)]
    batch = agree(b"".join(lines + lines[::7]))
    assert batch.trades.symbol[:3] == ["S0USDT", "S1USDT", "S2USDT"]
    assert len(batch.trades) == len(lines) + len(lines[::7])


@pytest.mark.parametrize("structure", [AggTrade, RawTrade, BookTicker])
def test_the_scanner_and_the_structures_have_the_same_members(structure: type[msgspec.Struct]):
    form = {AggTrade: scanner.AGGREGATE, RawTrade: scanner.RAW, BookTicker: scanner.BOOK}[structure]
    assert {field.encode_name for field in msgspec.structs.fields(structure)} == {*scanner.FORMS[form], "st"}


@given(st.lists(st.sampled_from(["BTCUSDT", "AUSDT", "ETHUSDT"]), max_size=30))
def test_rows_by_symbol(symbols: list[str]):
    trades = decode_batch(b"".join(HEADS[0] + AGG.replace(b"BTCUSDT", symbol.encode()) + b"\n" for symbol in symbols)).trades
    found = {symbol: rows.tolist() for symbol, rows in trades.by_symbol()}
    assert found == {name: [at for at, symbol in enumerate(symbols) if symbol == name] for name in symbols}


def test_samples_are_bounded():
    batch = agree(b"5 nonsense " + b"x" * 1_000 + b"\n" + b"bad\n" * 40)
    assert batch.malformed == 41
    assert len(batch.samples) == MAX_SAMPLES
    assert len(batch.samples[0].text) == 300


def test_own_lines_keep_their_place_and_text():
    batch = agree(b'7 {"e":"sw.universe","symbols":["A B"]}\n8 {"e":"sw.end"}\n')
    assert batch.others == [(0, 7, Own("universe", b'{"e":"sw.universe","symbols":["A B"]}', 7)), (1, 8, End(8))]


def test_taking_rows_by_mask_and_by_position():
    trades = agree(b"".join(HEADS[0] + body + b"\n" for body in (AGG, FUND, RAW, AGG))).trades
    assert list(trades.take(trades.market).events()) == [event for event in trades.events() if event.market]
    assert trades.take(np.array([3, 1])).symbol == ["BTCUSDT", "ETHUSDT"]


TRADES = st.builds(
    lambda symbol, number, price, qty, time, maker, span, kind, market: Trade(
        symbol=symbol,
        trade_id=number,
        price=price,
        qty=qty,
        event_time_ms=time,
        recv_ns=9,
        buyer_is_maker=maker,
        first_id=number,
        last_id=number + span if kind is TradeKind.AGGREGATE else number,
        kind=kind,
        market=market or kind is TradeKind.AGGREGATE,
    ),
    st.from_regex(r"[A-Z0-9_]{2,30}", fullmatch=True),
    st.integers(0, 2**62),
    st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,8})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,8})?", fullmatch=True),
    st.integers(0, 2**63 - 1),
    st.booleans(),
    st.integers(0, 50),
    st.sampled_from(TradeKind),
    st.booleans(),
)


@settings(max_examples=100)
@given(st.lists(TRADES, max_size=4))
def test_encoded_trades_decode_to_themselves(trades: list[Trade]):
    assert [decode(encode_trade(trade), 9) for trade in trades] == trades
    assert not any(b" " in encode_trade(trade) for trade in trades)
    for head in (b"9 ", HEADS[0]):
        batch = agree(b"".join(head + encode_trade(trade) + b"\n" for trade in trades))
        assert list(batch.trades.events()) == [
            replace(trade, recv_ns=int(head), price=text_of(units(trade.price)), qty=text_of(units(trade.qty))) for trade in trades
        ]


def test_the_whole_real_captures(market_data: Path):
    expected = {"btcusdt": (21_313, 66_089, 6_551), "ethusdt": (14_076, 53_992, 6_586)}
    for name, (trades, quotes, depth) in expected.items():
        block = gzip.decompress((market_data / "ws_usdm_20240808" / f"{name}_20240808.gz").read_bytes())
        batch = agree(block)
        assert (len(batch.trades), len(batch.quotes), batch.malformed, batch.others, batch.unknown) == (trades, quotes, 0, [], {})
        assert batch.unused == {"depthUpdate": depth, "depthSnapshot": 1}
        assert np.all(np.diff(batch.trades.trade_id) == 1)
        assert batch.trades.market.all()
        assert not batch.trades.aggregate.any()
        if name == "btcusdt":
            ends = np.array([0, len(batch.trades) - 1])
            rows = list(batch.trades.take(ends).events())
            assert rows[0] == Trade(
                symbol="BTCUSDT",
                trade_id=5266583935,
                price="61800.3",
                qty="0.006",
                event_time_ms=1723161256322,
                recv_ns=1723161255088176367,
                buyer_is_maker=False,
                first_id=5266583935,
                last_id=5266583935,
                kind=TradeKind.RAW,
            )
            assert next(batch.quotes.events()) == Quote(
                symbol="BTCUSDT",
                update_id=5123107839020,
                bid="61800.2",
                bid_qty="2.507",
                ask="61800.3",
                ask_qty="2.51",
                event_time_ms=1723161256313,
                recv_ns=1723161255088169167,
            )
            assert rows[-1] == Trade(
                symbol="BTCUSDT",
                trade_id=5266605247,
                price="61659.8",
                qty="0.076",
                event_time_ms=1723161599643,
                recv_ns=1723161598372181179,
                buyer_is_maker=False,
                first_id=5266605247,
                last_id=5266605247,
                kind=TradeKind.RAW,
            )
            (last_quote,) = batch.quotes.take(np.array([len(batch.quotes) - 1])).events()
            assert last_quote == Quote(
                symbol="BTCUSDT",
                update_id=5123135221461,
                bid="61659.7",
                bid_qty="1.486",
                ask="61659.8",
                ask_qty="0.981",
                event_time_ms=1723161600709,
                recv_ns=1723161599439160683,
            )
            assert batch.last_recv_ns == 1723161599833492584


def test_the_cryptofeed_capture(market_data: Path):
    lines = gzip.decompress((market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz").read_bytes()).splitlines()[1:]
    block = b"".join(b"1626992741062170000 " + line.split(b": ", 1)[1] + b"\n" for line in lines)
    batch = agree(block)
    assert (len(batch.trades), len(batch.quotes), len(batch.others), batch.unused) == (91, 613, 67, {"depthUpdate": 764})
    assert set(batch.trades.symbols.names) == {"CTKUSDT", "SUSHIUSDT", "KEEPUSDT", "AKROUSDT"}
