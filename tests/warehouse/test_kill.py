"""The warehouse process, killed with -9 again and again while the journal grows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pipeline.errors import WarehouseUnavailable
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.store import Role, connect, open_local

T0 = 1_723_161_300_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
KILLS = 3


class Feed(threading.Thread):
    """Appends trades and clock lines to the journal as capture does, a few hundred a commit."""

    def __init__(self, directory, trade):
        super().__init__()
        self.ended = threading.Event()
        self.written = 0
        self._trade = trade
        self._writer = JournalWriter(directory, fsync_s=0.05, segment_bytes=200_000, segment_seconds=3_600)

    def run(self):
        while not self.ended.wait(0.1):
            for _ in range(150):
                number = self.written // 2
                time_ms = T0 + 3 * number
                line = self._trade(SYMBOLS[self.written % 2], 1 + number, time_ms, f"{60_000 + number % 977 / 10:.1f}", qty="0.125")
                recv_ns, _, raw = line.partition(b" ")
                self._writer.append(int(recv_ns), raw)
                self.written += 1
            self._writer.append(time_ms * 1_000_000, b'{"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}')
            self._writer.commit()
        self._writer.close()


def start(directory, port):
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(directory),
        "SPREADWATCH_WAREHOUSE_PORT": str(port),
        "SPREADWATCH_BATCH_MAX_LINES": "2000",
    }
    environment |= {"SPREADWATCH_TRADE_STREAM": "trade", "SPREADWATCH_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "pipeline.cli", "warehouse", "--profile", "kill"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def landed(profile):
    try:
        with connect(profile, Role.READER) as warehouse:
            return warehouse.select("SELECT count(*) FROM ticks").item()
    except WarehouseUnavailable:
        return -1


def wait_until(profile, process, condition, limit_s=60):
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        if condition(count := landed(profile)):
            return count
        time.sleep(0.1)
    msg = f"{landed(profile)} landed in {limit_s} s"
    raise AssertionError(msg)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_tick_is_there_once_after_kills(tmp_path, trade):
    profile = open_profile(tmp_path, "kill", Kind.SIMULATED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    feed = Feed(profile.journal / "capture", trade)
    feed.start()
    process = start(tmp_path, port)
    try:
        have = 0
        for _ in range(KILLS):
            have = wait_until(profile, process, lambda count, have=have: count > have)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            process = start(tmp_path, port)
        wait_until(profile, process, lambda count, have=have: count > have)
        feed.ended.set()
        feed.join()
        wait_until(profile, process, lambda count: count == feed.written)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
    finally:
        feed.ended.set()
        feed.join()
        if process.poll() is None:
            process.kill()
            process.communicate()
    with open_local(profile) as tables:
        half = feed.written // 2
        counts = tables.select(
            "SELECT symbol, count(*), count(DISTINCT trade_id), min(trade_id), max(trade_id) FROM ticks GROUP BY symbol ORDER BY 1"
        )
        assert counts.rows() == [(symbol, half, half, 1, half) for symbol in SYMBOLS]
        assert tables.select("SELECT * FROM gaps").is_empty()
        assert tables.select("SELECT * FROM coverage ORDER BY symbol").rows() == [(symbol, 1, half) for symbol in SYMBOLS]
        lines = tables.select("SELECT lines FROM ingest_offsets WHERE source = 'capture'").item()
        assert lines == feed.written + feed.written // 150
        assert tables.select("SELECT count FROM landing_counts WHERE name = 'trades'").item() == feed.written
        # Bars are what the ticks say, though they were written by many lives.
        wrong = tables.select(
            """SELECT symbol, ts, sum(trades), sum(volume) FROM (
                   SELECT symbol, ts, trades, volume FROM bars_1s
                   UNION ALL SELECT symbol, date_trunc('second', event_time), -1, -qty FROM ticks
               ) GROUP BY ALL HAVING sum(trades) <> 0 OR sum(volume) <> 0"""
        )
        assert wrong.is_empty()
