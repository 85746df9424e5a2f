"""No room on the disk, for real: a limit on the size of files (everywhere), and a small tmpfs (where one may be mounted)."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.capture.committing import Committer
from pipeline.capture.intake import Intake
from pipeline.errors import DiskFull
from pipeline.journal import START, JournalReader, JournalWriter, written_file
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.supervisor.probes import is_healthy
from pipeline.supervisor.spec import FileProbe
from pipeline.venues import venue as exchange

BTC = "btcusdt@aggTrade"
BUFFER = 40_000
SCRIPT = """
import asyncio, functools, os, resource, signal, sys
from pathlib import Path
from pipeline.capture import run
from pipeline.journal import files
from pipeline.logs import configure
from pipeline.profile import load_profile
from pipeline.settings import load_settings

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def largest(profile):
    return max((path.stat().st_size for path in (profile.journal / "capture").glob("*.jnl")), default=0)

async def main():
    settings = load_settings()
    configure(settings.log_level)
    profile = load_profile(settings.data_dir, "test")
    files.JournalWriter = functools.partial(files.JournalWriter, buffer_bytes=int(os.environ["TEST_BUFFER"]))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    loop.add_signal_handler(signal.SIGUSR1, lambda: limit(largest(profile) + 100))
    loop.add_signal_handler(signal.SIGUSR2, lambda: limit(resource.RLIM_INFINITY))
    if "full" in sys.argv:
        limit(100)
    await run(profile, settings, stop)

