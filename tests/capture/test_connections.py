"""What the venue may do to a connection, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from itertools import pairwise

import pytest
from pydantic import ValidationError

from pipeline.capture.remembering import recalled
from pipeline.settings import Settings
from pipeline.venues.admission import Admission

BTC = "btcusdt@aggTrade"


def said(caplog, event):
    return [record for record in caplog.records if record.message == event]


def test_a_half_open_connection_is_noticed_in_bounded_time(kit, profile, tmp_path, monkeypatch):
    """Pings are not answered; no stream is missed for long enough to be noticed otherwise."""
    for name, seconds in {"_PING_EVERY_S": 0.3, "_PONG_WITHIN_S": 0.3, "_CLOSE_TIMEOUT_S": 0.2}.items():
        monkeypatch.setattr(f"pipeline.capture.dialling.{name}", seconds)

    async def story():
        async with (
            kit.scripted_venue() as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, stale_after_s=3_600.0)),
        ):
            await kit.until(lambda: venue.ever and venue.ever[0].sent > 5)
            frozen = time.monotonic()
            venue.freeze(venue.ever[0])
            await kit.until(lambda: len(venue.ever) == 2 and venue.ever[1].sent > 5)
            assert venue.handshakes[1] - frozen < 30  # by the defaults it would take longer
            await kit.until(lambda: kit.clocks_of(profile)[-1]["reconnects"] == 1)
            venue.ever[0].socket.transport.abort()

    asyncio.run(story())


def test_the_default_pings_notice_within_a_minute_and_below_the_venues_limit():
    from pipeline.capture import dialling

    assert dialling._PING_EVERY_S + dialling._PONG_WITHIN_S + dialling._CLOSE_TIMEOUT_S < 60


@pytest.mark.parametrize("status", [429, 418])
def test_a_venue_that_wants_to_be_left_alone_is(kit, profile, tmp_path, caplog, status):
    async def story():
        async with (
            kit.scripted_venue(status=status, headers={"Retry-After": "2"}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path)),
        ):
            await kit.until(lambda: venue.handshakes)
            await asyncio.sleep(0.8)
            assert len(venue.handshakes) <= 2  # both routes may have been on their way
            asked = venue.asked["/fapi/v1/time"]
            await asyncio.sleep(0.1)
            assert venue.asked["/fapi/v1/time"] == asked
            venue.status = None
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 3)
            return venue.handshakes

    began, *others = asyncio.run(story())
    assert sum(at - began < 1.9 for at in others) <= 1
    assert any(f"HTTP {status}" in record.why for record in said(caplog, "venue cannot be reached, trying again"))


def test_a_ban_told_over_rest_stops_connecting_too(kit, profile, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)

    async def story():
        async with (
            kit.scripted_venue(time_status=418, headers={"Retry-After": "3"}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: venue.asked["/fapi/v1/time"] and venue.ever and venue.ever[0].sent > 3)
            venue.ever[0].socket.transport.abort()
            await kit.until(lambda: said(caplog, "waiting before connecting"))
            await kit.until(lambda: len(venue.ever) == 2)
            assert venue.handshakes[1] - venue.handshakes[0] > 2.0

    asyncio.run(story())


@pytest.mark.parametrize("status", [403, 451])
def test_a_refused_address_is_said_plainly_and_does_not_hammer(kit, profile, tmp_path, caplog, status):
    async def story():
        async with (
            kit.scripted_venue(status=status) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, reconnect_max_s=0.01)),
        ):
            await kit.until(lambda: venue.handshakes)
            await asyncio.sleep(0.8)
            return len(venue.handshakes)

    assert asyncio.run(story()) == 1
    [record] = said(caplog, "venue cannot be reached, trying again")
    assert f"HTTP {status}" in record.why
    assert "does not serve some regions" in record.why
    assert record.retry_in_s >= 300


def test_connecting_never_exceeds_the_limit_of_the_address(kit, profile, tmp_path, monkeypatch):
    """A venue that throws every connection out at once, on both routes."""
    monkeypatch.setattr("pipeline.capture.remembering.Admission", lambda: Admission(connects=4, window_s=1.0))

    async def story():
        async with kit.scripted_venue(status=500) as venue:
            async with kit.capturing(profile, kit.settings_for(venue, tmp_path, reconnect_max_s=0.001)):
                await kit.until(lambda: len(venue.handshakes) > 8)
            return venue.handshakes

    handshakes = asyncio.run(story())
    assert all(later - earlier > 0.6 for earlier, later in zip(handshakes, handshakes[4:], strict=False))


def test_a_ban_and_the_attempts_outlive_a_restart(kit, profile, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.capture.remembering._EVERY_S", 0.02)
    attempts = profile.path / "connects-capture.json"

    async def story():
        async with kit.scripted_venue(status=418, headers={"Retry-After": "4"}) as venue:
            settings = kit.settings_for(venue, tmp_path, quotes=False)
            async with kit.capturing(profile, settings):
                await kit.until(lambda: attempts.exists() and json.loads(attempts.read_text())["held_s"] > 1)
            venue.status = None
            async with kit.capturing(profile, settings):
                await asyncio.sleep(0.3)
                assert len(venue.handshakes) == 1
                await kit.until(lambda: venue.ever and venue.ever[0].sent > 3)
                await kit.until(lambda: len(json.loads(attempts.read_text())["ages"]) == 2)
            assert venue.handshakes[1] - venue.handshakes[0] > 3.5

    asyncio.run(story())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at":"x","ages":[],"held_s":0}', '{"at":0,"ages":3,"held_s":0}'])
def test_a_damaged_memory_is_as_good_as_none(tmp_path, caplog, content):
    path = tmp_path / "connects.json"
    path.write_text(content)
    assert recalled(path).wait_s(time.monotonic()) == 0
    assert said(caplog, "attempts to connect are not remembered")


def test_commands_stay_below_ten_a_second(kit, profile, publish, tmp_path):
    symbols = [f"S{number:03d}USDT" for number in range(200)]
    publish(*symbols)

    async def story():
        async with (
            kit.scripted_venue(period_s=0.5) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)) as task,
        ):
            await kit.until(lambda: venue.sessions and len(venue.sessions[0].streams) == 200)
            for version in range(2, 4):
                publish(*(f"T{version}{number:03d}USDT" for number in range(200)), version=version)
                await asyncio.sleep(0.9)
            await kit.until(lambda: venue.sessions[0].streams == {f"t3{number:03d}usdt@aggTrade" for number in range(200)})
            assert not task.done()
            return venue.ever

    [session] = asyncio.run(story())
    assert len(session.times) > 8
    assert all(later - earlier > 0.9 for earlier, later in zip(session.times, session.times[9:], strict=False))
    assert max(len(command["params"]) for command in session.commands) <= 50


@pytest.mark.parametrize("text", ["4:30", "24:00", "04:60", "04:30:00", "soon", ""])
def test_a_time_of_rotation_is_a_time_of_day(text):
    with pytest.raises(ValidationError):
        Settings(rotate_at=text)


def test_a_life_that_the_venue_would_end_is_refused():
    with pytest.raises(ValidationError):
        Settings(connection_hours=24)


def test_the_time_of_rotation_and_the_place_reach_every_connection(kit, profile, tmp_path, monkeypatch):
    asked = []

    def rotate(opened_s, **options):
        asked.append((opened_s, options))
        return 1.0 if len(asked) <= 2 else 3_600.0

    monkeypatch.setattr("pipeline.capture.keeper.rotate_after_s", rotate)

    async def story():
        async with (
            kit.scripted_venue() as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, rotate_at="04:30", connection_hours=20)),
        ):
            await kit.until(lambda: len(venue.ever) == 4 and len(venue.sessions) == 2)
            await kit.until(lambda: venue.sessions[0].sent > 10)

    asyncio.run(story())
    assert {options["place"] for _, options in asked} == {0, 1}
    assert all((options["life_s"], options["at_s"]) == (72_000, 16_200) for _, options in asked)
    assert all(abs(opened_s - time.time()) < 60 for opened_s, _ in asked)
    ids = sorted(set(kit.ids_of(profile, BTC)))
    assert all(later == earlier + 1 for earlier, later in pairwise(ids))


def test_a_late_answer_on_the_old_socket_confirms_nothing_on_the_new(kit, profile, tmp_path, caplog, monkeypatch):
    """The new connection delivers and is never answered; the old one brings the very answers that it waits for."""
    monkeypatch.setattr("pipeline.capture.keeper._PROOF_S", 1.0)

    async def story():
        async with (
            kit.scripted_venue(silent_about={1}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: venue.ever and venue.ever[0].sent > 5)
            old = venue.ever[0]
            await old.socket.send('{"e":"serverShutdown","E":1770123456789}')
            await kit.until(lambda: len(venue.ever) == 2 and venue.ever[1].commands and venue.ever[1].sent > 5)
            for command in (*old.commands, *venue.ever[1].commands):
                await old.socket.send(json.dumps({"result": None, "id": command["id"]}))
            await asyncio.sleep(0.5)
            assert old in venue.sessions  # not replaced by a connection that nobody has confirmed
            await kit.until(lambda: said(caplog, "new connection is no better, keeping the old one"))
            await kit.until(lambda: len(venue.ever) == 3 and venue.sessions == [venue.ever[2]])  # which was answered

    asyncio.run(story())
    ids = sorted(set(kit.ids_of(profile, BTC)))
    assert all(later == earlier + 1 for earlier, later in pairwise(ids))


def test_symbols_change_while_one_connection_takes_over_from_another(kit, profile, publish, tmp_path):
    publish("BTCUSDT", "ETHUSDT")

    async def story():
        async with (
            kit.scripted_venue(silent_about={1}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: venue.ever and venue.ever[0].sent > 5)
            await venue.ever[0].socket.send('{"e":"serverShutdown","E":1770123456789}')
            await kit.until(lambda: len(venue.ever) == 2 and venue.ever[1].commands)
            publish("BTCUSDT", "SOLUSDT", version=2)  # between the two
            await kit.until(lambda: venue.ever[1].streams == {BTC, "solusdt@aggTrade"})
            venue.silent_about.clear()
            await venue.ever[0].socket.close()
            await kit.until(lambda: venue.sessions and venue.sessions[-1].streams == {BTC, "solusdt@aggTrade"})
            await kit.until(lambda: len(kit.ids_of(profile, "solusdt@aggTrade")) > 5)

    asyncio.run(story())
