"""One message at a time: real captures, newer fields, and everything that must be refused."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MalformedMessage
from pipeline.model.event import (
    Clock,
    ClockOffset,
    ConnectionSeen,
    Control,
    End,
    Event,
    Kline,
    Own,
    Quote,
    Shutdown,
    StreamSeen,
    Trade,
    TradeKind,
    Unknown,
    Unused,
)
from pipeline.venues.binance import decode

AGG = '{"e":"aggTrade","E":5,"a":7,"s":"BTCUSDT","p":"61800.30","q":"0.006","f":10,"l":12,"T":4,"m":true}'
RAW = '{"e":"trade","E":5,"T":4,"s":"BTCUSDT","t":7,"p":"61800.30","q":"0.006","X":"MARKET","m":false}'
BOOK = '{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":4,"E":5}'
KLINE = (
    '{"e":"kline","E":1,"s":"CTKUSDT","k":{"t":60000,"T":119999,"s":"CTKUSDT","i":"1m","f":-1,"L":-1,"o":"1.0","c":"1.1",'
    '"h":"1.2","l":"0.9","v":"3917","n":0,"x":false,"q":"15000000000.5","V":"1729","Q":"1748.01900","B":"0"}}'
)
TRADE = Trade("BTCUSDT", 7, "61800.30", "0.006", 4, 1, True, 10, 12, TradeKind.AGGREGATE)


def wrapped(data: str, stream: str = "btcusdt@x") -> str:
    return f'{{"stream":"{stream}","data":{data}}}'


def test_a_wrapped_and_a_bare_message_are_the_same():
    assert decode(AGG, 1) == decode(wrapped(AGG), 1) == decode(AGG.encode(), 1) == TRADE


def test_members_may_come_in_any_order_and_with_blanks():
    fields = json.loads(AGG)
    reordered = json.dumps({"data": dict(reversed(fields.items())), "generated": True, "stream": "s"}, indent=2)
    assert decode(reordered, 1) == TRADE


def test_every_line_of_the_real_capture(market_data: Path):
    expected = {
        "btcusdt": (21_313, 66_089, 6_551),
        "ethusdt": (14_076, 53_992, 6_586),
    }
    for name, (trades, quotes, depth) in expected.items():
        found: dict[object, int] = {}
        ids = []
        with gzip.open(market_data / "ws_usdm_20240808" / f"{name}_20240808.gz") as lines:
            for line in lines:
                recv_ns, message = line.split(b" ", 1)
                event = decode(message, int(recv_ns))
                key = event if isinstance(event, Unused) else type(event)
                found[key] = found.get(key, 0) + 1
                if isinstance(event, Trade):
                    ids.append(event.trade_id)
                    fields = json.loads(message)["data"]
                    assert event == Trade(
                        symbol=fields["s"],
                        trade_id=fields["t"],
                        price=fields["p"],
                        qty=fields["q"],
                        event_time_ms=fields["T"],
                        recv_ns=int(recv_ns),
                        buyer_is_maker=fields["m"],
                        first_id=fields["t"],
                        last_id=fields["t"],
                        kind=TradeKind.RAW,
                    )
        assert found == {Trade: trades, Quote: quotes, Unused("depthUpdate"): depth, Unused("depthSnapshot"): 1}
        assert ids == list(range(ids[0], ids[0] + trades))


def test_the_cryptofeed_capture(market_data: Path):
    found: dict[object, int] = {}
    closed = 0
    with gzip.open(market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz", "rt") as lines:
        next(lines)
        for line in lines:
            event = decode(line.split(": ", 1)[1], 0)
            key = event if isinstance(event, Unused) else type(event)
            found[key] = found.get(key, 0) + 1
            closed += isinstance(event, Kline) and event.closed
    assert found == {Trade: 91, Quote: 613, Unused("depthUpdate"): 764, Kline: 67}
    assert closed == 4


def test_single_messages_of_several_years(market_data: Path):
    lines = (market_data / "ws_messages" / "binance_futures_ws_messages.jsonl").read_bytes().splitlines()
    with pytest.raises(MalformedMessage, match="missing required field `a`"):
        decode(lines[0], 3)  # of 2019, when aggregate trades had no id: nothing can be landed by
    assert [decode(line, 3) for line in lines[1:]] == [
        Unused("24hrTicker"),
        Unused("markPriceUpdate"),
        Unused("24hrTicker"),
        Trade("BTCUSDT", 10934580, "7627.60", "0.044", 1574381164086, 3, False, 10934580, 10934580, TradeKind.RAW),
        Unused("depthUpdate"),
        Unused("depthSnapshot"),
        Unused("depthUpdate"),
        Unused("openInterest"),
        Unused("markPriceUpdate"),
        Trade("ETHUSDT", 73701056, "2366.55", "0.070", 1596034530235, 3, True, 73701056, 73701056, TradeKind.RAW, market=False),
        Trade("BTCUSDT", 173525189, "11343.67", "0.467", 1596240000519, 3, True, 173525189, 173525189, TradeKind.RAW),
        Unused("forceOrder"),
        Unused("markPriceUpdate"),
        Quote("BTCUSDT", 185130926750, "33134.42", "0.170", "33139.39", "0.380", 1612137603568, 3),
    ]


def test_bare_messages_with_newer_fields(market_data: Path):
    files = sorted((market_data / "ws_messages" / "nautilus_futures").glob("*.json"))
    events = {path.stem.removesuffix("_stream"): decode(path.read_bytes(), 3) for path in files}
    assert events["agg_trade"] == Trade("BTCUSDT", 5933014, "0.001", "100", 123456785, 3, True, 100, 105, TradeKind.AGGREGATE)
    assert events["trade"] == Trade("BTCUSDT", 5933014, "0.001", "100", 123456785, 3, True, 5933014, 5933014, TradeKind.RAW)
    assert events["book_ticker"] == Quote(
        "BNBUSDT",
        400900217,
        "25.35190000",
        "31.21000000",
        "25.36520000",
        "40.66000000",
        1568014460891,
        3,
    )
    kline = events["kline_stream_closed"]
    assert isinstance(kline, Kline)
    assert (kline.open_time_ms, kline.low, kline.first_id, kline.last_id, kline.closed) == (1638747660000, "0.0010", 100, 200, True)
    rest = {name: event for name, event in events.items() if name in {"depth_update", "liquidation", "mark_price", "ticker"}}
    assert list(rest.values()) == [Unused("depthUpdate"), Unused("forceOrder"), Unused("markPriceUpdate"), Unused("24hrTicker")]


@pytest.mark.parametrize("message", [AGG, RAW, BOOK, KLINE])
def test_coin_margined_messages_are_unused(message: str):
    coin = message.removesuffix("}") + ',"st":2,"ps":"BTCUSD"}'
    event = decode(coin, 1)
    assert isinstance(event, Unused)
    assert event.name == f"{json.loads(message)['e']} (st 2)"
    assert not isinstance(decode(message.removesuffix("}") + ',"st":1,"nq":"1"}', 1), Unused)


@pytest.mark.parametrize("origin", ["INSURANCE_FUND", "ADL", "NA", ""])
def test_prints_that_are_not_market_trades_are_marked(origin: str):
    event = decode(RAW.replace("MARKET", origin), 1)
    assert isinstance(event, Trade)
    assert not event.market


def test_a_kline_without_trades_and_with_a_large_volume():
    event = decode(KLINE, 1)
    assert isinstance(event, Kline)
    assert (event.first_id, event.last_id, event.quote_volume) == (-1, -1, "15000000000.5")


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"result":null,"id":1}', Control(1, None)),
        ('{"id":3,"result":["btcusdt@aggTrade"]}', Control(3, None)),
        ('{"error":{"code":2,"msg":"Invalid request"},"id":4}', Control(4, "2: Invalid request")),
        ('{"code":-1121,"msg":"Invalid symbol."}', Control(None, "-1121: Invalid symbol.")),
        ('{"e":"serverShutdown","E":1770123456789}', Shutdown(1770123456789)),
        (wrapped('{"e":"serverShutdown","E":6}'), Shutdown(6)),
        ('{"e":"replayEnd"}', End(8)),
        ('{"e":"sw.end"}', End(8)),
        ('{"x":1,"e":"sw.request","id":"a"}', Own("request", b'{"x":1,"e":"sw.request","id":"a"}', 8)),
        (
            '{"e":"sw.request","stream":"s","data":' + AGG + "}",
            Own("request", ('{"e":"sw.request","stream":"s","data":' + AGG + "}").encode(), 8),
        ),
        ('{"e":"newThing"}', Unknown("newThing")),
        (wrapped('{"e":"newThing"}'), Unknown("newThing")),
        (wrapped('{"e":"sw.end"}'), Unknown("sw.end")),
        (wrapped("[]", "!ticker@arr"), Unused("!ticker@arr")),
        (wrapped("[1]", "!new@arr"), Unknown("!new@arr")),
        ("{}", Unknown("(no type)")),
        ('{"e":"sw.clock","connected":false}', Clock(8, connected=False, streams=0)),
        (
            (
                '{"e":"sw.clock","connected":true,"streams":{"a@b":{"n":4,"last_ns":7},"c@d":{"n":0,"last_ns":null}},"reconnects":2,'
                '"conns":[{"route":"market","state":"open","since_ns":5}]}'
            ),
            Clock(
                recv_ns=8,
                connected=True,
                streams=2,
                seen=(StreamSeen("a@b", 4, 7), StreamSeen("c@d", 0, None)),
                connections=(ConnectionSeen("market", "open", 5),),
                reconnects=2,
            ),
        ),
        (
            (
                '{"e":"sw.clock","connected":true,"clock":{"offset_ms":-12.5,"rtt_ms":3,"at_ns":77},"buffered":9,"waiting":4,"journal":"full",'
                '"lost":{"lines":3,"bytes":9,"first_ns":1,"last_ns":2}}'
            ),
            Clock(
                8,
                connected=True,
                streams=0,
                offset=ClockOffset(-12.5, 3.0, 77),
                lost_lines=3,
                buffered_bytes=9,
                waiting_frames=4,
                journal_fault="full",
            ),
        ),
    ],
)
def test_messages_without_market_data(text: str, event: Event):
    assert decode(text, 8) == event


@pytest.mark.parametrize(
    "price", ["NaN", "-1", "+1", "1e3", "", ".5", "1.", " 1", "1 ", "1,0", "0x1", "1" * 11, "1.123456789", "1\\n", "\\u0661", "1.2.3"]
)
@pytest.mark.parametrize("message", [AGG, RAW])
def test_odd_numbers_are_refused(message: str, price: str):
    with pytest.raises(MalformedMessage, match="price"):
        decode(message.replace('"61800.30"', f'"{price}"'), 1)


@pytest.mark.parametrize("value", ["-1", "1.0", "1e2", '"7"', "null", "true", str(2**63), "1" * 60])
@pytest.mark.parametrize("field", ["a", "f", "T"])
def test_odd_ids_and_times_are_refused(field: str, value: str):
    with pytest.raises(MalformedMessage):
        decode(re.sub(rf'"{field}":[0-9]+', f'"{field}":{value}', AGG), 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "3",
        "[]",
        '"x"',
        "{",
        AGG[:-1],
        AGG + "x",
        "[" * 100_000,
        '{"x":' * 100_000,
        '{"stream":"s","data":null}',
        '{"stream":"s","data":5}',
        '{"e":"sw.UPPER"}',
        '{"e":"sw."}',
        '{"e":"sw.clock"}',
        AGG.replace('"a":7,', ""),
        AGG.replace("BTCUSDT", "btcusdt"),
        AGG.replace("BTCUSDT", "B'; DROP"),
        AGG.replace('"m":true', '"m":1'),
        AGG.replace('"f":10', '"f":13'),
        AGG.replace('{"e"', '{"e":"trade","e"'),
        AGG.replace('"61800.30"', "61800.30"),
        KLINE.replace('"1m"', '"1x"'),
        KLINE.replace('"f":-1', '"f":-2'),
    ],
)
def test_what_is_not_a_message_is_refused(text: str):
    with pytest.raises(MalformedMessage) as caught:
        decode(text, 1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_bytes_that_are_not_utf8_are_refused_wherever_they_stand():
    for raw in (AGG.replace("BTCUSDT", "BTC\xff").encode("latin-1"), AGG.replace('"E":5', '"E":"\xff"').encode("latin-1")):
        with pytest.raises(MalformedMessage):
            decode(raw, 1)


def reference(raw: bytes) -> Event | None:
    """What a trade or quote message says, by the standard library; None when it is neither or not JSON."""
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if not isinstance(fields.get("e"), str) and isinstance(fields.get("stream"), str) and isinstance(fields.get("data"), dict):
        fields = fields["data"]
    if not isinstance(fields.get("e"), str) or fields.get("st", 1) != 1:
        return None
    try:
        match fields["e"]:
            case "aggTrade":
                ids = fields["a"], fields["f"], fields["l"]
                return Trade(fields["s"], ids[0], fields["p"], fields["q"], fields["T"], 1, fields["m"], *ids[1:], TradeKind.AGGREGATE)
            case "trade":
                market = fields.get("X", "MARKET") == "MARKET"
                number = fields["t"]
                return Trade(
                    fields["s"], number, fields["p"], fields["q"], fields["T"], 1, fields["m"], number, number, TradeKind.RAW, market
                )
            case "bookTicker":
                return Quote(fields["s"], fields["u"], fields["b"], fields["B"], fields["a"], fields["A"], fields["T"], 1)
    except KeyError:
        pass
    return None


MESSAGES = st.sampled_from([text for plain in (AGG, RAW, BOOK) for text in (plain, wrapped(plain))])


@settings(max_examples=300)
@given(MESSAGES, st.data())
def test_damaged_messages_are_refused_or_read_as_the_reference_reads_them(text: str, data: st.DataObject):
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "drop", "double", "digit"])):
            case "flip":
                raw[at] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[max(at, 1) :]
            case "drop" if len(raw) > 1:
                del raw[at]
            case "double":
                raw[at:at] = raw[at : at + data.draw(st.integers(1, 20))]
            case _:
                raw[at] = data.draw(st.sampled_from(list(b'0123456789"{}[],:.eE-')))
    try:
        event = decode(bytes(raw), 1)
    except MalformedMessage:
        return
    if isinstance(event, (Trade, Quote)):
        assert event == reference(bytes(raw))
