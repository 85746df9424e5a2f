"""One way for data: what capture heard live (sockets, faults), a replay of it over a socket, and an ingest give the same tables."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from pipeline.capture import run as run_capture
from pipeline.jobs.resample import resample
from pipeline.journal import find_recordings
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.simulator import SimulatorConfig, serve
from pipeline.simulator.faults import Plan, parse_option
from pipeline.store import open_local
from pipeline.warehouse import Engine
from pipeline.warehouse.ingest import ingest

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
LIVE_S = 3.0
SPEED = 40  # of the simulated market: some minutes in these seconds
FAULTS = (
    "skip:every_s=0.6,count=7",
    "duplicate:at_s=0.3,for_s=9,chance=0.1,copies=2,lag_s=0.05",
    "reorder:at_s=0.3,for_s=9,chance=0.1,depth=4,most_s=0.05",
    "malformed:every_s=0.8,replace=false",
    "drop:at_s=1.3",
)
SAME = {
    "ticks": "SELECT * EXCLUDE (recv_time, source) FROM ticks ORDER BY symbol, trade_id",
    "gaps": "SELECT symbol, first_missing, last_missing, state FROM gaps ORDER BY ALL",
    "bars": "SELECT * EXCLUDE (revision) FROM bars ORDER BY symbol, timeframe, ts",
    "quotes": "SELECT * EXCLUDE (recv_time) FROM quotes ORDER BY symbol, update_id",
    "coverage": "SELECT symbol, first_id, last_id FROM coverage ORDER BY ALL",
}
"""Less what depends on arrival: when a line came and from where, and how often a bar was written."""


@contextlib.asynccontextmanager
async def captured(profile, config, clock_ms=None):
    """A venue, and capture listening to it over a socket."""
    stop = asyncio.Event()
    port = asyncio.get_running_loop().create_future()
    more = {} if clock_ms is None else {"clock_ms": clock_ms}
    venue = asyncio.create_task(serve(config, stop, ready=port.set_result, **more))
    address = f"127.0.0.1:{await port}"
    routes = {f"ws_{route}_url": f"ws://{address}/{route}" for route in ("market", "public")}
    # Streams come as they were, so capture may not resubscribe because one is silent; and nothing of the clock's may be refused.
    chosen = Settings(symbols=SYMBOLS, pairs=(), rest_url=f"http://{address}", reconnect_max_s=0.2, stale_after_s=60, fsync_ms=20, **routes)
    end = asyncio.Event()
    capture = asyncio.create_task(run_capture(profile, chosen, end))
    try:
        yield
    finally:
        end.set()
        await capture
        stop.set()
        await venue


def clock(speed):
    """A market that has been going on and is never ahead of us."""
    begun = time.monotonic()
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    return lambda: start_ms + int((time.monotonic() - begun) * 1_000 * speed)


async def heard_live(profile):
    plan = Plan(tuple(parse_option(text, number) for number, text in enumerate(FAULTS, 1)), seed=3)
    async with captured(profile, SimulatorConfig(port=0, faults=plan), clock(SPEED)):
        await until(profile, b'"e":"aggTrade"')
        await asyncio.sleep(LIVE_S)


async def heard_again(profile, recordings):
    async with captured(profile, SimulatorConfig(port=0, replay=recordings, speed=float("inf"))):
        await until(profile, b"replayEnd")


async def until(profile, words):
    """Wait until they are in the journal."""
    async with asyncio.timeout(90):
        while not any(words in path.read_bytes() for path in (profile.journal / "capture").glob("*.jnl")):  # noqa: ASYNC110 -- a file
            await asyncio.sleep(0.05)


def tables(profile, *, land=True):
    with open_local(profile) as warehouse:
        if land:
            engine = Engine(profile, Settings(symbols=SYMBOLS, pairs=()), warehouse)
            engine.land_everything()
            engine.close()
            resample(warehouse, Settings().parsed_timeframes, run="test")
        return {name: warehouse.select(query).rows(named=True) for name, query in SAME.items()}


@pytest.mark.slow
def test_live_replay_and_ingest_of_the_same_messages_give_the_same_tables(tmp_path):
    def profile(name, kind):
        return open_profile(tmp_path, name, kind, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")

    live = profile("live", Kind.SIMULATED)
    asyncio.run(heard_live(live))
    expected = tables(live)
    assert len(expected["ticks"]) > 500
    assert len(expected["quotes"]) > 500
    assert len(expected["gaps"]) >= 3
    assert {bar["timeframe"] for bar in expected["bars"]} == {"1s", "1m", "5m"}

    recordings = find_recordings([live.journal])
    again = profile("again", Kind.RECORDED)
    asyncio.run(heard_again(again, recordings))
    landed = profile("landed", Kind.RECORDED)
    report = ingest(landed, Settings(symbols=SYMBOLS, pairs=()), recordings, lambda *_: None)
    assert report.damage.told().count("malformed message") <= 1

    for found in (tables(again), tables(landed, land=False)):
        for name, rows in expected.items():
            differ = [(a, b) for a, b in zip(rows, found[name], strict=False) if a != b]
            assert (len(found[name]), differ[:3]) == (len(rows), []), name
