"""Faults of streams and of the market, heard by a real client."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from pipeline.errors import MalformedMessage
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.faults import parse_plan
from pipeline.simulator.trades import HOUR_MS
from pipeline.venues.binance import decode

BEGIN = 498_711 * HOUR_MS + 600_000
SPEED = 100.0
STREAM = "btcusdt@aggTrade"


@pytest.fixture
def broken(running, clock):
    """``broken(toml, **config)``: a simulator on which that goes wrong; its market is fast."""

    def run(plan: str, *, start_ms: int = BEGIN, **config):
        config = {"port": 0, "seed": 7, "faults": parse_plan(plan, "plan")} | config
        return running(SimulatorConfig(**config), clock_ms=clock(start_ms, SPEED))

    return run


async def hear(port: int, seconds: float, path: str = f"/market/ws/{STREAM}") -> list[bytes]:
    """Everything that comes, as bytes, until the time is over or the connection is."""
    heard: list[bytes] = []
    async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, close_timeout=0.1) as client:
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(seconds):
                while True:
                    heard.append(await client.recv(decode=False))
    return heard


def ids(heard: list[bytes]) -> list[int]:
    return [json.loads(raw)["a"] for raw in heard]


async def rest_ids(port: int, first: int, last: int, symbol: str = "BTCUSDT") -> list[int]:
    """What the venue gives of these ids, a page of a thousand at a time."""
    found: list[int] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1") as client:
        while first <= last:
            page = (await client.get(f"aggTrades?symbol={symbol}&fromId={first}&limit=1000")).json()
            if not page:
                break
            found += [row["a"] for row in page if row["a"] <= last]
            first = page[-1]["a"] + 1
    return found


def test_skipped_ids_are_missing_from_the_stream_and_given_by_rest(broken):
    async def story():
        async with broken('[[fault]]\nkind = "skip"\nat_s = 1.2\ncount = 7') as port:
            seen = ids(await hear(port, 1.7))
            return seen, await rest_ids(port, seen[0], seen[-1])

    seen, told = asyncio.run(story())
    whole = list(range(seen[0], seen[-1] + 1))
    missing = sorted(set(whole) - set(seen))
    assert missing == list(range(missing[0], missing[0] + 7))
    assert told == whole


def test_the_ids_of_a_hole_are_given_by_nobody_and_the_ledger_says_so(broken, tmp_path):
    path = tmp_path / "ledger"
    plan = '[[fault]]\nkind = "hole"\nat_s = 0.4\ncount = 4\nsymbol = "BTCUSDT"'

    async def story():
        async with broken(plan, ledger=path) as port:
            seen = ids(await hear(port, 0.5))
            return seen, await rest_ids(port, seen[0], seen[-1])

    seen, told = asyncio.run(story())
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    (hole,) = [row for row in rows if "hole" in row]
    first, last = hole["hole"]
    assert last == first + 3
    assert set(range(seen[0], seen[-1] + 1)) - set(seen) == set(range(first, last + 1))
    assert told == seen
    assert [row["a"] for row in rows if "a" in row][: len(seen)] == seen

    async def again():
        """The next process knows of the hole, and so do its candles."""
        async with (
            broken("", start_ms=BEGIN + 120_000, ledger=path) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1") as client,
        ):
            (minute,) = (await client.get(f"klines?symbol=BTCUSDT&interval=1m&startTime={BEGIN}&limit=1")).json()
            trades = (await client.get(f"aggTrades?symbol=BTCUSDT&startTime={BEGIN}&endTime={BEGIN + 59_999}&limit=1000")).json()
            return await rest_ids(port, seen[0], seen[-1]), minute[8], trades

    told, count, trades = asyncio.run(again())
    assert told == seen
    assert not {row["a"] for row in trades} & set(range(first, last + 1))
    assert trades[0]["a"] < first < last < trades[-1]["a"]
    assert count == sum(row["l"] - row["f"] + 1 for row in trades)


def test_duplicates_and_overtaken_messages_lose_nothing(broken):
    plan = """
        [[fault]]
        kind = "duplicate"
        at_s = 0.1
        for_s = 0.2
        chance = 0.5
        [[fault]]
        kind = "reorder"
        at_s = 0.1
        for_s = 0.2
        chance = 0.3
        most_s = 0.1
    """

    async def story():
        async with broken(plan) as port:
            return ids(await hear(port, 0.5))

    seen = asyncio.run(story())
    assert set(range(min(seen), max(seen) + 1)) == set(seen)
    assert len(seen) > len(set(seen))
    in_order = list(dict.fromkeys(seen))
    assert in_order != sorted(in_order)


def test_delayed_messages_come_late_and_in_order(broken):
    async def story():
        plan = '[[fault]]\nkind = "delay"\nat_s = 1.2\nfor_s = 0.4\nby_s = 0.6'
        arrived = []
        async with broken(plan) as port, connect(f"ws://127.0.0.1:{port}/market/ws/{STREAM}", close_timeout=0.1) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(2.6):
                    while True:
                        arrived.append((json.loads(await client.recv())["a"], time.monotonic()))
        return arrived

    arrived = asyncio.run(story())
    seen = [one for one, _ in arrived]
    assert seen == list(range(seen[0], seen[-1] + 1))
    pauses = [later[1] - earlier[1] for earlier, later in pairwise(arrived)]
    assert max(pauses) > 0.4


def test_a_silent_stream_speaks_again_when_it_is_subscribed_again(broken):
    plan = '[[fault]]\nkind = "silence"\nat_s = 0.8\nstream = "btcusdt@aggTrade"'

    async def story():
        async with (
            broken(plan) as port,
            connect(f"ws://127.0.0.1:{port}/market/stream?streams={STREAM}/ethusdt@aggTrade", close_timeout=0.1) as client,
        ):
            seen: list[tuple[float, str]] = []
            begun = time.monotonic()
            asked = False
            while (now := time.monotonic() - begun) < 2.2:
                if now > 1.5 and not asked:
                    asked = True
                    await client.send(json.dumps({"method": "SUBSCRIBE", "params": [STREAM], "id": 1}))
                with suppress(TimeoutError):
                    frame = json.loads(await asyncio.wait_for(client.recv(), 0.05))
                    seen.append((now, frame.get("stream", "")))
        return seen

    seen = asyncio.run(story())
    mine = [now for now, stream in seen if stream == STREAM]
    others = [now for now, stream in seen if stream == "ethusdt@aggTrade"]
    assert any(now < 0.8 for now in mine)
    assert not [now for now in mine if 1.1 < now < 1.4]
    assert [now for now in others if 1.1 < now < 1.4]
    assert [now for now in mine if now > 1.6]


@pytest.mark.parametrize("path", [f"/market/ws/{STREAM}", f"/market/stream?streams={STREAM}"])
def test_malformed_frames_are_read_by_no_decoder(broken, path):
    plan = "\n".join(
        f'[[fault]]\nkind = "malformed"\nat_s = 0.0{at}\ncount = 4\nshape = "{shape}"\nreplace = false'
        for at, shape in enumerate(("truncated", "mutated", "not_json", "not_utf8", "types", "empty", "any"), 1)
    )

    async def story():
        async with broken(plan) as port:
            return await hear(port, 0.6, path)

    bad, good = [], []
    for raw in asyncio.run(story()):
        try:
            decode(raw, 1)
        except MalformedMessage:
            bad.append(raw)
        else:
            good.append(json.loads(raw)["data"]["a"] if "stream" in path else json.loads(raw)["a"])
    assert len(bad) == 28
    assert good == list(range(good[0], good[-1] + 1))  # they came beside the true ones


def test_a_malformed_frame_takes_the_place_of_the_true_one(broken):
    async def story():
        async with broken('[[fault]]\nkind = "malformed"\nat_s = 1.2\ncount = 3\nshape = "truncated"') as port:
            return await hear(port, 1.7)

    good = [json.loads(raw)["a"] for raw in asyncio.run(story()) if raw.endswith(b"}")]
    assert len(set(range(good[0], good[-1] + 1)) - set(good)) == 3


def test_an_oversized_frame_is_valid_and_ends_a_connection_with_a_limit(broken):
    plan = '[[fault]]\nkind = "oversized"\nat_s = 1.2\nbytes = 1_500_000'

    async def patient():
        async with broken(plan) as port:
            return await hear(port, 1.7)

    heard = asyncio.run(patient())
    (large,) = [raw for raw in heard if len(raw) > 1_000_000]
    assert abs(len(large) - 1_500_000) < 100
    assert decode(large, 1) == decode(json.dumps({name: v for name, v in json.loads(large).items() if name != "padding"}), 1)
    seen = ids(heard)
    assert seen == list(range(seen[0], seen[-1] + 1))

    async def strict():
        async with broken(plan) as port, connect(f"ws://127.0.0.1:{port}/market/ws/{STREAM}", close_timeout=0.1) as client:
            async with asyncio.timeout(30):
                while True:
                    await client.recv()

    with pytest.raises(ConnectionClosed) as caught:
        asyncio.run(strict())
    assert caught.value.sent is not None
    assert caught.value.sent.code == 1009