asyncio.run(main())
"""


class Limit:
    """A process that may not make its files any longer."""

    def __init__(self, root):
        self.root = root
        self.arguments = []
        self.process = None

    def fill(self):
        self.arguments = ["full"]
        self.process.send_signal(signal.SIGUSR1)

    def free(self):
        self.arguments = []
        self.process.send_signal(signal.SIGUSR2)


class Tmpfs:
    """A file system without a byte left."""

    arguments = ()

    def __init__(self, root):
        self.root = root
        self._ballast = root / "ballast"

    def fill(self):
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4_096))
            except OSError:
                return

    def free(self):
        self._ballast.unlink()


@pytest.fixture(params=["limit", "tmpfs"])
def disk(request, tmp_path):
    if request.param == "limit":
        yield Limit(tmp_path)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {mounted.stderr.strip()}")
    try:
        yield Tmpfs(tmp_path)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


async def start(disk, venue, buffer_bytes=BUFFER):
    base = f"127.0.0.1:{venue.port}"
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(disk.root),
        "SPREADWATCH_SYMBOLS": "BTCUSDT",
        "SPREADWATCH_QUOTES": "false",
        "SPREADWATCH_WS_MARKET_URL": f"ws://{base}/market",
        "SPREADWATCH_WS_PUBLIC_URL": f"ws://{base}/public",
        "SPREADWATCH_REST_URL": f"http://{base}",
        "SPREADWATCH_FSYNC_MS": "20",
        "TEST_BUFFER": str(buffer_bytes),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, *disk.arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    disk.process = process
    return process


def whole_lines(path):
    """Every line on disk, durable or not, must be whole."""
    for segment in path.glob("*.jnl"):
        content = segment.read_bytes()
        assert not content or content.endswith(b"\n")
        for line in content.splitlines():
            json.loads(line.partition(b" ")[2])


def holes(ids):
    return (ids[-1] - ids[0] + 1) - len(ids)


@pytest.mark.slow
def test_what_found_no_room_is_counted_and_nothing_is_torn_or_doubled(kit, disk):
    profile = create_profile(disk.root, "test", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00Z")

    async def story():
        async with kit.scripted_venue(period_s=0.002) as venue:
            process = await start(disk, venue)
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 100, 30)
            disk.fill()
            before = venue.ever[0].sent
            await kit.until(lambda: venue.ever[0].sent - before > 2 * BUFFER // 150, 30)  # more than memory may hold
            durable = kit.ids_of(profile, BTC)
            disk.free()
            freed = venue.ever[0].sent
            await kit.until(lambda: kit.ids_of(profile, BTC)[-1] > freed + 100, 30)
            assert kit.ids_of(profile, BTC)[: len(durable)] == durable
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, said
            return said.decode()

    said = asyncio.run(story())
    assert "journal cannot be written" in said
    assert "free disk space" in said
    assert "journal is written again" in said
    whole_lines(profile.journal / "capture")
    ids = kit.ids_of(profile, BTC)
    assert ids == sorted(set(ids))
    lost = kit.clocks_of(profile)[-1]["lost"]
    assert holes(ids) == lost["lines"] > 0  # exactly: what is missing is what capture says
    times = [recv_ns for recv_ns, _ in kit.lines_of(profile)]
    assert times == sorted(times)
    assert times[0] < lost["first_ns"] < lost["last_ns"] < times[-1]
    assert "journal" not in kit.clocks_of(profile)[-1]


def test_a_supervisor_does_not_replace_a_capture_that_waits_for_room(kit, profile, tmp_path, monkeypatch):
    """What waits in memory would be lost with it."""
    monkeypatch.setattr("pipeline.capture.alive._EVERY_S", 0.05)

    def no_room(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def story():
        async with kit.scripted_venue() as venue:
            settings = kit.settings_for(venue, tmp_path, quotes=False)
            async with kit.capturing(profile, settings):
                await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 3)
                with monkeypatch.context() as patch:
                    patch.setattr(os, "fdatasync", no_room)
                    await asyncio.sleep(0.1)
                    durable = kit.ids_of(profile, BTC)
                    written = written_file(profile, settings, "capture")
                    os.utime(written, (0, 0))
                    probe = FileProbe(written, max_age_s=5.0)
                    began, healthy = time.time(), False
                    while not healthy and time.time() < began + 30:
                        await asyncio.sleep(0.02)
                        healthy = await is_healthy(probe, started_at=began)
                    assert healthy
                    assert kit.ids_of(profile, BTC) == durable
                await kit.until(lambda: len(kit.ids_of(profile, BTC)) > len(durable) + 3)

    asyncio.run(story())
    ids = kit.ids_of(profile, BTC)
    assert holes(ids) == 0


def test_an_end_without_room_says_what_is_lost(kit, profile, tmp_path, monkeypatch, caplog):
    def no_room(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def story():
        async with kit.scripted_venue() as venue, kit.capturing(profile, kit.settings_for(venue, tmp_path, quotes=False)):
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 3)
            monkeypatch.setattr(os, "fdatasync", no_room)
            before = venue.ever[0].sent
            await kit.until(lambda: venue.ever[0].sent > before + 10)
            await asyncio.sleep(0.1)

    with pytest.raises(DiskFull, match="free disk space"):
        asyncio.run(story())
    [said] = [record for record in caplog.records if record.message == "messages that waited for the journal are lost"]
    assert said.bytes > 0


@pytest.mark.slow
@pytest.mark.parametrize("disk", ["limit"], indirect=True)
def test_killed_with_9_while_full_and_started_again_while_full(kit, disk):
    profile = create_profile(disk.root, "test", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00Z")

    async def story():
        async with kit.scripted_venue(period_s=0.004) as venue:
            process = await start(disk, venue, 10 * BUFFER)
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > 50, 30)
            disk.fill()
            before = venue.ever[0].sent
            await kit.until(lambda: venue.ever[0].sent > before + 60, 30)
            process.kill()
            _, said = await process.communicate()
            assert b"journal cannot be written" in said
            durable = kit.ids_of(profile, BTC)
            lives = len(venue.ever)
            process = await start(disk, venue, 10 * BUFFER)  # still full
            await kit.until(lambda: len(venue.ever) > lives and venue.ever[-1].sent > 60, 30)
            assert len(kit.ids_of(profile, BTC)) < len(durable) + 40  # a few bytes may have become free where a torn line was cut
            first = venue.ids[BTC] - venue.ever[-1].sent + 1
            disk.free()
            await kit.until(lambda: len(kit.ids_of(profile, BTC)) > len(durable) + 200, 30)
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, said
            assert b"journal cannot be written" in said
            return durable, first

    durable, first = asyncio.run(story())
    whole_lines(profile.journal / "capture")
    ids = kit.ids_of(profile, BTC)
    assert ids == sorted(set(ids))
    assert ids[: len(durable)] == durable
    later = ids[len(durable) :]
    assert later[0] <= first + 5  # what came while there was no room has waited in memory
    assert holes(later) == 0


def test_a_disk_that_stalls_for_long_costs_bounded_memory(tmp_path, monkeypatch, caplog):
    """One fsync that takes as long as the test wants; receiving goes on, memory stays within its bound, and all of it is told."""
    stalled, go_on = threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def slow(handle):
        stalled.set()
        assert go_on.wait(30)
        fdatasync(handle)

    message = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","a":%d}}'
    writer = JournalWriter(tmp_path, fsync_s=0.0, segment_bytes=1 << 30, segment_seconds=3_600.0, buffer_bytes=1 << 20)

    async def story():
        intake = Intake(writer, exchange())
        intake.watch([BTC])
        committer = Committer(writer, intake, 0.01)
        task = asyncio.create_task(committer.run())
        monkeypatch.setattr(os, "fdatasync", slow)
        intake.take(message % 0)
        await asyncio.to_thread(stalled.wait, 10)
        began = time.monotonic()
        for number in range(1, 40_001):  # three times what may wait
            assert intake.take(message % number)
        assert time.monotonic() - began < 25  # nobody waited for the disk, which stalls for thirty
        assert writer.buffered_bytes <= 1 << 20
        assert intake.lost.lines > 20_000
        committer.look()
        assert not caplog.records
        monkeypatch.setattr("pipeline.capture.committing._STALLED_S", 0.0)
        committer.look()
        committer.look()
        assert [record.message for record in caplog.records] == ["journal write stalls, is the disk all right?"]
        assert caplog.records[0].lost_lines == intake.lost.lines
        go_on.set()
        async with asyncio.timeout(60):
            while writer.buffered_bytes:  # noqa: ASYNC110 nothing tells it
                await asyncio.sleep(0.01)
        kept = 40_001 - intake.lost.lines
        for number in range(40_001, 40_101):
            assert intake.take(message % number)
        task.cancel()
        return kept

    kept = asyncio.run(story())
    writer.close()
    with JournalReader(tmp_path) as reader:
        block, _ = reader.read(START, 1 << 20)
    ids = [json.loads(line.partition(b" ")[2])["data"]["a"] for line in block.splitlines()]
    assert ids == [*range(kept), *range(40_001, 40_101)]
