"""`status` beside a warehouse that really runs: the same facts for people and for programs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime

import pytest

from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.supervisor import lock
from pipeline.supervisor import status as supervised
from pipeline.supervisor.spec import State
from pipeline.warehouse import run


def trade(number, price="100.0"):
    now_ms = time.time_ns() // 10**6
    data = {
        "e": "aggTrade",
        "E": now_ms,
        "T": now_ms - 20,
        "s": "BTCUSDT",
        "a": number,
        "f": number,
        "l": number,
        "p": price,
        "q": "1.0",
        "m": True,
    }
    return json.dumps({"stream": "btcusdt@aggTrade", "data": data}).encode()


def clock(at_ns, **more):
    seen = {"btcusdt@aggTrade": {"n": 40, "last_ns": at_ns}, "btcusdt@bookTicker": {"n": 3, "last_ns": at_ns - 100 * 10**9}}
    conns = [{"route": route, "state": "open", "since_ns": at_ns - 10**12} for route in ("market", "public")]
    offset = {"offset_ms": 12.5, "rtt_ms": 3.0, "at_ns": at_ns}
    line = {
        "e": "sw.clock",
        "connected": True,
        "streams": seen,
        "reconnects": 3,
        "conns": conns,
        "buffered": 2_048,
        "waiting": 5,
        "clock": offset,
    }
    return json.dumps({**line, **more}).encode()


class Living(threading.Thread):
    """A warehouse, and something that writes the journal as capture does."""

    def __init__(self, profile, settings):
        super().__init__()
        self.ended = threading.Event()
        self.more = {}
        self._profile, self._settings = profile, settings

    def run(self):
        asyncio.run(self._live())

    async def _live(self):
        stop = asyncio.Event()
        warehouse = asyncio.create_task(run(self._profile, self._settings, stop))
        number = 0
        with JournalWriter(self._profile.journal / "capture", fsync_s=0.01, segment_bytes=1 << 20, segment_seconds=60) as writer:
            while not self.ended.is_set() and not warehouse.done():
                for _ in range(5):
                    number += 2 if number == 20 else 1
                    writer.append(time.time_ns(), trade(number))
                writer.append(time.time_ns(), trade(number))
                writer.append(time.time_ns(), clock(time.time_ns(), **self.more))
                writer.commit()
                await asyncio.sleep(0.1)
        stop.set()
        await warehouse


@pytest.fixture
def living(tmp_path):
    profile = open_profile(tmp_path, "mine", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    thread = Living(profile, Settings(data_dir=tmp_path, warehouse_port=port, metrics_port=0))
    thread.start()
    processes = (supervised.ProcessStatus("warehouse", os.getpid(), State.HEALTHY, 1, time.time(), "log"),)
    with lock.hold(profile.run):
        supervised.write(profile.run, supervised.RunStatus(os.getpid(), time.time(), processes, {"Metrics": "http://127.0.0.1:1/metrics"}))
        yield thread
    thread.ended.set()
    thread.join()


def status(tmp_path, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")}
    command = [sys.executable, "-m", "pipeline.cli", "status", "--profile", "mine", *arguments]
    return subprocess.run(
        command, env={**environment, "SPREADWATCH_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=60
    )


def test_people_and_programs_are_told_the_same(living, tmp_path):
    until = time.monotonic() + 90
    while True:
        done = status(tmp_path, "--json")
        told = json.loads(done.stdout)
        if told["data"].get("streams") and told["data"]["streams"][0]["visible_p99_ms"]:
            break
        assert time.monotonic() < until, done
    assert (done.returncode, told["healthy"], told["running"], told["kind"]) == (0, True, True, "simulated")
    assert told["processes"][0] | {"for_s": 0} == {
        "name": "warehouse", "state": "healthy", "for_s": 0, "pid": os.getpid(), "restarts": 1, "detail": ""
    }  # fmt: skip
    trades, quotes = told["data"]["streams"]
    assert trades["stream"] == "btcusdt@aggTrade"
    assert 20 < trades["wire_p50_ms"] < 1_000  # twenty of the event's age, and what the clocks differ by
    assert trades["wire_p50_ms"] < trades["visible_p50_ms"]
    assert trades["duplicates"] > 0
    assert datetime.fromisoformat(quotes["silent_since"]).tzinfo is not None
    capture = told["data"]["capture"]
    assert (capture["reconnects"], capture["buffered_bytes"], capture["waiting_frames"], capture["clock_offset_ms"]) == (3, 2_048, 5, 12.5)
    assert told["data"]["journal"]["backlog_bytes"]["capture"] >= 0
    assert told["data"]["gaps"] == [{"symbol": "BTCUSDT", "open": 1, "refilled": 0, "unrecoverable": 0, "never_given": 0, "halts": 0}]
    assert told["data"]["landed"]["capture"]["trades"] > 0

    said = status(tmp_path)
    assert said.returncode == 0
    lines = dict(line.split(maxsplit=1) for line in said.stdout.splitlines())
    assert lines["streams"].startswith("1 of 2 delivering")
    assert "silent: btcusdt@bookTicker since " in lines["streams"]
    assert "3 reconnects, 0 messages lost for want of room" in lines["capture"]
    assert "net of the venue's clock, +12.5 ms" in lines["lag"]
    assert lines["gaps"] == "1 open of 1"
    assert lines["Metrics"] == "http://127.0.0.1:1/metrics"

    living.more = {"journal": "no room left", "lost": {"lines": 17, "bytes": 1, "first_ns": 1, "last_ns": 1}}
    while (blocked := status(tmp_path)).returncode == 0:
        assert time.monotonic() < until, blocked
    assert blocked.returncode == 1
    assert "the journal cannot be written: no room left; 3 reconnects, 17 messages lost" in blocked.stdout


def test_a_profile_that_does_not_run_is_said_so_in_json_too(tmp_path):
    open_profile(tmp_path, "mine", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    done = status(tmp_path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"profile": "mine", "kind": "simulated", "running": False, "healthy": False}
