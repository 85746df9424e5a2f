"""From the wire to a reader: a real capture and a real warehouse process behind a venue on loopback, and a Quack client that polls."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import psutil
from timing import Table, machine_line, seconds
from wire import SYMBOLS

from pipeline.errors import WarehouseUnavailable
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile
from pipeline.store import Role, Warehouse, connect

HERE = Path(__file__).parent
_POLL_S = 0.005
_START_S = 40.0
_END_S = 20.0
_NEWEST = "SELECT symbol, max(trade_id) AS id FROM ticks WHERE trade_id > $known GROUP BY symbol"
_TIMES = "SELECT symbol, trade_id, epoch_ms(event_time) AS pushed_ms FROM ticks"


def main(argv: Sequence[str] | None = None) -> None:
    """Print latencies, CPU shares and what arrived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long is measured")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 10_000, 50_000], help="messages a second, one run each")
    chosen = parser.parse_args(argv)

    title = f"Wire to reader: {len(SYMBOLS)} symbols for {chosen.seconds:g} s, default settings"
    table = Table(title, machine_line("duckdb", "websockets"))
    table.begin()
    # Asked to end from outside, we leave as from an error: through the blocks that end our processes.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for rate in chosen.rates:
            with tempfile.TemporaryDirectory(prefix="bench-latency-") as directory, ExitStack() as processes:
                _report(table, _measured(Path(directory), processes, rate, chosen.seconds), rate)
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass(slots=True)
class Measured:
    """What one run came to; latencies in milliseconds."""

    latencies_ms: np.ndarray = field(default_factory=lambda: np.empty(0))
    sent: int = 0
    landed: int = 0
    gaps: int = 0
    measured_s: float = 0.0
    measured: int = 0
    polls: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Polls:
    """When a reader first saw which trade of each symbol."""

    seen_ns: dict[str, list[int]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})
    ids: dict[str, list[int]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})
    known: int = 0
    count: int = 0

    def poll(self, warehouse: Warehouse) -> None:
        """Ask once."""
        newest = warehouse.select(_NEWEST, known=self.known)
        now_ns = time.time_ns()
        self.count += 1
        for symbol, trade_id in newest.iter_rows():
            if not self.ids[symbol] or trade_id > self.ids[symbol][-1]:
                self.seen_ns[symbol].append(now_ns)
                self.ids[symbol].append(trade_id)
        self.known = min((ids[-1] if ids else 0) for ids in self.ids.values())

    def latencies_ms(self, ticks: pl.DataFrame, from_ns: int, to_ns: int) -> np.ndarray:
        """First seen minus pushed, of the trades pushed between two times; infinite for those that no poll has seen."""
        found = []
        for symbol, ids in self.ids.items():
            own = ticks.filter((pl.col("symbol") == symbol) & pl.col("pushed_ms").is_between(from_ns // 1_000_000, to_ns // 1_000_000))
            pushed_ms = own["pushed_ms"].to_numpy()
            at = np.searchsorted(np.array(ids), own["trade_id"].to_numpy())
            found.append(np.array([*self.seen_ns[symbol], np.inf])[at] / 1e6 - pushed_ms)
        return np.concatenate(found)


def _measured(directory: Path, processes: ExitStack, rate: int, wanted_s: float) -> Measured:
    profile = create_profile(directory, "bench", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    venue = processes.enter_context(_process([str(HERE / "loopback_venue.py"), str(rate)], directory, dict(os.environ)))
    assert venue.stdout is not None
    environment = _environment(directory, int(venue.stdout.readline()))
    warehouse = processes.enter_context(_process(["-m", "pipeline.cli", "warehouse", "--profile", profile.name], directory, environment))
    reader = processes.enter_context(_served(profile, warehouse))
    capture = processes.enter_context(_process(["-m", "pipeline.cli", "capture", "--profile", profile.name], directory, environment))
    watched = {"capture": psutil.Process(capture.pid), "warehouse": psutil.Process(warehouse.pid), "venue": psutil.Process(venue.pid)}

    polls = Polls()
    _poll_until(reader, polls, lambda: polls.known > 0, capture, _START_S)
    _poll_for(reader, polls, min(3.0, wanted_s))  # the first batches land what waited while the processes started
    began_ns, cpu_before = time.time_ns(), {name: _cpu_s(process) for name, process in watched.items()}
    _poll_for(reader, polls, wanted_s)
    ended_ns, cpu_after = time.time_ns(), {name: _cpu_s(process) for name, process in watched.items()}
    assert venue.stdin is not None
    venue.stdin.close()
    sent = int(venue.stdout.readline())
    _poll_until(reader, polls, lambda: reader.select("SELECT count(*) AS n FROM ticks").item() >= sent, capture, _END_S)

    ticks = reader.select(_TIMES)
    latencies = polls.latencies_ms(ticks, began_ns, ended_ns)
    return Measured(
        latencies_ms=latencies,
        sent=sent,
        landed=ticks.height,
        gaps=int(reader.select("SELECT count(*) AS n FROM gaps").item()),
        measured_s=(ended_ns - began_ns) / 1e9,
        measured=latencies.size,
        polls=polls.count,
        cpu_s={name: cpu_after[name] - cpu_before[name] for name in watched},
    )


def _report(table: Table, found: Measured, rate: int) -> None:
    p50, p99, worst = (float(np.percentile(found.latencies_ms, share)) / 1e3 for share in (50, 99, 100))
    for share, latency_s in (("p50", p50), ("p99", p99), ("max", worst)):
        table.row(f"{rate:,} msg/s: pushed -> seen by a reader, {share}", latency_s)
    for name, used_s in found.cpu_s.items():
        each = seconds(used_s / found.measured) if found.measured else "-"
        table.note(f"CPU of {name}: {used_s / found.measured_s:.0%} of a core, {each} a message")
    table.note(f"{found.measured / found.measured_s:,.0f} msg/s of {rate:,} asked for; {found.polls:,} polls by the reader")
    table.note(f"sent {found.sent:,}, landed {found.landed:,}, gaps {found.gaps}; target p99 under 500 ms: {_verdict(found, p99)}")


def _verdict(found: Measured, p99: float) -> str:
    if found.landed != found.sent or found.gaps:
        return "MISSED, messages were lost"
    return "reached" if p99 < 0.5 else "MISSED"


@contextmanager
def _process(arguments: list[str], directory: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of this interpreter that is gone when the block is left, whatever happens in it."""
    log = (directory / "processes.log").open("a")
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, log):
            if stream is not None:
                stream.close()


@contextmanager
def _served(profile: Profile, process: subprocess.Popen[str]) -> Iterator[Warehouse]:
    """A reader of the warehouse, once it serves."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            reader = connect(profile, Role.READER)
            break
        except WarehouseUnavailable:
            _require_alive(process, profile)
            assert time.monotonic() < deadline, f"the warehouse does not serve after {_START_S:g} s"
            time.sleep(0.1)
    with reader:
        yield reader


def _require_alive(process: subprocess.Popen[str], profile: Profile) -> None:
    log = profile.path.parents[1] / "processes.log"
    assert process.poll() is None, f"a process has ended: {log.read_text()[-2_000:]}"


def _environment(directory: Path, venue_port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"ws://127.0.0.1:{venue_port}"
    chosen = {
        "DATA_DIR": str(directory),
        "WAREHOUSE_PORT": str(port),
        "WS_MARKET_URL": f"{base}/market",
        "WS_PUBLIC_URL": f"{base}/public",
        "SYMBOLS": ",".join(SYMBOLS),
        "QUOTES": "false",
    }
    return kept | {f"SPREADWATCH_{name}": value for name, value in chosen.items()}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _poll_for(reader: Warehouse, polls: Polls, wanted_s: float) -> None:
    deadline = time.monotonic() + wanted_s
    while time.monotonic() < deadline:
        polls.poll(reader)
        time.sleep(_POLL_S)


def _poll_until(reader: Warehouse, polls: Polls, condition: Callable[[], bool], process: subprocess.Popen[str], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert process.poll() is None, "capture has ended"
        if time.monotonic() > deadline:
            return
        polls.poll(reader)
        time.sleep(_POLL_S)
    polls.poll(reader)


if __name__ == "__main__":
    main()
