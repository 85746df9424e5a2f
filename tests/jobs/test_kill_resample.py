"""Resample and liquidity killed at random points, and the warehouse under them: the next run leaves the tables of an undisturbed one."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import WarehouseUnavailable
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, open_profile
from pipeline.store import LocalWarehouse, Role, connect, open_local
from pipeline.store.bars import FROM_TICKS, bucket

pytestmark = pytest.mark.slow

DAYS = 3
TABLES = {
    "bars_resampled": "SELECT * EXCLUDE (revision) FROM bars_resampled ORDER BY timeframe, symbol, ts",
    "liquidity": "SELECT * FROM liquidity ORDER BY timeframe, symbol, ts",
    "partitions": "SELECT * EXCLUDE (made_at, run, batch) FROM partitions ORDER BY asset, partition",
    "resample_cursors": "SELECT * FROM resample_cursors ORDER BY timeframe",
    "mark_cursors": "SELECT * FROM mark_cursors ORDER BY consumer",
}

_SERVE = """
import sys
from pathlib import Path
from pipeline.profile import load_profile
from pipeline.store import open_local
from pipeline.store.access import Gatekeeper
from pipeline.store.quack import serve
from pipeline.store.warehouse import publish_endpoint

profile, port = load_profile(Path(sys.argv[1]), "kill"), int(sys.argv[2])
with open_local(profile) as local:
    endpoint = publish_endpoint(profile, "127.0.0.1", port)
    keeper = Gatekeeper({token: role for role, token in endpoint.tokens.items()})
    serve(local.connection, host="127.0.0.1", port=port, gatekeeper=keeper, server_token="s" * 32)
    print("serving", flush=True)
    sys.stdin.read()
"""

_WORK = """
import sys
from pathlib import Path
from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.resample import resample
from pipeline.jobs.turn import turn
from pipeline.model.timeframe import Timeframe
from pipeline.profile import load_profile
from pipeline.store import Role, connect

frames = [Timeframe.parse(name) for name in ("1s", "1m", "5m")]
profile = load_profile(Path(sys.argv[1]), "kill")
print("ready", flush=True)
sys.stdin.readline()
with turn(profile, "resample"), connect(profile, Role.WRITER) as warehouse:
    resample(warehouse, frames, run="killed")
    measure_liquidity(warehouse, ["BTCUSDT", "ETHUSDT"], frames[1:], window=20, every_s=3600, run="killed")
print("finished", flush=True)
"""


def fill(warehouse: LocalWarehouse) -> None:
    """Days of a trade every other second of two symbols, all of them over, as landing would have left them."""
    run = warehouse.connection.execute
    run("INSERT INTO timeframes VALUES ('1s', 1), ('1m', 60), ('5m', 300)")
    run(
        f"""INSERT INTO ticks_recent
            SELECT symbol, n, 100 + (hash(n, symbol) % 500) / 100, 1 + (hash(n) % 90) / 10, t, t, n % 3 = 0, n, n, 'capture'
            FROM (SELECT unnest(['BTCUSDT', 'ETHUSDT']) AS symbol),
                 (SELECT n, TIMESTAMPTZ '2026-03-01 23:59:58+00' + to_seconds(2 * n) AS t FROM range(1, {DAYS} * 43200 + 2) r(n))"""
    )
    run(
        f"""INSERT INTO bars_1s_recent BY NAME
            SELECT symbol, {bucket("event_time", "1")} AS ts, {FROM_TICKS}, 0 AS revision FROM ticks GROUP BY ALL"""
    )
    run("INSERT INTO dirty_marks SELECT 1, symbol, ts FROM bars_1s")
    run("INSERT INTO coverage SELECT symbol, 0, max(trade_id) FROM ticks GROUP BY symbol")
    run(f"INSERT INTO journal_clock VALUES (TIMESTAMPTZ '2026-03-02 00:00:10+00' + to_days({DAYS}), 1, 1000, FALSE, now())")


class Stage:
    """A served profile, and workers that are killed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.profile: Profile = open_profile(directory, "kill", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        with open_local(self.profile) as warehouse:
            fill(warehouse)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.server = self._start(_SERVE, str(self.port), says="serving")

    def _start(self, text: str, *arguments: str, says: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", text, str(self.directory), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == f"{says}\n"
        return process

    def restart_server(self) -> None:
        end(self.server)
        self.server = self._start(_SERVE, str(self.port), says="serving")

    def worker(self) -> subprocess.Popen[str]:
        """A run that begins at once."""
        process = self._start(_WORK, says="ready")
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return process

    def finish(self) -> None:
        """One run that nobody disturbs."""
        process = self.worker()
        assert process.stdout is not None
        assert process.stdout.readline() == "finished\n"
        end(process)

    def tables(self) -> dict[str, pl.DataFrame]:
        with connect(self.profile, Role.READER) as warehouse:
            return {name: warehouse.select(sql) for name, sql in TABLES.items()}


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(20)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pl.DataFrame], float]:
    stage = Stage(tmp_path_factory.mktemp("undisturbed"))
    began = time.monotonic()
    stage.finish()
    took = time.monotonic() - began
    tables = stage.tables()
    end(stage.server)
    assert tables["bars_resampled"].height == DAYS * 2 * (1440 + 288) + 4
    assert tables["partitions"].filter(pl.col("asset") == "bars")["complete"].sum() == 3 * 2 * DAYS
    return tables, took


@pytest.mark.parametrize("victim", ["worker", "warehouse"])
def test_whatever_is_killed_the_next_run_leaves_the_same_tables(tmp_path, undisturbed, victim):
    expected, took = undisturbed
    stage = Stage(tmp_path)
    chance = random.Random(len(victim))
    try:
        for _ in range(4):
            worker = stage.worker()
            time.sleep(chance.uniform(0.05, took))
            if victim == "warehouse":
                stage.restart_server()
            end(worker)
        stage.finish()
        found = stage.tables()
        for name, table in expected.items():
            assert found[name].equals(table), name
    finally:
        end(stage.server)
    with pytest.raises(WarehouseUnavailable):
        connect(stage.profile, Role.READER)
