"""The whole capture against a real WebSocket server and a real journal."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise

import pytest

from pipeline.errors import JournalError
from pipeline.venues import venue as exchange

BTC, ETH, SOL = "btcusdt@aggTrade", "ethusdt@aggTrade", "solusdt@aggTrade"


def contiguous(ids):
    return ids == list(range(ids[0], ids[0] + len(ids)))


def test_everything_received_is_journaled_with_its_time(kit, profile, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue:
            async with kit.capturing(profile, kit.settings_for(venue, tmp_path)):
                await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 50)
                await kit.until(lambda: len(kit.clocks_of(profile)) > 1)
                assert sorted(session.path for session in venue.sessions) == ["/market/stream", "/public/stream"]
            return venue

    venue = asyncio.run(story())
    for session in venue.ever:
        expected = {BTC, ETH} if session.path == "/market/stream" else {"btcusdt@bookTicker", "ethusdt@bookTicker"}
        assert {name for command in session.commands for name in command["params"]} == expected
    lines = kit.lines_of(profile)
    times = [recv_ns for recv_ns, _ in lines]
    assert times == sorted(times)
    for stream in (BTC, ETH, "btcusdt@bookTicker"):
        assert contiguous(kit.ids_of(profile, stream))
        assert kit.ids_of(profile, stream)[0] == 1
    delivered = sum(1 for _, message in lines if "stream" in message)
    assert delivered == sum(session.sent for session in venue.ever)
    answers = [message for _, message in lines if "result" in message]
    assert len(answers) == 2


def test_clock_lines_tell_what_is_true(kit, profile, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)):
            await kit.until(lambda: len(kit.clocks_of(profile)) >= 3 and kit.clocks_of(profile)[-1]["connected"])
            assert len(venue.ever) == 1  # no quotes, no second connection

    asyncio.run(story())
    lines = kit.lines_of(profile)
    *running, last = [(recv_ns, message) for recv_ns, message in lines if message.get("e") == "sw.clock"]
    recv_ns, clock = running[-1]
    before = [message for at, message in lines if at < recv_ns and message.get("stream") == BTC]
    assert clock["streams"][BTC]["n"] == len(before)
    assert clock["streams"][BTC]["last_ns"] == max(at for at, message in lines if at < recv_ns and message.get("stream") == BTC)
    assert clock["connected"] is True
    assert [conn["state"] for conn in clock["conns"]] == ["open"]
    assert clock["conns"][0]["route"] == "market"
    assert clock["conns"][0]["since_ns"] < recv_ns
    assert clock["reconnects"] == 0
    seconds = [at / 1e9 for at, _ in running]
    assert all(0 < int(after) - int(at) <= 3 for at, after in pairwise(seconds))  # one each second, unless the machine is very busy
    assert last[1]["connected"] is False  # the line written when capture ends
    event = exchange().decode(json.dumps(clock), recv_ns)
    assert event.connected
    assert event.streams == 2


def test_without_a_venue_the_clock_goes_on_and_one_line_says_why(kit, profile, tmp_path, caplog):
    caplog.set_level(logging.INFO)

    async def story():
        async with kit.scripted_venue() as venue:
            settings = kit.settings_for(venue, tmp_path, quotes=False)
        async with kit.capturing(profile, settings):  # nobody listens on that port any more
            await kit.until(lambda: len(kit.clocks_of(profile)) >= 2)

    asyncio.run(story())
    assert all(clock["connected"] is False and clock["conns"][0]["state"] == "down" for clock in kit.clocks_of(profile))
    said = [record for record in caplog.records if record.message == "venue cannot be reached, trying again"]
    assert len(said) == 1
    assert "cannot be reached" in said[0].why
    assert "make demo" in said[0].why


def test_a_blocked_region_is_said_plainly_and_tried_again(kit, profile, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("pipeline.venues.backoff.BLOCKED_S", 0.05)

    async def story():
        async with (
            kit.scripted_venue(status=kit.FORBIDDEN) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: any("HTTP 451" in getattr(record, "why", "") for record in caplog.records))
            venue.status = None
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 3)

    asyncio.run(story())
    assert any("region" in getattr(record, "why", "") for record in caplog.records)


def test_a_lost_connection_is_opened_again(kit, profile, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)):
            for round_ in (1, 2):
                await kit.until(lambda: venue.sessions and venue.sessions[-1].sent > 10)
                venue.sessions[0].socket.transport.abort()
                await kit.until(lambda n=round_: len(venue.ever) > n)
            await kit.until(lambda: venue.sessions and venue.sessions[-1].sent > 10)
            await kit.until(lambda: kit.clocks_of(profile) and kit.clocks_of(profile)[-1]["reconnects"] == 2)
            await kit.until(lambda: kit.clocks_of(profile)[-1]["connected"])

    asyncio.run(story())
    ids = kit.ids_of(profile, BTC)
    assert ids == sorted(set(ids))


def test_a_silent_stream_is_subscribed_anew(kit, profile, tmp_path, caplog):
    caplog.set_level(logging.INFO)

    async def story():
        async with (
            kit.scripted_venue(mute={ETH}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, stale_after_s=1.0)),
        ):
            await kit.until(lambda: venue.ever and len(venue.ever[0].commands) >= 3)
            venue.mute.clear()
            await kit.until(lambda: kit.ids_of(profile, ETH))
            return [(command["method"], command["params"]) for command in venue.ever[0].commands[:3]]

    assert asyncio.run(story()) == [("SUBSCRIBE", [BTC, ETH]), ("UNSUBSCRIBE", [ETH]), ("SUBSCRIBE", [ETH])]
    assert any(record.message == "silent streams subscribed anew" for record in caplog.records)
    assert contiguous(kit.ids_of(profile, BTC))


def test_a_stream_that_stays_silent_brings_another_connection_without_loss(kit, profile, tmp_path):
    async def story():
        async with (
            kit.scripted_venue(mute={ETH}) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, stale_after_s=0.5)),
        ):
            await kit.until(lambda: len(venue.ever) == 2 and len(venue.sessions) == 1)
            await kit.until(lambda: venue.sessions[0].sent > 10)

    asyncio.run(story())
    assert contiguous(sorted(set(kit.ids_of(profile, BTC))))


def test_a_whole_connection_that_delivers_nothing_is_changed(kit, profile, tmp_path):
    """The un-routed addresses of the venue behave so: everything is acknowledged, nothing comes."""

    async def story():
        async with (
            kit.scripted_venue(deaf_sessions=1) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, stale_after_s=0.7)),
        ):
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 5)
            assert len(venue.ever) == 2

    asyncio.run(story())


@pytest.mark.parametrize("why", ["shutdown", "life"])
def test_a_planned_change_overlaps_and_loses_nothing(kit, profile, tmp_path, why):
    async def story():
        async with kit.scripted_venue() as venue:
            hours = 1.5 / 3_600 if why == "life" else 23
            async with kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, connection_hours=hours)):
                await kit.until(lambda: venue.sessions and venue.sessions[0].sent > 20)
                if why == "shutdown":
                    await venue.sessions[0].socket.send('{"e":"serverShutdown","E":1770123456789}')
                await kit.until(lambda: len(venue.ever) >= 2 and venue.ever[0] not in venue.sessions)
                sent = venue.ever[1].sent
                await kit.until(lambda: venue.ever[1].sent > sent + 20)
                await kit.until(lambda: kit.clocks_of(profile) and kit.clocks_of(profile)[-1]["connected"])
                assert kit.clocks_of(profile)[-1]["reconnects"] == 0

    asyncio.run(story())
    ids = kit.ids_of(profile, BTC)
    assert len(ids) > len(set(ids))  # both delivered for a moment
    assert contiguous(sorted(set(ids)))


def test_a_new_connection_that_delivers_nothing_never_replaces_a_good_one(kit, profile, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.capture.keeper._PROOF_S", 0.5)

    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)):
            await kit.until(lambda: venue.sessions and venue.sessions[0].sent > 10)
            venue.deaf_sessions = 1
            await venue.sessions[0].socket.send('{"e":"serverShutdown","E":1770123456789}')
            await kit.until(lambda: len(venue.ever) == 3 and len(venue.sessions) == 1)

    asyncio.run(story())
    assert contiguous(sorted(set(kit.ids_of(profile, BTC))))


def test_the_universe_is_followed_while_running(kit, profile, publish, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path)):
            await kit.until(lambda: kit.ids_of(profile, BTC) and kit.ids_of(profile, ETH))  # from the settings
            publish("BTCUSDT", "SOLUSDT")
            await kit.until(lambda: kit.ids_of(profile, SOL) and kit.ids_of(profile, "solusdt@bookTicker"))
            await kit.until(lambda: all("ethusdt" not in name for session in venue.sessions for name in session.streams))
            await kit.until(lambda: "ethusdt@aggTrade" not in kit.clocks_of(profile)[-1]["streams"])
            profile.universe_file.write_text("{ broken")
            await asyncio.sleep(1.2)
            profile.universe_file.unlink()
            await asyncio.sleep(1.2)
            publish("BTCUSDT", version=2)
            await kit.until(lambda: {name for session in venue.sessions for name in session.streams} == {BTC, "btcusdt@bookTicker"})
            assert len(venue.ever) == 2  # never a new connection

    asyncio.run(story())
    assert contiguous(kit.ids_of(profile, BTC))


def test_many_symbols_are_spread_over_connections_in_batches(kit, profile, publish, tmp_path):
    symbols = [f"S{number:03d}USDT" for number in range(230)]
    publish(*symbols)

    async def story():
        async with (
            kit.scripted_venue(period_s=0.5) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: sum(len(session.streams) for session in venue.sessions) == 230)
            assert sorted(len(session.streams) for session in venue.sessions) == [30, 200]
            assert max(len(command["params"]) for session in venue.ever for command in session.commands) <= 50
            assert all("?" not in session.path for session in venue.ever)  # streams are never in the address, which may grow too long
            publish(*symbols[100:], version=2)
            await kit.until(lambda: sum(len(session.streams) for session in venue.sessions) == 130)
            publish(*symbols[200:], version=3)  # the first connection has nothing left to do
            await kit.until(lambda: [len(session.streams) for session in venue.sessions] == [30])

    asyncio.run(story())


def test_refused_streams_are_said(kit, profile, tmp_path, caplog):
    async def story():
        async with (
            kit.scripted_venue(refuse_subscriptions=True) as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)),
        ):
            await kit.until(lambda: sum(record.message == "venue refused streams" for record in caplog.records) == 2)

    asyncio.run(story())
    said = [record for record in caplog.records if record.message == "venue refused streams"]
    assert all("Invalid request" in record.why for record in said)
    assert [record.streams for record in said] == [BTC, ETH]


def test_silence_after_the_end_of_a_replay_is_left_alone(kit, profile, tmp_path):
    async def story():
        async with (
            kit.scripted_venue() as venue,
            kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False, stale_after_s=0.3)),
        ):
            await kit.until(lambda: venue.sessions and venue.sessions[0].sent > 3)
            venue.mute.update({BTC, ETH})
            await venue.sessions[0].socket.send('{"e":"replayEnd"}')
            await asyncio.sleep(1.5)
            assert len(venue.ever) == 1
            assert len(venue.ever[0].commands) == 1

    asyncio.run(story())
    assert any(message == {"e": "replayEnd"} for _, message in kit.lines_of(profile))


def test_odd_messages_are_kept_and_stop_nothing(kit, profile, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)):
            await kit.until(lambda: venue.sessions and venue.sessions[0].sent > 3)
            for odd in ("not json", "", "{}", '{"stream":"x', "[1]", b"\xff\xfe", '{"stream":"late@aggTrade","data":{}}', '{"a":\n1}'):
                await venue.sessions[0].socket.send(odd)
            sent = venue.sessions[0].sent
            await kit.until(lambda: venue.sessions[0].sent > sent + 5)
            assert len(venue.ever) == 1

    asyncio.run(story())
    [segment] = (profile.journal / "capture").glob("*.jnl")
    content = segment.read_bytes()
    for odd in (b" not json\n", b" \xff\xfe\n", b' {"a": 1}\n', b' {"stream":"x\n'):
        assert odd in content


def test_a_second_capture_on_the_same_journal_is_refused(kit, profile, tmp_path):
    from pipeline.capture import run

    async def story():
        async with kit.scripted_venue() as venue:
            settings = kit.settings_for(venue, tmp_path)
            async with kit.capturing(profile, settings):
                await kit.until(lambda: kit.clocks_of(profile))
                with pytest.raises(JournalError, match="one writer"):
                    await run(profile, settings, asyncio.Event())

    asyncio.run(story())


def test_stopping_makes_the_last_message_durable(kit, profile, tmp_path):
    async def story():
        async with kit.scripted_venue() as venue:
            async with kit.capturing(profile, kit.settings_for(venue, tmp_path, fsync_ms=60_000)):
                await kit.until(lambda: venue.sessions and venue.sessions[0].sent > 30)
                assert kit.lines_of(profile) == []
            return venue

    venue = asyncio.run(story())
    delivered = sum(1 for _, message in kit.lines_of(profile) if "stream" in message)
    assert delivered >= sum(session.sent for session in venue.ever) - 10
    assert delivered > 30
