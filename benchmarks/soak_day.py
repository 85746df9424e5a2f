"""One simulated day in minutes, across a midnight: does anything grow?

The seeded market's trades and quotes of a day, as a capture would have journalled them, go through the journal's writer (rotation, sealing)
and a real warehouse process (landing, bars, signals, pruning of the journal), beside batch jobs (resample, fits, archive and its
retention) and a reader. Beside them a real capture process listens to a real simulator at normal speed and replaces its
connections every few seconds. Resident memory of every process is sampled; the run fails when one has grown by more than its bound after
the first fifth, when a trade is missing, or when rotation, archive or retention has not acted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import psutil
from timing import machine_line

from pipeline.journal import START, JournalReader
from pipeline.journal.segment import list_segments
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile
from pipeline.simulator.universe import SPECS
from pipeline.store import Role, connect
from pipeline.store.counts import load_offset
from pipeline.venues.binance import decode_batch

PARTS = Path(__file__).with_name("soak_parts.py")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT")
BOUNDS_MB = {"warehouse": 200, "writer": 32, "capture": 48, "jobs": 200}
"""Growth after the first fifth that fails the run. DuckDB's cache may fill up to its limit in the warehouse, Arrow's pool in the jobs."""
SETTLING = 0.2
RETENTION_H = 1
LIFE_S = 12.0


@dataclass(slots=True)
class Watched:
    """One process and its resident memory over time, in MB."""

    name: str
    process: subprocess.Popen[bytes]
    errors: Path
    samples: list[tuple[float, float]] = field(default_factory=list)

    def last_words(self) -> str:
        """The end of what it has written to its standard error."""
        return self.errors.read_text(errors="replace")[-600:]

    def sample(self, share: float) -> None:
        """Note the memory at this share of the run."""
        with suppress(psutil.NoSuchProcess):
            self.samples.append((share, psutil.Process(self.process.pid).memory_info().rss / 2**20))

    def at(self, low: float, high: float) -> float:
        """Median memory between two shares of the run; NaN when there was no sample."""
        found = [mb for share, mb in self.samples if low <= share <= high]
        return statistics.median(found) if found else float("nan")

    def slope(self) -> float:
        """Straight line through the samples after the first fifth: MB over the whole of such a day."""
        found = [(share, mb) for share, mb in self.samples if share >= SETTLING]
        return statistics.linear_regression(*zip(*found, strict=True)).slope if len(found) > 2 else float("nan")

    @property
    def growth(self) -> float:
        """From the first twentieth after the first fifth to the last twentieth."""
        return self.at(0.95, 1.0) - self.at(SETTLING, SETTLING + 0.05)

    def problem(self) -> str:
        """What is wrong with its memory; empty when nothing is, or nobody judges it."""
        bound = BOUNDS_MB.get(self.name)
        if bound is None or self.growth <= bound:
            return ""
        return f"{self.name} has grown by {self.growth:.0f} MB after the first fifth; the bound is {bound} MB"


@dataclass(slots=True)
class Segments:
    """What was seen of a journal source: how many segments there were, and are no more."""

    directory: Path
    made: set[int] = field(default_factory=set)
    left: int = 0

    def look(self, *, compressed: bool) -> None:
        """Count; with ``compressed`` let a sealed segment's file be as old as its content is in the simulated day."""
        found = list_segments(self.directory)
        self.made.update(segment.seq for segment in found)
        self.left = len({segment.seq for segment in found})
        if not compressed or not found:
            return
        newest_ns, now_ns = found[-1].first_recv_ns, time.time_ns()
        for segment, following in pairwise(found):
            if segment.sealed:
                written_ns = now_ns - (newest_ns - following.first_recv_ns)
                with suppress(FileNotFoundError):
                    os.utime(segment.path, ns=(written_ns, written_ns))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the day, print the figures, exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the day takes")
    parser.add_argument("--hours", type=int, default=24, help="of the simulated day")
    parser.add_argument("--symbols", type=int, default=3, choices=range(1, len(SYMBOLS) + 1))
    parser.add_argument("--memory", default="256MB", help="DuckDB's limit in the warehouse process")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(machine_line("duckdb", "websockets"))
    with tempfile.TemporaryDirectory(prefix="soak-day-") as directory, ExitStack() as processes:
        problems = _run(Path(directory), processes, options)
    for problem in problems:
        print(f"FAILED: {problem}")
    if problems:
        sys.exit(1)
    print("flat: nothing has grown beyond its bound, nothing is missing")


