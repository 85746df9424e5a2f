from __future__ import annotations

import asyncio
import gzip
import importlib
import json
import math
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.errors import RecordingError, UsageError
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.frames import REPLAY_END
from pipeline.simulator.recorded import RecordedHistory, scan
from pipeline.simulator.replay import _take_apart

SYMBOLS = ("sushiusdt", "akrousdt", "keepusdt", "ctkusdt")


@pytest.fixture(scope="module")
def capture(market_data):
    """The recorded frames of the smaller capture, in order, and its file."""
    path = market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz"
    with gzip.open(path, "rt") as lines:
        next(lines)
        frames = [line.partition(" ")[2].rstrip() for line in lines]
    return path, frames


def config(*paths, speed=math.inf, **options) -> SimulatorConfig:
    return SimulatorConfig(port=0, replay=paths, speed=speed, **options)


def streams(*kinds: str) -> list[str]:
    return [f"{symbol}@{kind}" for symbol in SYMBOLS for kind in kinds]


async def hear_all(port: int, path: str, names: list[str]) -> list[str]:
    """Everything until the end of the replay."""
    heard = []
    async with connect(f"ws://127.0.0.1:{port}{path}", max_queue=None) as client:
        await client.send(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}))
        async for text in client:
            if text == REPLAY_END:
                return heard
            if '"result":null' not in text:
                heard.append(text)
    raise AssertionError(heard[-1:])


def of(frames: list[str], *kinds: str) -> list[str]:
    return [frame for frame in frames if json.loads(frame)["stream"].partition("@")[2] in kinds]


def test_every_recorded_frame_comes_again_in_order_and_byte_for_byte(running, capture):
    path, recorded = capture

    async def story():
        async with running(config(path)) as port:
            return await asyncio.gather(
                hear_all(port, "/market/stream", streams("aggTrade", "kline_1m")),
                hear_all(port, "/public/stream", streams("bookTicker", "depth@100ms")),
            )

    market, public = asyncio.run(story())
    assert market == of(recorded, "aggTrade", "kline_1m")
    assert public == of(recorded, "bookTicker", "depth@100ms")
    assert len(market) + len(public) == len(recorded)


def test_a_raw_connection_gets_the_inner_message(running, capture):
    path, recorded = capture

    async def story():
        async with running(config(path)) as port:
            both = asyncio.gather(hear_all(port, "/market/ws", ["ctkusdt@aggTrade"]), hear_all(port, "/public/ws", ["ctkusdt@bookTicker"]))
            return (await both)[0]

    wanted = [frame for frame in of(recorded, "aggTrade") if "ctkusdt@" in frame]
    assert [json.loads(text) for text in asyncio.run(story())] == [json.loads(frame)["data"] for frame in wanted]


def test_the_large_capture_comes_complete(running, market_data):
    paths = sorted((market_data / "ws_usdm_20240808").glob("*.gz"))

    async def story():
        async with running(config(*paths)) as port:
            return await asyncio.gather(
                hear_all(port, "/market/stream", ["btcusdt@trade", "ethusdt@trade"]),
                hear_all(port, "/public/stream", ["btcusdt@bookTicker", "ethusdt@bookTicker"]),
            )

    market, public = asyncio.run(story())
    assert [sum(f'"{symbol}@' in text for text in market) for symbol in ("btcusdt", "ethusdt")] == [21_313, 14_076]
    assert [sum(f'"{symbol}@' in text for text in public) for symbol in ("btcusdt", "ethusdt")] == [66_089, 53_992]


def write(path, lines):
    path.write_text("".join(f"{recv_ns} {raw}\n" for recv_ns, raw in lines))
    return path


def trade(number: int, time_ms: int, *, price: str = "100.50") -> str:
    data = {
        "e": "aggTrade",
        "E": time_ms + 5,
        "a": number,
        "s": "AUSDT",
        "p": price,
        "q": "2",
        "f": number,
        "l": number,
        "T": time_ms,
        "m": False,
    }
    return json.dumps({"stream": "ausdt@aggTrade", "data": data}, separators=(",", ":"))


T0 = 1_723_161_255_000


