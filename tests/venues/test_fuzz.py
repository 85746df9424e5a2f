"""Broken and hostile messages: each is refused, or decodes to what a plain decoder written from the venue's documents finds.

A few seconds here; ``benchmarks/fuzz.py`` goes on for as long as it is told (or set FUZZ_SECONDS).
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("fuzz")


@pytest.fixture
def mutate(fuzz):
    return importlib.import_module("fuzz_mutate")


@pytest.fixture
def real(mutate, market_data):
    return mutate.corpus(market_data)


def test_the_plain_messages_are_what_they_are(fuzz, mutate):
    found = fuzz.Found()
    for raw in mutate.PLAIN:
        fuzz.check_message(raw, found)
    assert found.refused_though_json_allows_it == 0
    kinds = {"trade": 4, "quote": 2, "kline": 1, "unused": 2, "control": 3, "shutdown": 1, "unknown": 2, "end": 1, "own": 1}
    assert dict(found.outcomes) == kinds | {"unused": 3, "unknown": 1}


def test_twisted_messages(fuzz, mutate):
    found = fuzz.campaign(mutate.corpus(None), seed=1, seconds=seconds(1.0))
    assert found.messages >= 96
    assert found.outcomes["refused"] > found.outcomes["trade"] > 0


def test_twisted_real_messages(fuzz, real):
    assert len(real) > 800
    found = fuzz.campaign(real, seed=2, seconds=seconds(1.5))
    assert found.outcomes["refused"]
    assert found.outcomes["trade"]


HOSTILE = {
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "deep and closed": b'{"e":"aggTrade","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep in data": b'{"stream":"s","data":' + b'{"data":' * 100_000 + b"1" + b"}" * 100_001,
    "a long text": b'{"e":"aggTrade","x":"' + b"y" * 10_000_000 + b'"}',
    "a long name": b'{"' + b"n" * 10_000_000 + b'":1}',
    "a long symbol": b'{"e":"bookTicker","u":9,"s":"' + b"B" * 10_000_000 + b'","b":"1","B":"2","a":"1","A":"3","T":4}',
    "a long price": b'{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"' + b"1" * 10_000_000 + b'","B":"2","a":"1","A":"3","T":4}',
    "a long number": b'{"e":"bookTicker","u":' + b"9" * 1_000_000 + b',"s":"BTCUSDT","b":"1","B":"2","a":"1","A":"3","T":4}',
    "a long type": b'{"e":"' + b"t" * 1_000_000 + b'"}',
    "blanks": b" " * 1_000_000 + b'{"e":"newThing"}' + b" " * 1_000_000,
    "many members": b'{"e":"newThing",' + b",".join(b'"m%d":%d' % (n, n) for n in range(100_000)) + b"}",
    "one member many times": b'{"e":"newThing",' + b",".join([b'"a":1'] * 200_000) + b"}",
    "NUL bytes": b"\x00" * 1_000,
    "UTF-16": '{"e":"newThing"}'.encode("utf-16"),
    "UTF-8 with a mark": b'\xef\xbb\xbf{"e":"newThing"}',
    "surrogates in UTF-8": b'{"e":"newThing","x":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"e":"newThing","x":"\xc0\xaf"}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages(fuzz, name):
    raw = HOSTILE[name]
    found = fuzz.Found()
    fuzz.check_message(raw, found)
    fuzz.check_block(b"1723161255088176367 " + raw + b"\n1723161255088176368 " + raw)
    assert found.slowest_s < 2


@given(st.binary(max_size=300), st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_anything_at_all(raw, text):
    fuzz = importlib.import_module("fuzz")
    found = fuzz.Found()
    for one in (raw, text.encode(), b'{"e":"trade","s":' + raw + b"}"):
        fuzz.check_message(one, found)
    fuzz.check_block(raw)
    fuzz.check_block(b"1723161255088176367 " + raw + b"\n")


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2))
AMOUNTS = st.one_of(
    st.decimals(allow_nan=False, places=8, min_value=0, max_value=10**11).map(str),
    st.from_regex(r"[0-9]{1,12}\.?[0-9]{0,9}", fullmatch=True),
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_member_may_be_anything(data):
    import json

    fuzz, mutate = importlib.import_module("fuzz"), importlib.import_module("fuzz_mutate")
    message = json.loads(data.draw(st.sampled_from(mutate.PLAIN[:7])))
    inner = message.get("data", message)
    inner = inner.get("k", inner)
    for name in data.draw(st.lists(st.sampled_from(sorted(inner)), max_size=2)):
        inner[name] = data.draw(AMOUNTS if isinstance(inner[name], str) and data.draw(st.booleans()) else VALUES)
    raw = json.dumps(message, ensure_ascii=data.draw(st.booleans()), separators=(",", ":")).encode(errors="surrogatepass")
    fuzz.check_message(raw, fuzz.Found())
    fuzz.check_block(b"1723161255088176367 " + raw.replace(b"\n", b" ") + b"\n")


@pytest.fixture(autouse=True)
def _benchmarks_are_found(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def seconds(usual):
    return float(os.environ.get("FUZZ_SECONDS", usual))