def _run(directory: Path, processes: ExitStack, options: argparse.Namespace) -> list[str]:
    symbols = SYMBOLS[: options.symbols]
    # The day has its midnight behind a quarter of it, so that archive and retention have the rest.
    midnight_ms = time.time_ns() // 1_000_000 // 86_400_000 * 86_400_000
    start_ms = midnight_ms - options.hours * 3_600_000 // 4 // 60_000 * 60_000
    end_ms = start_ms + options.hours * 3_600_000
    speed = (end_ms - start_ms) / 60_000 / options.minutes
    print(
        f"{options.hours} h of {', '.join(symbols)} in {options.minutes:g} min ({speed:.0f} times as fast), DuckDB limit {options.memory}",
        flush=True,
    )

    profile = create_profile(directory, "day", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    other = create_profile(directory, "rotating", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    port = _free_port()
    environment = _environment(directory, symbols, port)
    opened = Opened(processes, directory, environment)
    venue = opened.cli("simulator", "simulate", "--port", str(port))
    capture = opened.cli("capture", "capture", "--profile", other.name, symbols=",".join(spec.symbol for spec in SPECS), log_level="INFO")
    warehouse = opened.part("warehouse", "warehouse", profile.name, options.memory)
    _until_served(profile, warehouse)
    market = opened.part("market", "market", ",".join(symbols), str(start_ms), str(end_ms), str(speed), str(options.seed), piped=True)
    writer = opened.part("writer", "writer", str(directory), profile.name, stdin=market.process.stdout)
    jobs = opened.part("jobs", "jobs", str(directory), profile.name, "2")
    watched = [warehouse, writer, capture, jobs, market, venue]

    segments, rotated = Segments(profile.journal / "capture"), Segments(other.journal / "capture")
    _watch(watched, writer, segments, rotated, options.minutes)
    counts = json.loads(opened.said("writer").splitlines()[-1])
    backlog_s = _until_landed(profile)
    figures = _figures(profile)
    _stop(jobs, capture, warehouse)
    done = json.loads(opened.said("jobs").splitlines()[-1])
    _show(watched)
    blocks = [json.loads(line)["blocks"] for line in opened.said("warehouse").splitlines() if line.startswith('{"blocks"')]
    settled = blocks[int(len(blocks) * SETTLING) :]
    tenth = max(1, len(settled) // 10)
    print(f"Python objects of the warehouse: {statistics.median(settled[:tenth]):,.0f} after the first fifth, ", end="")
    print(f"{statistics.median(settled[-tenth:]):,.0f} at the end")
    print(f"journalled: {counts['trades']} trades, {counts['quotes']} quotes, {counts['clocks']} clock lines")
    print(f"in the warehouse, {backlog_s:.1f} s after the last line: {figures}")
    pruned = len(segments.made) - segments.left
    print(f"segments: {len(segments.made)} made, {pruned} pruned; days: {done}")
    (heard, missing), connections = _heard(other), opened.said("capture.errors").count("event=connected ")
    print(f"capture beside it: {heard} trades, {missing} missing, {connections} connections, {len(rotated.made)} segments")

    problems = [problem for one in watched if (problem := one.problem())]
    if figures["covered"] != counts["trades"] or figures["gaps"] or figures["intervals"] != options.symbols:
        problems.append(f"{counts['trades']} trades were journalled, {figures['covered']} are covered, with {figures['gaps']} gaps")
    if missing:
        problems.append(f"capture has missed {missing} trades over {connections} connections")
    acted = {"segment pruned": pruned, "day archived": done["archived"], "archived day removed": done["expired"]}
    acted["connection replaced"] = connections - 2
    if options.hours >= 24:
        problems += [f"no {what}: the run has not tested what it is for" for what, count in acted.items() if count <= 0]
    return problems


def _watch(watched: Sequence[Watched], until: Watched, segments: Segments, rotated: Segments, minutes: float) -> None:
    """Sample memory and look after segments until a process has ended."""
    began, told = time.monotonic(), 0
    while until.process.poll() is None:
        time.sleep(min(0.5, minutes))
        share = min(1.0, (time.monotonic() - began) / 60 / minutes)
        for one in watched:
            one.sample(share)
            if one.process.poll() not in {None, 0} and until.process.poll() is None:
                msg = f"{one.name} has ended with {one.process.returncode}; it said: {one.last_words()}"
                raise SystemExit(msg)
        segments.look(compressed=True)
        rotated.look(compressed=False)
        if share * 20 >= told:
            told = int(share * 20) + 1
            print(
                f"  {share:4.0%}  " + "  ".join(f"{one.name} {one.samples[-1][1]:.0f}" for one in watched if one.samples) + " MB",
                flush=True,
            )


def _show(watched: Sequence[Watched]) -> None:
    print(f"\n{'process':12}{'start':>8}{'at 20 %':>9}{'end':>8}{'most':>8}{'growth':>9}{'slope/day':>11}{'bound':>8}   (MB)")
    for one in watched:
        settled, end, most = one.at(SETTLING, SETTLING + 0.05), one.at(0.95, 1.0), max(mb for _, mb in one.samples)
        bound = BOUNDS_MB.get(one.name, "-")
        print(f"{one.name:12}{one.samples[0][1]:8.0f}{settled:9.0f}{end:8.0f}{most:8.0f}{one.growth:+9.1f}{one.slope():+11.1f}{bound:>8}")


class Opened:
    """Starts processes that end with the block, and keeps what they say."""

    def __init__(self, processes: ExitStack, directory: Path, environment: Mapping[str, str]) -> None:
        self._processes = processes
        self._logs = directory / "said"
        self._logs.mkdir()
        self._environment = dict(environment)

    def cli(self, name: str, *arguments: str, **settings: str) -> Watched:
        """A command of the platform, with settings of its own."""
        own = {f"SPREADWATCH_{key.upper()}": value for key, value in settings.items()}
        return self._start(name, ["-m", "pipeline.cli", *arguments], None, piped=False, environment=self._environment | own)

    def part(self, name: str, *arguments: str, stdin: IO[bytes] | None = None, piped: bool = False) -> Watched:
        """One of ``soak_parts``."""
        return self._start(name, [str(PARTS), *arguments], stdin, piped=piped)

    def said(self, name: str) -> str:
        """What it has printed."""
        return (self._logs / name).read_text()

    def _start(
        self, name: str, arguments: Sequence[str], stdin: IO[bytes] | None, *, piped: bool, environment: Mapping[str, str] | None = None
    ) -> Watched:
        out, errors = (self._logs / name).open("wb"), (self._logs / f"{name}.errors").open("wb")
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else out,
            stderr=errors,
            env=environment or self._environment,
        )
        if stdin is not None:
            stdin.close()  # the child's alone now
        self._processes.enter_context(_ended(process))
        self._processes.callback(out.close)
        self._processes.callback(errors.close)
        return Watched(name, process, self._logs / f"{name}.errors")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _environment(directory: Path, symbols: Sequence[str], port: int) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")}
    chosen = {
        "data_dir": directory,
        "symbols": ",".join(symbols),
        "pairs": ",".join(f"{y}/{x}" for x, y in pairwise(symbols)),
        "warehouse_port": _free_port(),
        "metrics_port": 0,
        "ws_market_url": f"ws://127.0.0.1:{port}/market",
        "ws_public_url": f"ws://127.0.0.1:{port}/public",
        "rest_url": f"http://127.0.0.1:{port}",
        "connection_hours": LIFE_S / 3_600,
        "lookback": 60,
        "segment_mb": 4,
        "segment_minutes": 1,
        "journal_retention_hours": RETENTION_H,
        "log_level": "WARNING",
    }
    return own | {f"SPREADWATCH_{name.upper()}": str(value) for name, value in chosen.items()}


def _until_served(profile: Profile, warehouse: Watched) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and warehouse.process.poll() is None:
        with suppress(Exception), connect(profile, Role.READER) as opened:
            opened.select("SELECT 1 AS one")
            return
        time.sleep(0.2)
    msg = "the warehouse does not serve"
    raise SystemExit(msg)


def _until_landed(profile: Profile) -> float:
    began = time.monotonic()
    with connect(profile, Role.READER) as opened, JournalReader(profile.journal / "capture") as reader:
        end = reader.durable()
        while load_offset(opened, "capture")[:2] < (end.seq, end.offset):
            if time.monotonic() - began > 120:
                msg = "the warehouse does not get on"
                raise SystemExit(msg)
            time.sleep(0.1)
    return time.monotonic() - began


def _figures(profile: Profile) -> dict[str, Any]:
    with connect(profile, Role.READER) as opened:
        covered = opened.select("SELECT count(*) AS intervals, sum(last_id - first_id + 1)::BIGINT AS covered FROM coverage").row(
            0, named=True
        )
        counts = {name: opened.select(f"SELECT count(*) AS n FROM {name}").item() for name in ("gaps", "ticks", "quotes", "signals")}  # noqa: S608
        bars = opened.select("SELECT timeframe, count(*) AS n FROM bars GROUP BY timeframe ORDER BY timeframe").rows()
    return covered | counts | {"bars": dict(bars)}


def _heard(profile: Profile) -> tuple[int, int]:
    """Distinct trades in a journal, and ids missing between the first and the last of a symbol."""
    seen: dict[str, set[int]] = {}
    with JournalReader(profile.journal / "capture") as reader:
        position = START
        while True:
            block, position = reader.read(position, 50_000)
            if not block:
                return sum(map(len, seen.values())), sum(max(ids) - min(ids) + 1 - len(ids) for ids in seen.values())
            trades = decode_batch(block).trades
            for symbol, trade_id in zip(trades.symbol, trades.trade_id.tolist(), strict=True):
                seen.setdefault(symbol, set()).add(trade_id)


def _stop(*watched: Watched) -> None:
    for one in watched:
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
