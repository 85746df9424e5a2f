"""The parts of capture, each by itself."""

from __future__ import annotations

import asyncio
import json
import resource
import socket

import pytest

from pipeline.capture.clock import clock_line
from pipeline.capture.committing import Committer
from pipeline.capture.dialling import dial
from pipeline.capture.intake import Intake
from pipeline.capture.keeper import Policy
from pipeline.capture.pool import Pool
from pipeline.errors import RateLimited, RegionBlocked, SettingsError, VenueError, VenueUnavailable
from pipeline.journal import START, JournalReader, JournalWriter
from pipeline.venues import venue as exchange

BTC = "btcusdt@aggTrade"
MESSAGE = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}'
POLICY = Policy(1.0, 30.0, 3_600.0)


def open_writer(directory, **options):
    return JournalWriter(directory, fsync_s=0.0, segment_bytes=1 << 20, segment_seconds=3_600.0, **options)


def test_intake_counts_watched_streams_and_keeps_everything(tmp_path):
    with open_writer(tmp_path) as writer:
        intake = Intake(writer, exchange())
        intake.watch([BTC])
        bare = b'{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1}'
        spaced = b'{"data":{},"stream":"btcusdt@aggTrade"}'
        assert [intake.take(raw) for raw in (MESSAGE, bare, b"", b"{", spaced, b'{"result":null,"id":1}')] == [
            True,
            True,
            False,
            False,
            False,
            False,
        ]
        assert intake.seen()[BTC].n == 2
        last = intake.seen()[BTC].last_ns
        intake.watch(["ethusdt@aggTrade", BTC])
        assert intake.seen()[BTC].last_ns == last
        intake.watch(["ethusdt@aggTrade"])
        assert not intake.take(MESSAGE)
        writer.commit()
        block, _ = JournalReader(tmp_path).read(START, 100)
        assert [line.partition(b" ")[2] for line in block.splitlines()] == [
            MESSAGE,
            bare,
            b"",
            b"{",
            spaced,
            b'{"result":null,"id":1}',
            MESSAGE,
        ]


def test_what_finds_no_room_is_counted_and_told(tmp_path):
    with open_writer(tmp_path, buffer_bytes=200) as writer:
        intake = Intake(writer, exchange())
        intake.watch([BTC])
        for _ in range(5):
            assert intake.take(MESSAGE)
        assert intake.lost.lines == 3
        assert intake.lost.size == 3 * len(MESSAGE)
        assert not intake.note(1, b'{"e":"sw.clock"}' * 10)

        async def line():
            async with asyncio.TaskGroup() as tasks:
                pool = Pool({}, exchange(), intake, POLICY, tasks=tasks)
                return clock_line(pool, intake, Committer(writer, intake, 0.1))

        clock = json.loads(asyncio.run(line()))
        assert clock["lost"]["lines"] == 3
        assert clock["lost"]["first_ns"] <= clock["lost"]["last_ns"]
        assert clock["connected"] is False
        assert clock["conns"] == []
        assert clock["streams"] == {BTC: {"n": 5, "last_ns": intake.seen()[BTC].last_ns}}


def test_a_disk_that_is_full_for_a_while_is_said_and_costs_nothing(tmp_path, caplog):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def story(writer):
        intake = Intake(writer, exchange())
        committer = Committer(writer, intake, 0.01)
        task = asyncio.create_task(committer.run())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
            for _ in range(100):
                intake.take(MESSAGE)
            await asyncio.sleep(0.1)
            assert "free disk space" in str(committer.fault)
            assert len(caplog.records) == 1
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            async with asyncio.timeout(60):
                while committer.fault is not None:  # noqa: ASYNC110 nothing tells it
                    await asyncio.sleep(0.02)
            assert caplog.records[-1].message == "journal is written again"
            assert caplog.records[-1].lost_lines == 0
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            task.cancel()

    with open_writer(tmp_path) as writer:
        asyncio.run(story(writer))
        block, _ = JournalReader(tmp_path).read(START, 1_000)
        assert block.count(b"\n") == 100


def test_a_stream_without_an_address_is_refused(tmp_path):
    async def story():
        async with asyncio.TaskGroup() as tasks:
            with open_writer(tmp_path) as writer:
                pool = Pool({"market": "ws://127.0.0.1:1"}, exchange(), Intake(writer, exchange()), POLICY, tasks=tasks)
                with pytest.raises(SettingsError, match="route 'public'"):
                    pool.want(["btcusdt@bookTicker"])

    asyncio.run(story())


@pytest.mark.parametrize(("status", "error"), [(403, RegionBlocked), (451, RegionBlocked), (429, RateLimited), (503, VenueUnavailable)])
def test_what_the_venue_answers_to_a_handshake(kit, status, error):
    async def story():
        async with kit.scripted_venue(status=status) as venue:
            with pytest.raises(error, match=str(status)):
                await dial(f"ws://127.0.0.1:{venue.port}/market/stream", exchange())

    asyncio.run(story())


def test_who_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("pipeline.capture.dialling._OPEN_TIMEOUT_S", 0.3)
    for name in ("http_proxy", "https_proxy", "all_proxy", "socks_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(VenueUnavailable, match="no answer within"):
            asyncio.run(dial(f"ws://127.0.0.1:{port}/", exchange()))
    with pytest.raises(VenueUnavailable, match=r"127\.0\.0\.1 cannot be reached: connection refused"):
        asyncio.run(dial(f"ws://127.0.0.1:{port}/", exchange()))
    with pytest.raises(VenueUnavailable, match="its name cannot be resolved"):
        asyncio.run(dial("ws://venue.invalid/", exchange()))
    with pytest.raises(VenueError, match="is not a WebSocket address"):
        asyncio.run(dial("http://127.0.0.1/", exchange()))


def test_somebody_else_on_that_port():
    async def story():
        async def answer(_reader, writer):
            writer.write(b"SSH-2.0-something\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(VenueUnavailable, match="cannot be reached"):
            await dial(f"ws://127.0.0.1:{port}/", exchange())
        server.close()
        await server.wait_closed()

    asyncio.run(story())
