"""What is spoilt is read by nobody, and what is not spoilt is not touched, whatever else happens to a stream."""

from __future__ import annotations

import json
from random import Random

import pytest

from pipeline.errors import MalformedMessage
from pipeline.simulator.faults.acts import SHAPES, Delay, Duplicate, Malformed, Oversized, Reorder, Skip
from pipeline.simulator.faults.spoil import spoilt
from pipeline.simulator.faults.taps import Frame, tap_of
from pipeline.simulator.frames import wrapped
from pipeline.venues.binance import decode

MESSAGES = {
    "btcusdt@aggTrade": '{"e":"aggTrade","E":1795382635790,"a":1087734276,"s":"BTCUSDT","p":"61800.20","q":"0.010","nq":"0.010",'
    '"f":5,"l":6,"T":1795382635788,"m":true,"st":1}',
    "btcusdt@trade": '{"e":"trade","E":17953826357,"T":17953826357,"s":"BTCUSDT","t":7,"p":"61800.20","q":"0.010","X":"MARKET","m":true}',
    "btcusdt@bookTicker": '{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"1.1","B":"2.2","a":"1.2","A":"3","T":17953826357,"E":17953826357}',
}


@pytest.mark.parametrize("stream", MESSAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_spoilt_message_is_read_by_no_decoder(stream, shape):
    made = set()
    for seed in range(150):
        forms = spoilt(MESSAGES[stream], stream, shape, Random(seed))
        assert forms == spoilt(MESSAGES[stream], stream, shape, Random(seed))
        for raw in forms:
            with pytest.raises(MalformedMessage):
                decode(raw, 1)
        made.add(forms[0])
    assert len(made) >= {"not_json": 8, "empty": 3}.get(shape, 40)


def frame(number: int) -> Frame:
    bare = json.dumps({"e": "aggTrade", "a": number}, separators=(",", ":"))
    return Frame(bare, wrapped("btcusdt@aggTrade", bare))


@pytest.mark.parametrize(
    ("act", "missing"),
    [
        (Skip(count=9), 9),
        (Duplicate(chance=0.5, copies=2), 0),
        (Duplicate(chance=0.5, lag_s=3.0), 0),
        (Delay(by_s=5.0), 0),
        (Reorder(chance=0.5, depth=4, most_s=2.0), 0),
        (Malformed(count=6), 6),
        (Malformed(count=6, replace=False), 0),
    ],
)
def test_a_tap_gives_back_all_that_it_does_not_take(act, missing):
    tap = tap_of(act, "btcusdt@aggTrade", 3)
    out: list[Frame] = []
    for number in range(100):
        if number == 60:
            tap.stop()
        out += tap.due(float(number))
        out += tap.feed(frame(number), float(number))
    out += tap.due(1_000.0)
    assert tap.over
    whole = [one for one in out if not one.spoilt]
    assert len({one.bare for one in whole}) == 100 - missing
    assert all(json.loads(one.whole)["data"] == json.loads(one.bare) for one in whole)
    if isinstance(act, Delay | Skip | Malformed):
        numbers = [json.loads(one.bare)["a"] for one in whole]
        assert numbers == sorted(numbers)
    again, same = (tap_of(act, "btcusdt@aggTrade", 8) for _ in range(2))
    assert [again.feed(frame(number), 0.0) for number in range(20)] == [same.feed(frame(number), 0.0) for number in range(20)]


def test_taps_on_taps_spoil_a_message_once():
    taps = [tap_of(Malformed(count=50), "btcusdt@aggTrade", seed) for seed in range(3)]
    taps.append(tap_of(Oversized(bytes=1_000), "btcusdt@aggTrade", 0))
    for number in range(160):
        frames = [frame(number)]
        for tap in taps:
            frames = [out for one in frames for out in tap.feed(one, 0.0)]
        assert len(frames) == 1
        assert frames[0].spoilt == (number < 150)
    assert all(tap.over for tap in taps)
