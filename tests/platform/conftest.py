"""The platform as a user starts it: `spreadwatch up` in a process of its own, on free ports, in a directory of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import SpreadwatchError
from pipeline.profile import load_profile
from pipeline.store import Role, connect
from pipeline.supervisor import family, status
from pipeline.supervisor.spec import State

ROOT = Path(__file__).parents[2]
PORTS = ("dashboard_port", "prefect_port", "warehouse_port", "simulator_port", "metrics_port")


class Platform:
    """One running platform."""

    def __init__(self, data_dir: Path, profile: str) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "profiles" / profile
        self.name = profile
        sockets = [socket.socket() for _ in PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        self.ports = {name: one.getsockname()[1] for name, one in zip(PORTS, sockets, strict=True)}
        for one in sockets:
            one.close()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPREADWATCH_", "PREFECT_"))}
        chosen = {f"SPREADWATCH_{name.upper()}": str(port) for name, port in self.ports.items()}
        self.environment = {**inherited, **chosen, "SPREADWATCH_DATA_DIR": str(data_dir)}
        self.output = data_dir / "console.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def up(self, *arguments: str) -> None:
        with self.output.open("ab") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "up", "--profile", self.name, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """One command beside the platform."""
        command = [sys.executable, "-m", "pipeline.cli", *arguments, "--profile", self.name]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout_s)

    def select(self, sql: str) -> pl.DataFrame:
        """Ask the running warehouse; an empty frame while it does not answer."""
        try:
            with connect(load_profile(self.data_dir, self.name), Role.READER) as warehouse:
                return warehouse.select(sql)
        except SpreadwatchError:
            return pl.DataFrame()

    def pids(self) -> dict[str, int]:
        """Pid of every healthy process."""
        run = status.read(self.path / "run")
        return {row.name: row.pid for row in run.processes if row.state is State.HEALTHY and row.pid} if run else {}

    def until(self, condition: Callable[[], object], what: str, timeout_s: float) -> float:
        """Wait for something; returns the seconds that it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < timeout_s, (
                f"{what} has not happened in {timeout_s} s\n{self.output.read_text()}\n{self.logs()}"
            )
            time.sleep(0.25)
        return time.monotonic() - began

    def logs(self) -> str:
        """The end of every log."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in sorted((self.path / "logs").glob("*.log")))

    def family(self) -> list[object]:
        """Every process that this platform has started and that is still there."""
        return list(family.find(family.mark_of(self.path / "run")))

    def stop(self) -> int:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)

    def clean(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.path.exists():
            family.end(family.mark_of(self.path / "run"), grace_s=0.0)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Callable[[str], Platform]]:
    started: list[Platform] = []

    def make(profile: str) -> Platform:
        directory = tmp_path / f"data{len(started)}"
        directory.mkdir()
        started.append(Platform(directory, profile))
        return started[-1]

    yield make
    for one in started:
        one.clean()
