"""Archive and backup beside a running warehouse process: readers see every row once at every moment, backups are one moment."""

from __future__ import annotations

import os
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
from pipeline.jobs.backup import backup, restore
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import Role, connect, open_local
from pipeline.warehouse import Engine

T0 = 1_772_409_600_000
DAY_MS = 86_400_000
DAYS = 6
PER_DAY = 3_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
AGES = Ages(timedelta(hours=1), timedelta(hours=1), timedelta(hours=1), None)


def start(directory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(directory),
        "SPREADWATCH_WAREHOUSE_PORT": str(port),
        "SPREADWATCH_TRADE_STREAM": "trade",
        "SPREADWATCH_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "pipeline.cli", "warehouse", "--profile", "run"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Feed(threading.Thread):
    """Trades of both symbols with ids that go up by one, for as long as it is let."""

    def __init__(self, profile, trade):
        super().__init__()
        self.ended = threading.Event()
        self.number = 0
        self._trade = trade
        self._writer = JournalWriter(profile.journal / "ingest", fsync_s=0.05, segment_bytes=300_000, segment_seconds=3_600)

    def write(self, count):
        for _ in range(count):
            time_ms = T0 + self.number * DAY_MS // PER_DAY
            for symbol in SYMBOLS:
                recv_ns, _, raw = self._trade(symbol, self.number, time_ms, f"{100 + self.number % 97}.5").partition(b" ")
                self._writer.append(int(recv_ns), raw)
            self.number += 1
        self._writer.commit()

    def run(self):
        while not self.ended.wait(0.02):
            self.write(20)
        self._writer.close()


class Watch(threading.Thread):
    """Counts over Quack again and again."""

    def __init__(self, profile):
        super().__init__()
        self.ended = threading.Event()
        self.seen = set()
        self.looks = 0
        self._profile = profile

    def run(self):
        with connect(self._profile, Role.READER) as warehouse:
            while not self.ended.is_set():
                found = warehouse.select(
                    """SELECT (SELECT count(*) FROM ticks), (SELECT sum(trade_id) FROM ticks), (SELECT sum(trades) FROM bars_1s),
                              (SELECT count(*) FROM (SELECT DISTINCT symbol, trade_id FROM ticks))"""
                )
                self.seen.add(found.row(0))
                self.looks += 1


def count(profile):
    try:
        with connect(profile, Role.READER) as warehouse:
            return warehouse.select("SELECT count(*) FROM ticks").item()
    except SpreadwatchError:
        return -1


def wait_for(profile, number, process):
    until = time.monotonic() + 90
    while count(profile) < number:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readers_and_backups_see_one_moment(tmp_path, trade):
    profile = open_profile(tmp_path, "run", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    feed = Feed(profile, trade)
    feed.write(DAYS * PER_DAY)
    process = start(tmp_path)
    try:
        total = 2 * DAYS * PER_DAY
        wait_for(profile, total, process)
        watch = Watch(profile)
        watch.start()
        with connect(profile, Role.WRITER) as warehouse:
            done = archive(warehouse, profile, AGES, run="test")
        watch.ended.set()
        watch.join()
        assert len(done) == 2 * 2 * (DAYS - 1)
        numbers = DAYS * PER_DAY
        assert watch.seen == {(total, numbers * (numbers - 1), total, total)}
        assert watch.looks > 5

        feed.start()
        wait_for(profile, total + 100, process)
        backups = [tmp_path / f"{number}.tar.zst" for number in range(3)]
        landed = []
        for path in backups:
            backup(profile, path, settings=Settings())
            landed.append(count(profile))
            with connect(profile, Role.WRITER) as warehouse:
                archive(warehouse, profile, AGES, run="test")
        assert landed == sorted(landed)
        assert landed[-1] > landed[0]  # it went on landing
        assert not list(profile.run.glob("copy-*"))
    finally:
        feed.ended.set()
        if feed.is_alive():
            feed.join()
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output

    for number, path in enumerate(backups):
        restored = restore(tmp_path, path, name=f"restored{number}")
        with open_local(restored) as tables:
            before = check(tables)
            engine = Engine(restored, Settings(), tables)
            engine.land_everything()
            engine.close()
            assert check(tables) >= before  # what was in the journal and not yet landed


def check(tables):
    """Ids of both symbols without hole or repetition, bars of exactly these trades, and an offset that fits; the highest id."""
    rows = tables.select(
        "SELECT symbol, min(trade_id), max(trade_id), count(*), count(DISTINCT trade_id) FROM ticks GROUP BY symbol"
    ).rows()
    assert len(rows) == 2
    for symbol, first, last, number, distinct in rows:
        assert (first, number, distinct) == (0, last + 1, last + 1), symbol
    assert tables.select("SELECT sum(trades) FROM bars_1s").item() == sum(row[3] for row in rows)
    assert sorted(tables.select("SELECT * FROM coverage").rows()) == sorted((symbol, 0, last) for symbol, _, last, _, _ in rows)
    assert tables.select("SELECT lines FROM ingest_offsets WHERE source = 'ingest'").item() == sum(row[3] for row in rows)
    return rows[0][2]
