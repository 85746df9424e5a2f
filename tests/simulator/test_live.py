"""The whole simulator over a real socket; its market's clock runs faster than the wall's."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pipeline.errors import PortInUse
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.trades import HOUR_MS

HOUR_START = 498_711 * HOUR_MS
BEGIN = HOUR_START - 15_000
SPEED = 20.0


async def hear(port: int, path: str, params: list[str], seconds: float) -> list[str]:
    """Subscribe, check the acknowledgement, and return what comes until the time is over."""
    heard: list[str] = []
    async with connect(f"ws://127.0.0.1:{port}{path}") as socket_:
        await socket_.send(json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1}))
        assert json.loads(await socket_.recv()) == {"result": None, "id": 1}
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for text in socket_:
                    heard.append(text)  # noqa: PERF401  what has come must outlive the timeout
    return heard


async def drain(client: ClientConnection) -> None:
    """Receive until the connection is closed, which raises."""
    while True:
        await client.recv()


def rest_fields(data: dict) -> dict:
    return {name: data[name] for name in ("a", "p", "q", "nq", "f", "l", "T", "m")}


def test_live_stream_rest_history_and_a_restarted_simulator_tell_the_same(running, clock):
    config = SimulatorConfig(port=0, seed=7)
    symbols = ["btcusdt", "ethusdt", "ltcusdt"]

    async def listen():
        async with running(config, clock_ms=clock(BEGIN, SPEED)) as port:
            return await asyncio.gather(
                hear(port, "/market/stream", [f"{symbol}@aggTrade" for symbol in symbols], 2.0),
                hear(port, "/market/ws", ["ethusdt@aggTrade"], 2.0),
                hear(port, "/public/stream", ["ethusdt@bookTicker"], 2.0),
                hear(port, "/market/ws", ["ethusdt@trade"], 2.0),
            )

    async def look_up(first: dict[str, int], count: dict[str, int]):
        later = HOUR_START + 3_600_000
        async with running(config, clock_ms=lambda: later) as port, httpx.AsyncClient() as client:
            found = {}
            for symbol, first_id in first.items():
                url = f"http://127.0.0.1:{port}/fapi/v1/aggTrades?symbol={symbol}&fromId={first_id}&limit={count[symbol]}"
                found[symbol] = (await client.get(url)).json()
            return found

    combined, bare, quoted, raw = asyncio.run(listen())
    told: dict[str, list[dict]] = {}
    for text in combined:
        frame = json.loads(text)
        assert frame["stream"] == f"{frame['data']['s'].lower()}@aggTrade"
        told.setdefault(frame["data"]["s"], []).append(frame["data"])
    assert set(told) == {symbol.upper() for symbol in symbols}
    for trades in told.values():
        assert [trade["a"] for trade in trades] == list(range(trades[0]["a"], trades[0]["a"] + len(trades)))
        assert all(trade["T"] < trade["E"] < trade["T"] + 100 for trade in trades)
    assert any(trade["T"] < HOUR_START for trade in told["ETHUSDT"])  # across the full hour, without a hole
    assert any(trade["T"] >= HOUR_START for trade in told["ETHUSDT"])

    history = asyncio.run(look_up({s: t[0]["a"] for s, t in told.items()}, {s: len(t) for s, t in told.items()}))
    for symbol, trades in told.items():
        assert history[symbol] == [rest_fields(trade) for trade in trades]

    # every connection hears the same bytes, in its own form
    inner = {json.dumps(data, separators=(",", ":")) for data in told["ETHUSDT"]}
    assert len(inner & set(bare)) > 20
    assert len(set(bare) - inner) < 10  # at the edges only
    fills = [json.loads(text) for text in raw]
    assert [fill["t"] for fill in fills] == list(range(fills[0]["t"], fills[0]["t"] + len(fills)))
    quotes = {data["T"]: data for data in (json.loads(text)["data"] for text in quoted)}
    matched = [(trade, quotes[trade["T"]]) for trade in told["ETHUSDT"] if trade["T"] in quotes]
    assert len(matched) > 20
    assert all(float(quote["b"]) < float(quote["a"]) for _, quote in matched)
    assert all(float(trade["p"]) >= float(quote["a"]) for trade, quote in matched if not trade["m"])
    assert all(float(trade["p"]) <= float(quote["b"]) for trade, quote in matched if trade["m"])


def test_closed_klines_of_the_stream_are_the_klines_of_rest(running, clock):
    async def story():
        async with running(SimulatorConfig(port=0, seed=7), clock_ms=clock(HOUR_START - 70_000, 120.0)) as port:
            heard = await hear(port, "/market/ws", ["ethusdt@kline_1m", "trxusdt@kline_1m", "ethusdt@kline_1h"], 2.0)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1/") as client:
                rest = {
                    (symbol, interval): (await client.get("klines", params={"symbol": symbol, "interval": interval, "limit": 10})).json()
                    for symbol, interval in (("ETHUSDT", "1m"), ("TRXUSDT", "1m"), ("ETHUSDT", "1h"))
                }
            return [json.loads(text) for text in heard], rest

    heard, rest = asyncio.run(story())
    closed = [frame["k"] for frame in heard if frame["k"]["x"]]
    assert len([k for k in closed if k["i"] == "1m"]) >= 6
    assert len([k for k in closed if k["i"] == "1h"]) == 1
    assert len(heard) > 3 * len(closed)
    for k in closed:
        row = next(row for row in rest[k["s"], k["i"]] if row[0] == k["t"])
        assert row == [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], k["B"]]
        assert k["L"] - k["f"] + 1 == k["n"]


def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(running, clock):
    async def story():
        async with running(SimulatorConfig(port=0), clock_ms=clock(BEGIN, SPEED)) as port:
            return await asyncio.gather(
                hear(port, "/public/ws", ["btcusdt@aggTrade"], 0.7),
                hear(port, "/market/ws", ["btcusdt@bookTicker"], 0.7),
                hear(port, "/ws", ["btcusdt@aggTrade"], 0.7),
                hear(port, "/market/ws", ["btcusdt@depth@0ms", "nopeusdt@aggTrade", "BTCUSDT@aggTrade"], 0.7),
                hear(port, "/ws", ["btcusdt@bookTicker"], 0.7),
            )

    *silent, unrouted_quotes = asyncio.run(story())
    assert silent == [[], [], [], []]
    assert unrouted_quotes


def test_unsubscribing_stops_a_stream_and_pings_are_answered(running, clock):
    async def story():
        async with (
            running(SimulatorConfig(port=0), clock_ms=clock(BEGIN, SPEED)) as port,
            connect(f"ws://127.0.0.1:{port}/market/ws/btcusdt@aggTrade", max_queue=None) as client,
        ):
            assert json.loads(await client.recv())["e"] == "aggTrade"
            await asyncio.wait_for(await client.ping(), 30)
            await client.send('{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":2}')
            while "result" not in await client.recv():
                pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recv(), 0.5)

    asyncio.run(story())


def test_more_than_ten_commands_a_second_end_the_connection(running):
    async def story():
        async with running(SimulatorConfig(port=0)) as port, connect(f"ws://127.0.0.1:{port}/market/ws") as client:
            for number in range(12):
                await client.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
            with pytest.raises(ConnectionClosed) as closed:
                await drain(client)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    asyncio.run(story())


def test_the_server_pings(running, monkeypatch):
    monkeypatch.setattr("pipeline.simulator.server._PING_INTERVAL_S", 0.1)

    async def story():
        async with running(SimulatorConfig(port=0)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET /market/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            frame = await asyncio.wait_for(reader.readexactly(1), 30)
            writer.close()
            return frame

    assert asyncio.run(story()) == b"\x89"  # a whole ping frame


def test_rest_over_http(running, now_ms):
    async def story():
        async with (
            running(SimulatorConfig(port=0), clock_ms=lambda: now_ms) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            ping = await client.get("/fapi/v1/ping")
            assert (ping.status_code, ping.json(), ping.headers["X-MBX-USED-WEIGHT-1M"]) == (200, {}, "1")
            assert ping.headers["Content-Type"].startswith("application/json")
            assert (await client.get("/fapi/v1/time")).json() == {"serverTime": now_ms}
            wrong = await client.get("/fapi/v1/klines?symbol=NOPE&interval=1m")
            assert (wrong.status_code, wrong.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})
            assert (await client.get("/elsewhere")).status_code == 404

    asyncio.run(story())


def test_a_port_in_use_is_one_clear_line(running):
    async def story():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(PortInUse, match=f"port {port} of 127.0.0.1 is in use"):
                async with running(SimulatorConfig(port=port)):
                    pass

    asyncio.run(story())


def test_it_stops_with_clients_connected(running):
    async def story():
        async with running(SimulatorConfig(port=0)) as port:
            client = await connect(f"ws://127.0.0.1:{port}/public/stream?streams=btcusdt@bookTicker")
        with pytest.raises(ConnectionClosed):
            await drain(client)

    asyncio.run(asyncio.wait_for(story(), 60))
