"""A backfill killed with -9 at random points, or its warehouse under it: run again, the tables are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import WarehouseUnavailable
from pipeline.model.event import TradeKind
from pipeline.model.universe import Universe
from pipeline.profile import Kind, open_profile, publish_universe
from pipeline.store import Role, connect, open_local

KILLS = 3
TABLES = {
    "klines": "SELECT * EXCLUDE (fetched_at) FROM klines ORDER BY symbol, timeframe, ts",
    "ticks": "SELECT * EXCLUDE (recv_time) FROM ticks ORDER BY symbol, trade_id",
    "bars_1s": "SELECT * EXCLUDE (revision) FROM bars_1s ORDER BY symbol, ts",
    "coverage": "FROM coverage ORDER BY symbol, first_id",
    "open gaps": "FROM gaps WHERE state <> 'refilled'",
    "partitions": """SELECT asset, partition, complete, "rows", fingerprint, revision, first_ts, last_ts
                     FROM partitions WHERE asset IN ('klines', 'trades') ORDER BY asset, partition""",
}


class Bench:
    """One profile, and commands on it in processes of their own."""

    def __init__(self, directory, name, url, end):
        self.profile = open_profile(directory, name, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        publish_universe(self.profile, Universe(("OPUSDT", "ARBUSDT"), (), 1))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = {"data_dir": str(directory), "profile": name, "warehouse_port": str(port), "rest_url": url, "archive_url": url}
        given |= {"symbols": "OPUSDT,ARBUSDT", "pairs": "OPUSDT/ARBUSDT", "log_level": "ERROR", "batch_max_lines": "5000"}
        self._environment = os.environ | {f"SPREADWATCH_{key.upper()}": value for key, value in given.items()}
        start = end - timedelta(days=2)
        self._orders = [
            ["--what", "klines", "--from", start.isoformat(), "--to", end.isoformat()],
            ["--symbol", "OPUSDT", "--what", "trades", "--source", "archive", "--from", start.isoformat(), "--to", end.isoformat()],
        ]

    def command(self, *arguments):
        full = [sys.executable, "-m", "pipeline.cli", *arguments]
        return subprocess.Popen(full, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def backfills(self):
        return [lambda order=order: self.command("backfill", *order) for order in self._orders]

    def serve(self):
        process = self.command("warehouse")
        for _ in range(600):
            if process.poll() is not None:
                said = process.communicate()[0]
                # On a busy machine somebody's outgoing connection may have the port for a moment.
                assert "cannot be listened on" in said, said
                process = self.command("warehouse")
            try:
                connect(self.profile, Role.READER).close()
            except WarehouseUnavailable:
                time.sleep(0.1)
            else:
                return process
        msg = "no warehouse in a minute"
        raise AssertionError(msg)

    def tables(self):
        with open_local(self.profile) as warehouse:
            return {name: warehouse.select(query) for name, query in TABLES.items()}


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def finish(process):
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_backfills_run_again_give_the_tables_of_an_undisturbed_one(tmp_path, own_venue_url):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    calm = Bench(tmp_path, "calm", own_venue_url, today)
    spent = []
    for start in calm.backfills():
        began = time.monotonic()
        finish(start())
        spent.append(time.monotonic() - began)
    expected = calm.tables()
    assert expected["ticks"].height > 150_000
    assert expected["klines"].height == 2 * 2 * (1_440 + 288)
    assert expected["partitions"]["complete"].all()
    assert expected["partitions"]["revision"].sum() == 0
    assert expected["open gaps"].is_empty()

    chance = random.Random(11)
    alone = Bench(tmp_path, "alone", own_venue_url, today)
    for start, seconds in zip(alone.backfills(), spent, strict=True):
        for _ in range(KILLS):
            process = start()
            try:
                process.wait(chance.uniform(0.3, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                kill(process)
            else:
                finish(process)
        finish(start())
    same(alone.tables(), expected)

    served = Bench(tmp_path, "served", own_venue_url, today)
    warehouse = served.serve()
    try:
        for start, seconds in zip(served.backfills(), spent, strict=True):
            for number in range(KILLS):
                process = start()
                time.sleep(chance.uniform(0.3, 1.0) * seconds)
                if number % 2:
                    kill(process)
                else:
                    kill(warehouse)
                    assert "Traceback" not in process.communicate(timeout=120)[0]
                    warehouse = served.serve()
            finish(start())
        warehouse.send_signal(signal.SIGTERM)
        finish(warehouse)
    finally:
        if warehouse.poll() is None:
            kill(warehouse)
    same(served.tables(), expected)


def same(found, expected):
    for name, table in expected.items():
        assert found[name].equals(table), name
