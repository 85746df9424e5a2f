"""What the benchmarks share: the machine's line, medians of runs, and the table that sets our figure beside the peer's."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

_COLUMNS = (("job", 44), ("ours", 16), ("peer", 46), ("peer's", 16), ("ratio", 9), ("target", 0))


def machine_line(*packages: str) -> str:
    """One line: processor, cores that this process may use, memory, load of others, Python, and versions of ``packages``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = psutil.virtual_memory().total / 2**30
    hardware = f"{_processor()}, {cores} cores, {memory_gb:.0f} GB, load {os.getloadavg()[0]:.1f} at the start"
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{hardware}; {platform.system()}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] else platform.machine()


@dataclass(frozen=True, slots=True)
class Timed:
    """``median_s`` of the runs behind the warm-up; ``first_s`` is the warm-up itself, NaN when there was none."""

    median_s: float
    first_s: float


def timed(work: Callable[[], object], *, runs: int = 5, before: Callable[[], object] | None = None, warm_up: bool = True) -> Timed:
    """Median wall time of ``runs`` calls after one that does not count; ``before`` prepares each call and is not timed."""

    def once() -> float:
        if before is not None:
            before()
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    first_s = once() if warm_up else float("nan")
    return Timed(statistics.median(once() for _ in range(runs)), first_s)


def stopwatch(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of one call, and what it returned."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def seconds(value: float) -> str:
    """A duration in the unit that reads best."""
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if value < limit:
            return f"{value * scale:,.3g} {unit}" if value * scale < 1_000 else f"{value * scale:,.0f} {unit}"
    return f"{value:,.2f} s"


def rate(count: int, what: str) -> Callable[[float], str]:
    """Shows a duration as how many of ``what`` a second that is."""
    return lambda value: f"{count / value:,.0f} {what}/s"


@dataclass(frozen=True, slots=True)
class Table:
    """Prints a heading, then a line for each comparison as soon as it is known."""

    title: str
    machine: str

    def begin(self) -> None:
        """Print what is compared and where."""
        print(f"{self.title}\n{self.machine}\n")
        self._line(*(name for name, _ in _COLUMNS))

    def row(
        self,
        job: str,
        ours_s: float,
        peer: str = "",
        peer_s: float | None = None,
        *,
        target: float | None = None,
        show: Callable[[float], str] = seconds,
        peer_show: Callable[[float], str] | None = None,
    ) -> None:
        """Print one comparison. The ratio is how many times as fast as the peer we are; ``target`` is the least that it should be."""
        if peer_s is None:
            self._line(job, show(ours_s), peer, "", "", "")
            return
        ratio = peer_s / ours_s
        verdict = "" if target is None else f"{target:g}x: {'reached' if ratio >= target else 'MISSED'}"
        self._line(job, show(ours_s), peer, (peer_show or show)(peer_s), f"{ratio:,.3g}x" if ratio < 1_000 else f"{ratio:,.0f}x", verdict)

    def note(self, text: str) -> None:
        """Print a remark about the figures."""
        print(f"  {text}", flush=True)

    @staticmethod
    def _line(*cells: str) -> None:
        print("  ".join(cell.ljust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True)).rstrip(), flush=True)
