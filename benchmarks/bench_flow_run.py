"""What one scheduled run costs beyond its work: processor time and wall time of a run that has nothing to do.

Runs of the flow resample over a served warehouse without news, against a Prefect server of their own: forked from the warm process
that `python -m flows` uses, and started as Prefect's runner starts them by itself (the peer). The same job called as a function,
over the same protocol, says what of it is work.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from timing import Table, machine_line

from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile, create_profile, publish_universe

_NAME = "bench"


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over runs, in seconds."""

    cpu_s: float
    wall_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=8, help="runs that a median is taken of")
    runs = parser.parse_args(argv).runs
    table = Table("One scheduled run that has nothing to do", machine_line("prefect", "duckdb"))
    table.begin()
    with tempfile.TemporaryDirectory(prefix="bench-flow-run-") as directory, _served(Path(directory)) as profile:
        from prefect.testing.utilities import prefect_test_harness

        with prefect_test_harness(server_startup_timeout=120):
            spawned = _measured(runs, _as_prefect_does)
            forked = _measured(runs, _warm())
        called = _direct(profile, runs)
    table.row("wall time of a run", forked.wall_s, "Prefect's own way of starting it (spawn)", spawned.wall_s)
    table.row("processor time of a run", forked.cpu_s, "Prefect's own way of starting it (spawn)", spawned.cpu_s)
    table.note(f"the job alone, called as a function: {called * 1e3:.0f} ms; once a minute a run takes {forked.cpu_s / 60:.1%} of a core")


@contextmanager
def _served(directory: Path) -> Iterator[Profile]:
    """An empty profile behind Quack, and the settings that lead the flows to it."""
    from pipeline.settings import settings
    from pipeline.store import open_local, quack
    from pipeline.store.access import Gatekeeper
    from pipeline.store.landing import JournalClock, LandingStore
    from pipeline.store.warehouse import publish_endpoint

    profile = create_profile(directory, _NAME, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-03T00:00:00Z")
    publish_universe(profile, Universe(("BTCUSDT",), (), 1))
    before = dict(os.environ)
    os.environ.update({"SPREADWATCH_DATA_DIR": str(directory), "SPREADWATCH_PROFILE": _NAME, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"})
    settings.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    try:
        with open_local(profile) as warehouse:
            store = LandingStore(warehouse.connection, profile.archive)
            with store.transaction():
                store.set_timeframes([Timeframe.parse(name) for name in ("1s", "1m", "5m")])
                store.set_clock(JournalClock(1_772_409_600_000_000, 1), lateness_ms=1_000)
            endpoint = publish_endpoint(profile, "127.0.0.1", port)
            gatekeeper = Gatekeeper({token: role for role, token in endpoint.tokens.items()})
            quack.serve(warehouse.connection, host="127.0.0.1", port=port, gatekeeper=gatekeeper, server_token="b" * 24)
            yield profile
            quack.stop(warehouse.connection, host="127.0.0.1", port=port)
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def _as_prefect_does() -> psutil.Process:
    """The process whose children the runs are, when Prefect starts them: this one."""
    return psutil.Process()


def _warm() -> Callable[[], psutil.Process]:
    from flows.warm import use_warm_processes

    assert use_warm_processes(), "this system cannot fork"

    def parent() -> psutil.Process:
        mine = psutil.Process().children()
        return next(child for child in mine if "forkserver" in " ".join(child.cmdline()))

    return parent


def _measured(runs: int, parent: Callable[[], psutil.Process]) -> Cost:
    """Run the flow, the first time without counting; runs are reaped by ``parent``, which adds up what they took."""
    _once()
    taken, walls = [], []
    for _ in range(runs):
        before = _children_s(parent())
        began = time.perf_counter()
        _once()
        walls.append(time.perf_counter() - began)
        deadline = time.monotonic() + 5
        while (after := _children_s(parent())) == before and time.monotonic() < deadline:
            time.sleep(0.01)  # the parent counts a child once it has reaped it
        taken.append(after - before)
    return Cost(statistics.median(taken), statistics.median(walls))


def _once() -> None:
    from prefect import flow_engine

    from flows.resample import resample

    process = flow_engine.run_flow_in_subprocess(resample)
    process.join()
    assert process.exitcode == 0, process.exitcode


def _children_s(parent: psutil.Process) -> float:
    times = parent.cpu_times()
    return times.children_user + times.children_system


def _direct(profile: Profile, runs: int) -> float:
    """Median wall time of the job over the protocol, without Prefect."""
    from pipeline.jobs.resample import resample
    from pipeline.store import Role, connect

    walls = []
    for _ in range(runs):
        began = time.perf_counter()
        with connect(profile, Role.WRITER) as warehouse:
            resample(warehouse, [Timeframe.parse(name) for name in ("1m", "5m")])
        walls.append(time.perf_counter() - began)
    return statistics.median(walls)


if __name__ == "__main__":
    main()
