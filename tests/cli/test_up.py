"""`up` as a user runs it: real processes, killed in every way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.supervisor import family, lock, status
from pipeline.supervisor.spec import State

ROOT = Path(__file__).parents[2]
PORTS = ("dashboard_port", "prefect_port", "warehouse_port", "simulator_port", "metrics_port")
OURS = ("simulate", "capture", "warehouse")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")}
    sockets = [socket.socket() for _ in PORTS]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    chosen = {f"SPREADWATCH_{name.upper()}": str(one.getsockname()[1]) for name, one in zip(PORTS, sockets, strict=True)}
    for one in sockets:
        one.close()
    return {**kept, **chosen, "SPREADWATCH_DATA_DIR": str(tmp_path)}


class Up:
    def __init__(self, environment: dict[str, str], base: Path, *arguments: str) -> None:
        self.environment = environment
        self.profile = base / "profiles" / "demo"
        self.output = base / "console"
        with self.output.open("wb") as console:
            command = [sys.executable, "-m", "pipeline.cli", "up", "--kind", "simulated", *arguments]
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )

    def until(self, condition: Callable[[], object], timeout_s: float = 90) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)

    def pids(self) -> dict[str, int]:
        """Of our processes that are healthy."""
        run = status.read(self.profile / "run")
        return {row.name: row.pid for row in run.processes if row.state is State.HEALTHY and row.pid and row.name in OURS} if run else {}

    def family(self) -> list[object]:
        return list(family.find(family.mark_of(self.profile / "run")))


@pytest.fixture
def up(environment: dict[str, str], tmp_path: Path) -> Iterator[Up]:
    running = Up(environment, tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    family.end(family.mark_of(running.profile / "run"), grace_s=0.0)


def again(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_parts_come_back_a_second_start_is_refused_and_ctrl_c_leaves_nothing(up: Up) -> None:
    up.until(lambda: len(up.pids()) == len(OURS))
    before = up.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    up.until(lambda: len(up.pids()) == len(OURS) and not set(before.values()) & set(up.pids().values()))

    refused = again(up.environment, "up", "--kind", "simulated")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"spreadwatch: profile 'demo' is being run already by process {up.process.pid}; ")
    taken = again(up.environment, "up", "--kind", "simulated", "--profile", "another")
    assert taken.returncode == 1
    assert "is taken by" in taken.stderr
    assert "PORT) to a free one" in taken.stderr
    assert len(up.pids()) == len(OURS)

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.family() == []
    assert list((up.profile / "run").iterdir()) == []
    assert up.output.read_text().rstrip().endswith("Stopped.")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_platform_killed_with_9_leaves_no_orphan_and_starts_again(up: Up, environment: dict[str, str], tmp_path: Path) -> None:
    up.until(lambda: len(up.pids()) == len(OURS))
    up.process.kill()
    up.process.wait()
    up.until(lambda: up.family() == [], timeout_s=30)
    assert lock.holder(up.profile / "run") is None
    later = Up(environment, tmp_path)
    try:
        later.until(lambda: len(later.pids()) == len(OURS))
    finally:
        later.process.send_signal(signal.SIGTERM)
        assert later.process.wait(60) == 0
