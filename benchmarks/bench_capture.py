"""Receive and journal: our capture beside cryptofeed's recorder and beside the bare websockets library, on loopback.

Each reads the same trades from a venue of its own, in a process of its own. Ours is done when the last trade is durable in the journal,
cryptofeed when its callback has had it (its file may lag behind), the floor when it has been received.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from peers import peer_python
from timing import Table, machine_line, rate, seconds
from wire import SYMBOLS

from pipeline.journal import START, JournalReader
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile

HERE = Path(__file__).parent
CRYPTOFEED = "cryptofeed==2.4.1"
_END_S = 600.0
_LOOK_S = 0.05
_READ_LINES = 200_000

Progress = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Run:
    """What a reader took for all messages: seconds on the clock, and seconds of processor of its process."""

    wall_s: float
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Print throughput and processor time a message of each, then a run at a steady rate of ours alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=500_000, help="messages of each run")
    parser.add_argument("--rate", type=int, default=50_000, help="messages a second of the steady run")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the steady run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn; the median counts")
    parser.add_argument("--no-peers", action="store_true", help="leave out cryptofeed, which is installed when it is absent")
    chosen = parser.parse_args(argv)
    table = Table(f"Receive and journal {chosen.messages:,} trades of {len(SYMBOLS)} symbols, loopback", machine_line("websockets"))
    table.begin()
    readers: dict[str, Callable[[], Run]] = {"ours": lambda: _capture(chosen.messages, 0), "floor": lambda: _floor(chosen.messages)}
    if not chosen.no_peers:
        python = peer_python(CRYPTOFEED)
        readers["cryptofeed"] = lambda: _cryptofeed(python, chosen.messages)
    runs: dict[str, list[Run]] = {name: [] for name in readers}
    for _ in range(chosen.runs):  # in turn, so that a machine whose speed drifts is fair to all
        for name, read in readers.items():
            runs[name].append(read())
    wall = {name: _median([run.wall_s for run in of]) for name, of in runs.items()}
    cpu = {name: _median([run.cpu_s for run in of]) for name, of in runs.items()}
    peers = {"floor": "websockets alone, nothing kept", "cryptofeed": f"{CRYPTOFEED.replace('==', ' ')} as a recorder (uvloop)"}
    for name, label in peers.items():
        if name in runs:
            table.row("received and durable", wall["ours"], label, wall[name], show=rate(chosen.messages, "msg"))
            table.row("processor time a message", cpu["ours"] / chosen.messages, label, cpu[name] / chosen.messages)
    steady = _capture(int(chosen.rate * chosen.seconds), chosen.rate)
    each_us = steady.cpu_s / (chosen.rate * chosen.seconds) * 1e6
    verdict = "reached" if each_us <= 20 and steady.wall_s < chosen.seconds + 1 else "MISSED"
    after = seconds(max(0.0, steady.wall_s - chosen.seconds))
    table.note(
        f"steady {chosen.rate:,} msg/s for {chosen.seconds:g} s: all durable {after} after the last was due,"
        f" {each_us:.1f} us of processor a message; target 20 us and nothing lost: {verdict}"
    )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _capture(count: int, per_second: float) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-capture-") as place, _venue(count, per_second) as venue:
        profile = create_profile(Path(place), "bench", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        base = f"ws://127.0.0.1:{venue.port}"
        chosen = {"DATA_DIR": place, "WS_MARKET_URL": f"{base}/market", "WS_PUBLIC_URL": f"{base}/public", "SYMBOLS": ",".join(SYMBOLS)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")}
        environment = kept | {f"SPREADWATCH_{name}": value for name, value in (chosen | {"QUOTES": "false", "PAIRS": ""}).items()}
        command = [sys.executable, "-m", "pipeline.cli", "capture", "--profile", profile.name]
        with JournalReader(profile.journal / "capture") as reader, _process(command, Path(place), environment) as process:
            position, trades = START, 0

            def done() -> bool:
                nonlocal position, trades
                while True:
                    block, position = reader.read(position, _READ_LINES)
                    if not block:
                        return trades >= count
                    trades += block.count(b'"data":{"e":"aggTrade"')

            run = venue.measure(process, done)
            assert trades == count, f"{count:,} trades were sent and {trades:,} are in the journal"
            return run


def _floor(count: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-floor-") as place, _venue(count, 0) as venue:
        command = [sys.executable, str(HERE / "peer_websockets.py"), str(venue.port), str(count)]
        with _process(command, Path(place), dict(os.environ)) as process:
            return venue.measure(process, _said(Path(place)))


def _cryptofeed(python: Path, count: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-cryptofeed-") as place, _venue(count, 0) as venue:
        command = [str(python), str(HERE / "peer_cryptofeed.py"), str(venue.port), str(count), place, ",".join(SYMBOLS)]
        with _process(command, Path(place), dict(os.environ)) as process:
            return venue.measure(process, _said(Path(place)))


def _said(place: Path) -> Progress:
    return lambda: (place / "said").read_text().strip().isdigit()


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue that waits for its listener, and then for our word."""

    process: subprocess.Popen[str]
    port: int

    def measure(self, reader: subprocess.Popen[str], done: Progress) -> Run:
        """Let it send, and look until the reader is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "heard\n", "nobody has subscribed"
        time.sleep(0.5)  # what a process does once at its start is not what is measured
        watched = psutil.Process(reader.pid)
        before, began = sum(watched.cpu_times()[:2]), time.perf_counter()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        while not done():
            assert reader.poll() is None, "the reader has ended"
            assert time.perf_counter() - began < _END_S, f"not everything had come after {_END_S:g} s"
            time.sleep(_LOOK_S)
        return Run(time.perf_counter() - began, sum(watched.cpu_times()[:2]) - before)


@contextmanager
def _venue(count: int, per_second: float) -> Iterator[Venue]:
    command = [sys.executable, str(HERE / "blast_venue.py"), str(count), str(per_second)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Venue(process, int(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def _process(command: list[str], place: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with (place / "said").open("w") as said, (place / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=said, stderr=log, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


if __name__ == "__main__":
    main()
