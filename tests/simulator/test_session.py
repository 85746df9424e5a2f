from __future__ import annotations

import json

import pytest

from pipeline.simulator.session import Session
from pipeline.simulator.streams import Address, Route, StreamKind, parse_address, parse_stream


def say(session: Session, **request):
    return json.loads(session.answer(json.dumps(request)))


def opened(path: str) -> Session:
    address = parse_address(path)
    assert address is not None
    return Session.opened(address)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/market/ws", Address(Route.MARKET, combined=False, streams=())),
        ("/market/ws/btcusdt@aggTrade", Address(Route.MARKET, combined=False, streams=("btcusdt@aggTrade",))),
        ("/public/ws/a@bookTicker/b@bookTicker", Address(Route.PUBLIC, combined=False, streams=("a@bookTicker", "b@bookTicker"))),
        ("/market/stream?streams=a@aggTrade/b@trade", Address(Route.MARKET, combined=True, streams=("a@aggTrade", "b@trade"))),
        ("/public/stream", Address(Route.PUBLIC, combined=True, streams=())),
        ("/stream?streams=a@aggTrade", Address(Route.UNROUTED, combined=True, streams=("a@aggTrade",))),
        ("/ws", Address(Route.UNROUTED, combined=False, streams=())),
        ("/private/stream", Address(Route.PRIVATE, combined=True, streams=())),
        ("/other/ws", None),
        ("/market", None),
        ("/", None),
    ],
)
def test_addresses(path, address):
    assert parse_address(path) == address


def test_streams_are_delivered_on_their_own_route_alone():
    assert [route for route in Route if route.delivers("btcusdt@trade")] == [Route.MARKET, Route.PUBLIC]
    for stream in ("btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@markPrice@1s"):
        assert [route for route in Route if route.delivers(stream)] == [Route.MARKET]
    for stream in ("btcusdt@bookTicker", "!bookTicker", "btcusdt@depth@0ms", "btcusdt@depth20@100ms", "btcusdt@rpiDepth@500ms"):
        assert [route for route in Route if route.delivers(stream)] == [Route.PUBLIC, Route.UNROUTED]


def test_stream_names():
    stream = parse_stream("btcusdt@kline_1m")
    assert stream is not None
    assert (stream.symbol, stream.kind, stream.interval) == ("BTCUSDT", StreamKind.KLINE, "1m")
    for silent in ("BTCUSDT@aggTrade", "btcusdt@kline_1s", "btcusdt@kline_2m", "btcusdt@markPrice", "!ticker@arr"):
        assert parse_stream(silent) is None


def test_subscriptions_come_and_go():
    session = opened("/market/ws/ethusdt@aggTrade")
    assert say(session, method="SUBSCRIBE", params=["btcusdt@aggTrade", "btcusdt@bookTicker"], id=1) == {"result": None, "id": 1}
    assert say(session, method="LIST_SUBSCRIPTIONS", id=3)["result"] == ["ethusdt@aggTrade", "btcusdt@aggTrade", "btcusdt@bookTicker"]
    assert say(session, method="UNSUBSCRIBE", params=["ethusdt@aggTrade", "never@aggTrade"], id=312) == {"result": None, "id": 312}
    assert say(session, method="LIST_SUBSCRIPTIONS", id=4) == {"result": ["btcusdt@aggTrade", "btcusdt@bookTicker"], "id": 4}
    assert say(session, method="UNSUBSCRIBE", params=["never@aggTrade"], id="d5a1eba7-58f1-4a68-b046-daa50f68edf2")["id"][:4] == "d5a1"
    assert session.answer('{"method":"SUBSCRIBE","params":["a@aggTrade"],"id":7}') == '{"result":null,"id":7}'


def test_properties():
    raw, combined = opened("/market/ws"), opened("/market/stream")
    assert say(raw, method="GET_PROPERTY", params=["combined"], id=2) == {"result": False, "id": 2}
    assert say(combined, method="GET_PROPERTY", params=["combined"], id=2) == {"result": True, "id": 2}
    assert say(raw, method="SET_PROPERTY", params=["combined", True], id=5) == {"result": None, "id": 5}
    assert raw.combined
    assert say(raw, method="SET_PROPERTY", params=["combined", "yes"], id=5)["error"]["code"] == 1
    assert say(raw, method="GET_PROPERTY", params=["other"], id=5)["error"]["code"] == 0


@pytest.mark.parametrize(
    ("text", "code", "request_id"),
    [
        ("{", 3, None),
        ("\xff", 3, None),
        ("[]", 2, None),
        ('{"id":1}', 2, None),
        ('{"method":"SUBSCRIBE","params":["a@b"],"id":"%s"}' % ("x" * 37), 2, None),
        ('{"method":"SUBSCRIBE","params":["a@b"],"id":-1}', 2, None),
        ('{"method":"SUBSCRIBE","params":["a@b"]}', 2, None),
        ('{"method":"ORDER","params":[],"id":9}', 2, 9),
        ('{"method":"SUBSCRIBE","params":"a@b","id":9}', 2, 9),
        ('{"method":"SUBSCRIBE","params":["not asdfads"],"id":9}', 2, 9),
        ('{"method":"SUBSCRIBE","params":["nostream"],"id":9}', 2, 9),
    ],
)
def test_errors_are_the_venues(text, code, request_id):
    session = opened("/market/ws")
    answer = json.loads(session.answer(text))
    assert answer["error"]["code"] == code
    assert answer["id"] == request_id
    assert not session.streams


def test_a_connection_has_a_most_of_streams():
    session = opened("/market/ws")
    most = [f"a{number}@aggTrade" for number in range(1_024)]
    assert say(session, method="SUBSCRIBE", params=most, id=1)["result"] is None
    assert "error" in say(session, method="SUBSCRIBE", params=["one@aggTrade"], id=2)
    assert say(session, method="SUBSCRIBE", params=most[:3], id=3)["result"] is None
