"""The warehouse process, killed with -9 at random moments of an archive run, while the journal grows and late trades come."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

from pipeline.errors import SpreadwatchError
from pipeline.jobs.archive import Ages, archive
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import Role, connect, open_local
from pipeline.store.archive import DATASETS, archive_sizes, load_archived
from pipeline.warehouse import Engine

T0 = 1_772_409_600_000
DAY_MS = 86_400_000
DAYS = 5
PER_DAY = 4_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
AGES = Ages(timedelta(hours=1), timedelta(hours=1), timedelta(hours=1), None)
KILLS = 6


def lines(trade, *, late):
    """The trades of five days, those of ``late`` numbers left for the end, and a clock at the end."""
    found = []
    for number in [n for n in range(DAYS * PER_DAY) if n not in late] + sorted(late):
        time_ms = T0 + number * DAY_MS // PER_DAY
        found += [trade(symbol, number, time_ms, f"{100 + number % 97}.5") for symbol in SYMBOLS]
    return found


def start(directory):
    with socket.socket() as probe:  # another one each time: clients of the one that was killed may still hold the old one
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(directory),
        "SPREADWATCH_WAREHOUSE_PORT": str(port),
        "SPREADWATCH_TRADE_STREAM": "trade",
        "SPREADWATCH_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "pipeline.cli", "warehouse", "--profile", "kill"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def write(profile, some):
    with JournalWriter(profile.journal / "ingest", fsync_s=0.05, segment_bytes=1 << 26, segment_seconds=3_600) as writer:
        for line in some:
            recv_ns, _, raw = line.partition(b" ")
            writer.append(int(recv_ns), raw)


def attempt(profile, ended):
    """Archive what is due, again and again, as the schedule and its retries would."""
    while not ended.is_set():
        try:
            with connect(profile, Role.WRITER) as warehouse:
                archive(warehouse, profile, AGES, run="kill")
        except SpreadwatchError:
            pass  # killed under it
        ended.wait(0.05)


def wait_for(profile, count, process, limit_s=90):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        try:
            with connect(profile, Role.READER) as warehouse:
                if warehouse.select("SELECT count(*) FROM ticks").item() == count:
                    return
        except SpreadwatchError:
            pass
        time.sleep(0.2)
    msg = f"{count} ticks were not there within {limit_s} s"
    raise AssertionError(msg)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled(tmp_path, trade):
    chance = random.Random(5)
    late = {chance.randrange(2 * PER_DAY) for _ in range(20)}
    feed = lines(trade, late=late)
    profile = open_profile(tmp_path, "kill", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    cut = len(feed) - 2 * len(late)
    write(profile, feed[:cut])
    process = start(tmp_path)
    ended = threading.Event()
    runs = threading.Thread(target=attempt, args=(profile, ended))
    try:
        wait_for(profile, cut, process)
        runs.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 2.5))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            process = start(tmp_path)
            wait_for(profile, cut, process)
        write(profile, feed[cut:])  # late trades, into days that are in the archive
        wait_for(profile, len(feed), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = start(tmp_path)
        wait_for(profile, len(feed), process)
        ended.set()
        runs.join()
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
    finally:
        ended.set()
        if process.poll() is None:
            process.kill()
            process.communicate()

    never = open_profile(tmp_path, "never", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    write(never, feed)
    with open_local(never) as its, open_local(profile) as mine:
        engine = Engine(never, Settings(), its)
        engine.land_everything()
        engine.close()
        archive(mine, profile, AGES, run="last")
        named = {profile.archive / file for file in load_archived(mine).filter(state="archived")["file"]}
        assert named == {path for path in profile.archive.rglob("*") if path.is_file()}
        assert sum(archive_sizes(mine)["partitions"]) == 2 * 2 * (DAYS - 1)
        assert load_archived(mine)["revision"].max() >= 1
        for name in (*DATASETS, "coverage"):
            query = f"SELECT * EXCLUDE (source) FROM {name} ORDER BY ALL" if name == "ticks" else f"SELECT * FROM {name} ORDER BY ALL"
            assert mine.select(query).equals(its.select(query)), name
