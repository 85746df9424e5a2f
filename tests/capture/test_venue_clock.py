"""The venue's clock: asked for, told in the clock line, harmless when it cannot be had."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time

import pytest

from pipeline.capture.venue_clock import VenueClock, measure
from pipeline.errors import MalformedMessage, RateLimited, RegionBlocked, VenueUnavailable
from pipeline.venues import venue as exchange


async def asked(venue, **options):
    return await asyncio.to_thread(measure, f"http://127.0.0.1:{venue.port}", exchange(), **options)


@pytest.mark.parametrize("ahead_ms", [0, 90_000, -1_270])
def test_a_clock_that_is_off_is_measured_to_within_its_round_trip(kit, ahead_ms):
    async def story():
        async with kit.scripted_venue(ahead_ms=ahead_ms) as venue:
            before_ns = time.time_ns()
            found = await asked(venue)
            assert venue.asked["/fapi/v1/time"] == 5
            assert before_ns < found.at_ns < time.time_ns()
            return found

    found = asyncio.run(story())
    assert 0 < found.rtt_ms < 3_000
    assert abs(found.offset_ms - ahead_ms) <= found.rtt_ms / 2 + 1.5  # the venue's milliseconds are cut


def test_the_sample_with_the_shortest_round_trip_is_taken(kit):
    async def story():
        async with kit.scripted_venue() as venue:
            return [(await asked(venue, samples=1)).rtt_ms for _ in range(8)], await asked(venue, samples=8)

    single, best = asyncio.run(story())
    assert best.rtt_ms <= max(single)


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (418, RateLimited), (451, RegionBlocked), (500, VenueUnavailable)])
def test_a_venue_that_does_not_tell(kit, status, error):
    async def story():
        async with kit.scripted_venue(time_status=status, headers={"Retry-After": "17"}) as venue:
            with pytest.raises(error, match=str(status)) as raised:
                await asked(venue)
            assert venue.asked["/fapi/v1/time"] == 1  # never asked again at once
            if error is RateLimited:
                assert raised.value.retry_after_s == 17

    asyncio.run(story())


def test_what_cannot_be_asked(kit, monkeypatch):
    monkeypatch.setattr("pipeline.capture.venue_clock._TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(VenueUnavailable, match="timed out"):
            measure(f"http://127.0.0.1:{port}", exchange())
    for url, why in [
        (f"http://127.0.0.1:{port}", "refused"),
        ("ftp://127.0.0.1", "is not an address"),
        ("fapi.binance.com", "is not an address"),
    ]:
        with pytest.raises(VenueUnavailable, match=why):
            measure(url, exchange())
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(VenueUnavailable, match="socks5 proxy"):
        measure("https://venue.invalid", exchange())
    monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{port}")
    with pytest.raises(VenueUnavailable, match="refused"):
        measure("https://venue.invalid", exchange())


def test_an_answer_that_is_none(kit, monkeypatch):
    async def story():
        async with kit.scripted_venue(time_status=200) as venue:
            with pytest.raises(MalformedMessage, match="time answer"):
                await asked(venue)

    asyncio.run(story())


def test_the_clock_line_tells_the_offset_and_no_time_is_altered_by_it(kit, profile, tmp_path):
    async def story():
        async with (
            kit.scripted_venue(ahead_ms=86_400_000) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: kit.clocks_of(profile) and "clock" in kit.clocks_of(profile)[-1])

    began_ns = time.time_ns()
    asyncio.run(story())
    lines = kit.lines_of(profile)
    assert all(began_ns < recv_ns < time.time_ns() for recv_ns, _ in lines)
    recv_ns, last = lines[-1]
    event = exchange().decode(json.dumps(last), recv_ns)
    assert event.offset.offset_ms == pytest.approx(86_400_000, abs=1_000)
    assert began_ns < event.offset.at_ns < recv_ns
    assert event.buffered_bytes >= 0


@pytest.mark.parametrize("status", [418, 451])
def test_failing_is_said_once_and_a_good_answer_ends_it(kit, caplog, status):
    caplog.set_level(logging.WARNING)

    async def story():
        async with kit.scripted_venue(time_status=500) as venue:
            clock = VenueClock(f"http://127.0.0.1:{venue.port}", exchange(), every_s=0.02, again_s=0.01)
            task = asyncio.create_task(clock.run())
            await kit.until(lambda: venue.asked["/fapi/v1/time"] > 5)
            assert clock.offset is None
            assert len(caplog.records) == 1
            venue.time_status = None
            await kit.until(lambda: clock.offset is not None)
            first = clock.offset.at_ns
            await kit.until(lambda: clock.offset.at_ns > first)  # and it is measured again
            venue.time_status = status
            await kit.until(lambda: len(caplog.records) == 2)
            before = venue.asked["/fapi/v1/time"]
            await asyncio.sleep(0.2)
            assert venue.asked["/fapi/v1/time"] == before  # a ban is waited out, a refusal is not answered with insistence
            task.cancel()

    asyncio.run(story())


def test_our_own_clock_being_set_asks_again(kit, monkeypatch):
    monkeypatch.setattr("pipeline.capture.venue_clock._LOOK_S", 0.01)
    lead = {"ns": 0}
    monkeypatch.setattr("pipeline.capture.venue_clock._lead_ns", lambda: lead["ns"])

    async def story():
        async with kit.scripted_venue() as venue:
            clock = VenueClock(f"http://127.0.0.1:{venue.port}", exchange(), every_s=3_600)
            task = asyncio.create_task(clock.run())
            await kit.until(lambda: clock.offset is not None)
            before = clock.offset.at_ns
            lead["ns"] = 5_000_000_000
            await kit.until(lambda: clock.offset.at_ns > before)
            task.cancel()

    asyncio.run(story())


def test_capture_loads_nothing_heavy():
    code = "import sys, pipeline.capture; print(sorted({'httpx', 'duckdb', 'polars', 'pandas', 'prefect'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
