"""Faults of connections, of REST and of the clock, met by real clients."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from pipeline.model.event import Shutdown
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.faults import parse_plan
from pipeline.venues.binance import decode

PATH = "/market/ws/btcusdt@aggTrade/ethusdt@aggTrade/solusdt@aggTrade/xrpusdt@aggTrade/dogeusdt@aggTrade"


@pytest.fixture
def broken(running):
    """``broken(toml)``: a simulator on which that goes wrong."""

    def run(plan: str, **options):
        return running(SimulatorConfig(port=0, seed=7, faults=parse_plan(plan, "plan")), **options)

    return run


def ended(broken, plan: str, path: str = PATH) -> tuple[ConnectionClosed, list[str]]:
    """How one connection ends, and what it heard."""

    async def story():
        heard: list[str] = []
        async with broken(plan) as port, connect(f"ws://127.0.0.1:{port}{path}") as client, asyncio.timeout(30):
            try:
                while True:
                    heard.append(await client.recv())
            except ConnectionClosed as error:
                return error, heard

    return asyncio.run(story())


async def has_begun(caplog) -> None:
    """Wait until the fault of a plan is there."""
    async with asyncio.timeout(30):
        while not any(record.getMessage() == "simulator.fault_began" for record in caplog.records):  # noqa: ASYNC110 -- a log
            await asyncio.sleep(0.01)


def test_drop_is_a_tcp_reset(broken, caplog):
    with caplog.at_level(logging.INFO, logger="pipeline.simulator"):
        error, _ = ended(broken, '[[fault]]\nkind = "drop"\nat_s = 0.1')
    assert isinstance(error, ConnectionClosedError)
    assert error.rcvd is None
    assert isinstance(error.__cause__, ConnectionResetError)
    told = {record.getMessage(): vars(record) for record in caplog.records}
    assert told["simulator.fault_began"]["kind"] == "drop"
    assert told["simulator.fault_began"]["hits"].startswith("market:")
    assert "simulator.fault_ended" in told


def test_close_has_its_code(broken):
    error, _ = ended(broken, '[[fault]]\nkind = "close"\nat_s = 0.1\ncode = 1012\nreason = "service restart"')
    assert error.rcvd is not None
    assert (error.rcvd.code, error.rcvd.reason) == (1012, "service restart")


def test_life_ends_every_connection_that_is_too_old(broken):
    begun = time.monotonic()
    error, _ = ended(broken, '[[fault]]\nkind = "life"\nafter_s = 0.25')
    assert 0.25 <= time.monotonic() - begun < 20
    assert error.rcvd is not None
    assert error.rcvd.code == 1001


@pytest.mark.parametrize("path", [PATH, PATH.replace("/ws/", "/stream?streams=")])
def test_shutdown_is_announced_before_the_end(broken, path):
    error, heard = ended(broken, '[[fault]]\nkind = "shutdown"\nat_s = 0.1\ngrace_s = 0.2\nroute = "market"', path)
    assert error.rcvd is not None
    assert error.rcvd.code == 1001
    assert any(isinstance(decode(text, 1), Shutdown) for text in heard)


def test_a_half_open_socket_stays_and_answers_nothing(broken, caplog):
    caplog.set_level(logging.INFO, logger="pipeline.simulator")

    async def story():
        async with (
            broken('[[fault]]\nkind = "half_open"\nat_s = 1.5') as port,
            connect(f"ws://127.0.0.1:{port}{PATH}", ping_interval=None, close_timeout=0.1, max_queue=None) as client,
        ):
            await (await client.ping())
            await has_begun(caplog)
            heard = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    while True:  # what was sent before
                        await client.recv()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.4):
                    while True:
                        await client.recv()
                        heard += 1
            pong = await client.ping()
            await asyncio.sleep(0.1)
            async with connect(f"ws://127.0.0.1:{port}{PATH}", max_queue=None) as other:  # the venue itself is well
                await (await other.ping())
            return heard, pong.done(), client.state.name

    assert asyncio.run(story()) == (0, False, "OPEN")


def test_a_slow_connection_gets_everything_late(broken, clock):
    plan = '[[fault]]\nkind = "slow"\nat_s = 0\nfor_s = 2.0\nbytes_per_s = 400'

    async def story():
        fast = clock(1_795_360_123_456, 10.0)
        async with broken(plan, clock_ms=fast) as port, connect(f"ws://127.0.0.1:{port}{PATH}", close_timeout=0.1) as client:
            begun = time.monotonic()
            early, late = 0, []
            with suppress(TimeoutError):
                async with asyncio.timeout(3.0):
                    while True:
                        text = await client.recv()
                        if time.monotonic() - begun < 1.0:
                            early += len(text)
                        late.append(json.loads(text))
            return early, late

    early, frames = asyncio.run(story())
    assert 0 < early < 600  # what is quick is thousands
    for symbol in ("BTCUSDT", "ETHUSDT"):
        mine = [frame["a"] for frame in frames if frame["s"] == symbol]
        assert mine == list(range(mine[0], mine[0] + len(mine)))


def test_refused_connections_do_not_end_the_open_ones(broken, caplog):
    caplog.set_level(logging.INFO, logger="pipeline.simulator")

    async def story():
        async with (
            broken('[[fault]]\nkind = "refuse"\nat_s = 0.5\nfor_s = 2') as port,
            connect(f"ws://127.0.0.1:{port}{PATH}", max_queue=None) as client,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1") as rest,
        ):
            await has_begun(caplog)
            with pytest.raises(ConnectionRefusedError):
                await connect(f"ws://127.0.0.1:{port}{PATH}")
            with pytest.raises(httpx.ConnectError):
                await rest.get("ping")
            await (await client.ping())
            async with asyncio.timeout(30):
                while True:
                    with suppress(httpx.ConnectError):
                        return (await rest.get("ping")).status_code
                    await asyncio.sleep(0.05)

    assert asyncio.run(story()) == 200


def test_rest_answers_errors_and_leaves_ping_alone(broken):
    plan = "\n".join(
        f'[[fault]]\nkind = "status"\nat_s = 0\nfor_s = 60\ncode = {code}\npath = "{path}"\n{more}'
        for code, path, more in (
            (429, "aggTrades", "retry_after_s = 3"),
            (418, "klines", "retry_after_s = 120"),
            (503, "exchangeInfo", ""),
            (451, "time", 'on = "both"'),
            (403, "/market/", 'on = "ws"'),
        )
    )

    async def story():
        async with broken(plan) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1") as client:
            await asyncio.sleep(0.05)
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{port}{PATH}")
            answers = [await client.get(path) for path in ("aggTrades", "klines", "exchangeInfo", "time", "ping")]
            return refused.value.response.status_code, answers

    handshake, answers = asyncio.run(story())
    assert handshake == 403
    assert [answer.status_code for answer in answers] == [429, 418, 503, 451, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["3", "120", None, None, None]
    assert [answer.json().get("code") for answer in answers] == [-1003, -1003, -1001, 0, None]


def test_a_skewed_clock_is_told_and_a_skewed_market_lives_by_it(broken):
    now = 1_795_360_123_456

    async def told(plan: str) -> tuple[int, int]:
        async with broken(plan, clock_ms=lambda: now) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fapi/v1") as client:
            await asyncio.sleep(0.05)
            time_ = (await client.get("time")).json()["serverTime"]
            last = (await client.get("aggTrades?symbol=BTCUSDT&limit=1")).json()[0]["T"]
            return time_ - now, last - now

    off, last = asyncio.run(told('[[fault]]\nkind = "skew"\nms = -2500'))
    assert off == -2_500
    assert -5_000 < last <= 0
    off, last = asyncio.run(told('[[fault]]\nkind = "skew"\nms = 40000\nevents = true'))
    assert off == 40_000
    assert 30_000 < last <= 40_000