def test_the_pace_is_that_of_the_recording_times_speed_and_latecomers_get_what_comes_after(running, tmp_path):
    lines = [((T0 + 100 * k) * 1_000_000, trade(k + 1, T0 + 100 * k)) for k in range(40)]
    path = write(tmp_path / "a", lines)

    async def story():
        async with running(config(path, speed=2.0)) as port:
            begun = time.monotonic()
            late = asyncio.create_task(_late(port))
            early, _ = await asyncio.gather(
                hear_all(port, "/market/stream", ["ausdt@aggTrade"]), hear_all(port, "/public/stream", ["ausdt@bookTicker"])
            )
            return time.monotonic() - begun, early, await late

    async def _late(port):
        await asyncio.sleep(1.0)
        return await hear_all(port, "/market/stream", ["ausdt@aggTrade"])

    for _ in range(4):  # a busy machine may hold up one of them
        took, early, late = asyncio.run(story())
        assert early == [raw for _, raw in lines]
        assert took > 1.9
        assert len(late) < 30
        assert not late or late == early[-len(late) :]
        if took < 3.0 and late:
            return
    pytest.fail(f"it took {took:.1f} s, expected 2")


def test_one_route_alone_starts_after_three_seconds_and_a_reconnect_after_the_end_is_told_so(running, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.simulator.replay._WAIT_FOR_SECOND_ROUTE_S", 0.3)
    path = write(tmp_path / "a", [(T0 * 1_000_000, trade(1, T0))])

    async def story():
        async with running(config(path)) as port:
            begun = time.monotonic()
            first = await hear_all(port, "/market/stream", ["ausdt@aggTrade"])
            took = time.monotonic() - begun
            return first, took, await hear_all(port, "/market/stream", ["ausdt@aggTrade"])

    first, took, again = asyncio.run(story())
    assert len(first) == 1
    assert took >= 0.3
    assert again == []


def test_the_start_waits_until_a_client_that_subscribes_in_batches_is_done(running, tmp_path):
    path = write(tmp_path / "a", [((T0 + k) * 1_000_000, trade(k + 1, T0 + k)) for k in range(5)])

    async def story():
        async with (
            running(config(path)) as port,
            connect(f"ws://127.0.0.1:{port}/market/stream") as market,
            connect(f"ws://127.0.0.1:{port}/public/stream?streams=ausdt@bookTicker"),
        ):
            for number, name in enumerate(["other@aggTrade", "another@aggTrade", "ausdt@aggTrade"]):
                await market.send(json.dumps({"method": "SUBSCRIBE", "params": [name], "id": number}))
                await asyncio.sleep(0.1)
            return [await market.recv() for _ in range(3 + 5)][3:]

    assert len(asyncio.run(story())) == 5


def test_messages_of_other_types_pass_without_complaint(running, market_data, tmp_path, caplog):
    singles = (market_data / "ws_messages" / "binance_futures_ws_messages.jsonl").read_text().splitlines()
    whole = '{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate","E":1,"s":"BTCUSDT"}]}'
    path = write(tmp_path / "a", list(enumerate([*singles, whole], start=1)))

    async def story():
        async with running(config(path)) as port:
            heard, _ = await asyncio.gather(
                hear_all(port, "/market/stream", ["!markPrice@arr", "btcusdt@ticker", "btcusdt@trade", "ethusdt@trade"]),
                hear_all(port, "/public/stream", ["btcusdt@bookTicker"]),
            )
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1/") as client:
                return heard, (await client.get("klines?symbol=ETHUSDT&interval=1m")).json()

    heard, eth = asyncio.run(story())
    wanted = [text for text in [*singles, whole] if json.loads(text)["stream"].endswith(("@arr", "@ticker", "@trade"))]
    assert heard == wanted
    assert eth == []  # its only trade was the insurance fund's
    assert not [record for record in caplog.records if "indexed" in record.message]


def test_times_can_be_shifted_to_now(running, tmp_path):
    path = write(tmp_path / "a", [((T0 + 10 * k) * 1_000_000, trade(k + 1, T0 + 10 * k)) for k in range(5)])

    async def story():
        async with running(config(path, speed=1.0, shift_to_now=True)) as port:
            heard, _ = await asyncio.gather(
                hear_all(port, "/market/stream", ["ausdt@aggTrade"]), hear_all(port, "/public/stream", ["ausdt@bookTicker"])
            )
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1/") as client:
                return heard, (await client.get("aggTrades?symbol=AUSDT")).json(), (await client.get("time")).json()["serverTime"]

    before = time.time_ns() // 1_000_000
    heard, rows, server_time = asyncio.run(story())
    shifted = [json.loads(text)["data"] for text in heard]
    shift = shifted[0]["T"] - T0
    assert shift % 1_000 == 0
    assert before - 1_000 <= shifted[0]["T"] <= before + 5_000
    assert [(one["T"], one["E"]) for one in shifted] == [(T0 + 10 * k + shift, T0 + 10 * k + 5 + shift) for k in range(5)]
    assert [row["T"] for row in rows] == [one["T"] for one in shifted]
    assert server_time == T0 + 40 + shift


def test_bare_and_unreadable_lines(running, tmp_path):
    bare = json.dumps(json.loads(trade(1, T0))["data"], separators=(",", ":"))
    snapshot = '{"lastUpdateId":1,"bids":[["1","2"]],"asks":[]}'
    clock = '{"e":"sw.clock","connected":true,"streams":{}}'
    path = write(tmp_path / "a", [(1, bare), (2, snapshot), (3, '{"stream":"x'), (4, clock), (5, trade(2, T0 + 1))])

    async def story():
        async with running(config(path)) as port:
            return (
                await asyncio.gather(
                    hear_all(port, "/market/stream", ["ausdt@aggTrade"]), hear_all(port, "/public/stream", ["ausdt@bookTicker"])
                )
            )[0]

    assert asyncio.run(story()) == [f'{{"stream":"ausdt@aggTrade","data":{bare}}}', trade(2, T0 + 1)]


def test_rest_tells_what_the_recording_holds_up_to_the_clock(running, capture):
    path, recorded = capture

    async def story():
        async with running(config(path)) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1/") as client:
            before = (await client.get("aggTrades?symbol=CTKUSDT")).json()
            await asyncio.gather(hear_all(port, "/market/ws", ["ctkusdt@aggTrade"]), hear_all(port, "/public/ws", ["ctkusdt@bookTicker"]))
            after = {
                name: (await client.get(name)).json()
                for name in ("aggTrades?symbol=CTKUSDT", "klines?symbol=CTKUSDT&interval=1m", "exchangeInfo", "time")
            }
            by_id = (await client.get(f"aggTrades?symbol=CTKUSDT&fromId={after['aggTrades?symbol=CTKUSDT'][3]['a']}&limit=2")).json()
            return before, after, by_id

    before, after, by_id = asyncio.run(story())
    wanted = [json.loads(frame)["data"] for frame in of(recorded, "aggTrade") if "ctkusdt@" in frame]
    rows = after["aggTrades?symbol=CTKUSDT"]
    assert before == []
    assert [{name: row[name] for name in "apqflTm"} for row in rows] == [{name: one[name] for name in "apqflTm"} for one in wanted]
    assert by_id == rows[3:5]
    klines = after["klines?symbol=CTKUSDT&interval=1m"]
    assert sum(kline[8] for kline in klines) == sum(one["l"] - one["f"] + 1 for one in wanted)
    assert klines[0][1] == wanted[0]["p"]
    assert klines[-1][4] == wanted[-1]["p"]
    assert sorted(one["symbol"] for one in after["exchangeInfo"]["symbols"]) == sorted(symbol.upper() for symbol in SYMBOLS)
    assert after["time"]["serverTime"] // 1_000 in {1_626_992_771, 1_626_992_770}


@pytest.mark.parametrize("content", [None, "", "neither time nor message\n"])
def test_a_recording_that_holds_nothing_is_named(running, tmp_path, content):
    path = tmp_path / "some.jnl"
    if content is not None:
        path.write_text(content)

    async def story():
        async with running(config(path)):
            pass

    with pytest.raises(RecordingError, match=r"some\.jnl"):
        asyncio.run(story())


def test_messages_that_no_venue_sends_are_no_reason_to_end(monkeypatch, tmp_path, market_data):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    mutate = importlib.import_module("fuzz_mutate")
    mutator = mutate.Mutator(mutate.corpus(market_data, each=20), seed=5)
    messages = [raw for _ in range(6_000) if (raw := mutator.message().strip())[:1] in (b"{", b"[") and b"\n" not in raw]
    found = scan((number, raw) for number, raw in enumerate(messages, 1))
    assert found.frames == len(messages)
    history = RecordedHistory(found, lambda: 10**18, lambda: 0)
    for symbol in found.tapes:
        history.newest(symbol, 10**15, 5)
    assert sum(len(list(_take_apart(raw))) for raw in messages) > 500


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"speed": -1.0}, {"speed": math.nan}, {"speed": 2.0, "shift_to_now": True}])
def test_a_pace_that_cannot_be_is_refused(options):
    with pytest.raises(UsageError):
        SimulatorConfig(**options)
