"""Capture away for some seconds in a running market: what it missed comes back over REST, and only the bars that it touches change."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, nullcontext
from threading import Lock

import polars as pl
import pytest

from pipeline.jobs.repair_gaps import Place, repair_gaps
from pipeline.jobs.resample import resample
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.settings import Settings
from pipeline.simulator import SimulatorConfig, serve
from pipeline.store import open_local
from pipeline.warehouse import Engine

SYMBOLS = ("BTCUSDT", "ETHUSDT")


@asynccontextmanager
async def simulator():
    stop, ports = asyncio.Event(), asyncio.Queue()
    serving = asyncio.create_task(serve(SimulatorConfig(port=0), stop, ready=ports.put_nowait))
    try:
        yield await ports.get()
    finally:
        stop.set()
        await serving


@pytest.mark.slow
def test_capture_that_was_away_misses_nothing_in_the_end(kit, profile, publish):
    publish(*SYMBOLS)
    settings = Settings(fsync_ms=20, timeframes=("1s", "5s"), symbols=SYMBOLS, quotes=False)
    warehouse = open_local(profile)
    engine = Engine(profile, settings, warehouse)

    def rows(sql):
        return warehouse.select(sql)

    def heard_since(since_ns):
        return {message["data"]["s"] for at, message in kit.lines_of(profile) if at > since_ns and "stream" in message}

    def land():
        engine.land_everything()
        resample(warehouse, settings.parsed_timeframes, run="test")

    async def story():
        async with simulator() as port:
            base = f"ws://127.0.0.1:{port}"
            chosen = settings.model_copy(
                update={"ws_market_url": f"{base}/market", "ws_public_url": f"{base}/public", "rest_url": f"http://127.0.0.1:{port}"}
            )
            for pause_s in (4, 0):
                since_ns = time.time_ns()
                async with kit.capturing(profile, chosen):
                    await kit.until(lambda since=since_ns: heard_since(since) == set(SYMBOLS))
                    await asyncio.sleep(4)
                await asyncio.sleep(pause_s)
            land()
            gaps = rows("SELECT symbol, first_missing, last_missing, state FROM gaps ORDER BY symbol")
            assert gaps["symbol"].to_list() == list(SYMBOLS)
            assert set(gaps["state"]) == {"open"}
            before = rows("SELECT * FROM bars ORDER BY ALL")
            with VenueRest(f"http://127.0.0.1:{port}") as rest:
                place = Place(
                    warehouse,
                    open_journal(profile, settings),
                    rest,
                    profile.trade_stream,
                    settings.parsed_timeframes,
                    landed=engine.land_everything,
                    klines_turn=nullcontext,
                )
                found = await asyncio.to_thread(repair_gaps, place)
            land()
            return gaps, before, found

    try:
        gaps, before, found = asyncio.run(story())
        missing = {symbol: last - first + 1 for symbol, first, last, _ in gaps.iter_rows()}
        assert {row.symbol: (row.fetched, row.left, row.state) for row in found} == {
            symbol: (n, 0, "refilled") for symbol, n in missing.items()
        }
        assert rows("SELECT count(*) FROM coverage").item() == len(SYMBOLS)  # one interval each: nothing is missing
        assert rows("SELECT count(*) - count(DISTINCT (symbol, trade_id)) FROM ticks").item() == 0
        refilled = rows("SELECT symbol, CAST(sum(CASE WHEN source = 'repair' THEN 1 ELSE 0 END) AS BIGINT) AS n FROM ticks GROUP BY symbol")
        assert dict(refilled.iter_rows()) == missing

        after = rows("SELECT * FROM bars ORDER BY ALL")
        span = rows("SELECT min(from_time) AS low, max(to_time) AS high FROM gaps").row(0)
        key = ["symbol", "timeframe", "ts"]
        outside = (
            pl.col("ts") + pl.when(pl.col("timeframe") == "1s").then(pl.duration(seconds=1)).otherwise(pl.duration(seconds=5)) <= span[0]
        ) | (pl.col("ts") > span[1])
        quiet = before.filter(outside)
        assert quiet.height > 5
        assert quiet.equals(after.join(quiet.select(key), on=key, how="semi").sort(before.columns))
        # Seconds that were there and got trades: their next revision. New ones: their first.
        second = "make_timestamptz(epoch_us(event_time) // 1000000 * 1000000)"
        touched = rows(f"SELECT DISTINCT symbol, {second} AS ts FROM ticks WHERE source = 'repair'")
        old = before.filter(timeframe="1s").join(touched, on=["symbol", "ts"], how="semi")
        new = after.filter(timeframe="1s").join(old.select("symbol", "ts"), on=["symbol", "ts"], how="semi")
        assert (new["revision"] - old["revision"]).to_list() == [1] * old.height
        fresh = after.filter(timeframe="1s").join(before.filter(timeframe="1s"), on=key, how="anti")
        assert set(fresh["revision"]) == {0}
        assert fresh.height == touched.height - old.height
    finally:
        engine.close()
        warehouse.close()


@pytest.mark.slow
def test_a_refill_beside_a_live_capture_loses_nothing_at_its_end(kit, profile, publish, monkeypatch):
    """The stream goes on, on real sockets, while answers are waited for and landed."""
    publish(*SYMBOLS)
    settings = Settings(fsync_ms=20, symbols=SYMBOLS, quotes=False)
    warehouse = open_local(profile)
    engine = Engine(profile, settings, warehouse)
    turns = Lock()

    def land():
        with turns:
            engine.land_everything()

    def open_gaps():
        return warehouse.select("SELECT count(*) FROM gaps WHERE state = 'open'").item()

    def heard_since(since_ns):
        return {message["data"]["s"] for at, message in kit.lines_of(profile) if at > since_ns and "stream" in message}

    def refill(port):
        with VenueRest(f"http://127.0.0.1:{port}") as rest:
            get = rest.get

            def slow(request):
                land()
                answer, asked_ns, deadline = get(request), time.time_ns(), time.monotonic() + 5
                while not heard_since(asked_ns) and time.monotonic() < deadline:
                    time.sleep(0.02)
                return answer  # and between the answer and its landing the stream has gone on

            monkeypatch.setattr(rest, "get", slow)
            timeframes = settings.parsed_timeframes
            return repair_gaps(Place(warehouse, open_journal(profile, settings), rest, profile.trade_stream, timeframes, land, nullcontext))

    async def story():
        async with simulator() as port:
            base = f"ws://127.0.0.1:{port}"
            addresses = {"ws_market_url": f"{base}/market", "ws_public_url": f"{base}/public", "rest_url": f"http://127.0.0.1:{port}"}
            chosen = settings.model_copy(update=addresses)
            async with kit.capturing(profile, chosen):
                await kit.until(lambda: heard_since(0) == set(SYMBOLS))
            await asyncio.sleep(2)  # a market of some trades a second
            async with kit.capturing(profile, chosen):
                back_ns = time.time_ns()
                await kit.until(lambda: heard_since(back_ns) == set(SYMBOLS))
                await asyncio.to_thread(land)
                assert open_gaps()
                times = [time.time_ns()]
                found = await asyncio.to_thread(refill, port)
                times.append(time.time_ns())
                await asyncio.sleep(0.5)
            return found, times

    try:
        found, (began_ns, ended_ns) = asyncio.run(story())
        land()
        assert {row.state for row in found} == {"refilled"}
        during = sum(began_ns < at < ended_ns and "stream" in message for at, message in kit.lines_of(profile))
        assert during > 0  # the stream did go on
        assert warehouse.select("SELECT count(*) FROM coverage").item() == len(SYMBOLS)  # one interval each: nothing is missing
        assert warehouse.select("SELECT count(*) - count(DISTINCT (symbol, trade_id)) FROM ticks").item() == 0
        newest = {message["data"]["s"]: message["data"]["a"] for _, message in kit.lines_of(profile) if "stream" in message}
        assert dict(warehouse.select("SELECT symbol, max(trade_id) FROM ticks GROUP BY symbol").iter_rows()) == newest
    finally:
        engine.close()
        warehouse.close()
