"""The whole platform on the simulator for an hour, as ``make demo`` starts it: flow runs, processor shares, memory, sizes.

``make soak-demo``. Fails when a run of a flow has failed, a process was started anew, or a lock of a database has reached a flow.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psutil
from timing import machine_line

from pipeline.supervisor import status
from pipeline.supervisor.spec import State

PORTS = ("dashboard_port", "prefect_port", "warehouse_port", "simulator_port", "metrics_port")
BAD = frozenset({"FAILED", "CRASHED", "TIMEDOUT"})
LOCKED = re.compile(r"database is locked|Could not set lock", re.IGNORECASE)
_PAGE = 200
_SETTLED_S = 120.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the platform; processor seconds are those since the process was started, its ended children included."""

    at: float
    cpu_s: dict[str, float]
    rss_mb: dict[str, float]
    sizes_mb: dict[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a flow, as Prefect tells it."""

    flow: str
    name: str
    state: str
    started: str
    took_s: float
    message: str


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; returns 1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the platform runs once it is up")
    parser.add_argument("--command", nargs="+", default=["make", "demo"], help="what starts it")
    arguments = parser.parse_args(argv)
    print(f"{' '.join(arguments.command)} for {arguments.minutes:g} minutes\n{machine_line('prefect', 'duckdb', 'panel')}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-demo-") as directory:
        return _soak(Path(directory), arguments.command, arguments.minutes * 60)


def _soak(directory: Path, command: Sequence[str], seconds: float) -> int:
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    chosen = {f"SPREADWATCH_{name.upper()}": str(port) for name, port in ports.items()}
    environment = {**os.environ, **chosen, "SPREADWATCH_DATA_DIR": str(directory)}
    with (directory / "console.txt").open("wb") as console:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True
        )
    profile = directory / "profiles" / "demo"
    try:
        _until_healthy(process, profile)
        time.sleep(_SETTLED_S)
        looks = list(_watch(process, profile, seconds))
        runs = list(_runs(f"http://127.0.0.1:{ports['prefect_port']}/api"))
        restarts = {row.name: row.restarts for row in _processes(profile) if row.restarts}
        return _report(profile, looks, runs, restarts)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: make, and what it runs
        process.wait(120)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _processes(profile: Path) -> tuple[status.ProcessStatus, ...]:
    run = status.read(profile / "run")
    return run.processes if run else ()


def _until_healthy(process: subprocess.Popen[bytes], profile: Path) -> None:
    began = time.monotonic()
    while not (rows := _processes(profile)) or any(row.state is not State.HEALTHY for row in rows):
        if process.poll() is not None or time.monotonic() - began > 600:
            sys.exit(f"the platform is not up after {time.monotonic() - began:.0f} s; see its console above")
        time.sleep(0.5)
    print(f"all processes healthy after {time.monotonic() - began:.0f} s", flush=True)


def _watch(process: subprocess.Popen[bytes], profile: Path, seconds: float) -> Iterator[Look]:
    """Looks at the beginning, every five minutes, and at the end."""
    end = time.monotonic() + seconds
    while True:
        look = _look(profile)
        said = ", ".join(f"{name} {mb:.0f}" for name, mb in look.rss_mb.items())
        print(f"{datetime.now():%H:%M}  MB: {said}; database {look.sizes_mb['warehouse.duckdb']:.0f}", flush=True)  # noqa: DTZ005  wall clock
        yield look
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(300.0, left))
        if process.poll() is not None:
            sys.exit(f"the platform has ended with {process.returncode}")


def _look(profile: Path) -> Look:
    cpu, rss = {}, {}
    for row in _processes(profile):
        if row.pid is None:
            continue
        top = psutil.Process(row.pid)
        family = [top, *top.children(recursive=True)]
        cpu[row.name], rss[row.name] = 0.0, 0.0
        for one in family:
            try:
                times, memory = one.cpu_times(), one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            cpu[row.name] += times.user + times.system + times.children_user + times.children_system
            rss[row.name] += memory / 1e6
    sizes = {path.name: _size_mb(path) for path in sorted(profile.iterdir())} if profile.exists() else {}
    prefect = sum(path.stat().st_size for path in profile.rglob("prefect.db*")) / 1e6
    return Look(time.monotonic(), cpu, rss, {**sizes, "prefect.db": prefect})


def _size_mb(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    total = 0
    for file in files:
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue  # sealed or pruned meanwhile
    return total / 1e6


def _runs(api: str) -> Iterator[Run]:
    """Every run that the server knows."""
    with httpx.Client(base_url=api, timeout=30, trust_env=False) as client:
        flows = {row["id"]: row["name"] for row in client.post("/flows/filter", json={}).raise_for_status().json()}
        for offset in range(0, 1_000_000, _PAGE):
            body = {"limit": _PAGE, "offset": offset, "sort": "START_TIME_ASC"}
            rows = client.post("/flow_runs/filter", json=body).raise_for_status().json()
            for row in rows:
                said = ((row.get("state") or {}).get("message") or "").strip()
                began = row.get("start_time") or ""
                yield Run(flows.get(row["flow_id"], "?"), row["name"], row["state_type"], began, row["total_run_time"], said)
            if len(rows) < _PAGE:
                return


def _report(profile: Path, looks: Sequence[Look], runs: Sequence[Run], restarts: dict[str, int]) -> int:
    first, last = looks[0], looks[-1]
    minutes = (last.at - first.at) / 60
    print(f"\n{'process':<14}{'cores':>9}{'MB at start':>14}{'MB at end':>12}")
    for name in last.cpu_s:
        share = (last.cpu_s[name] - first.cpu_s.get(name, 0.0)) / (minutes * 60)
        print(f"{name:<14}{share:>9.3f}{first.rss_mb.get(name, 0.0):>14.0f}{last.rss_mb[name]:>12.0f}")
    print(f"\n{'size':<22}{'MB at start':>14}{'MB at end':>12}")
    for name, mb in last.sizes_mb.items():
        if max(mb, first.sizes_mb.get(name, 0.0)) >= 0.05:
            print(f"{name:<22}{first.sizes_mb.get(name, 0.0):>14.1f}{mb:>12.1f}")
    print(f"\n{'flow':<14}{'state':<12}{'runs':>7}{'longest s':>11}")
    ended = [run for run in runs if run.state not in ("SCHEDULED", "RUNNING", "PENDING")]
    for (flow, state), count in sorted(Counter((run.flow, run.state) for run in ended).items()):
        longest = max(run.took_s for run in ended if (run.flow, run.state) == (flow, state))
        print(f"{flow:<14}{state:<12}{count:>7}{longest:>11.1f}")
    bad = [run for run in ended if run.state in BAD]
    for run in bad:
        print(f"  {run.started[:19]} {run.flow} {run.name!r}: {run.state} {run.message}")
    locked = [f"{log.name}: {line}" for log in sorted((profile / "logs").glob("flows*.log")) for line in _locked(log)]
    for line in locked[:10]:
        print(f"  {line}")
    what = f"{len(bad)} failed runs of {len(ended)}, restarts {restarts or 'none'}, lock errors in flows {len(locked)}"
    print(f"\n{what}, {minutes:.0f} minutes")
    return 1 if bad or restarts or locked else 0


def _locked(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if LOCKED.search(line)]


if __name__ == "__main__":
    sys.exit(main())
