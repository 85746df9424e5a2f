"""Journal lines into ticks through the warehouse's own engine, beside appends of rows that somebody else has decoded already."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import psutil
import pyarrow as pa
from timing import Table, machine_line, rate, stopwatch
from wire import SYMBOLS, agg_trade, book_ticker, clock

from pipeline.journal import START, JournalReader, Position, open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.venues import TradeColumns, venue
from pipeline.warehouse.engine import Engine
from pipeline.warehouse.rows import quote_rows, tick_rows

START_NS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000_000
PER_SECOND = 10_000
SOURCE = "capture"
_COMMIT_LINES = 20_000


def main(argv: Sequence[str] | None = None) -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="aggTrade lines")
    parser.add_argument("--quotes", type=int, default=0, help="bookTicker lines between two aggTrade lines")
    parser.add_argument("--rows", type=int, default=2_000, help="rows that executemany is timed on")
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of, ours and the appends in turn")
    parser.add_argument("--backlog", type=int, default=0, metavar="LINES", help="land only, so many lines at once: rate and memory")
    chosen = parser.parse_args(argv)

    settings = Settings()
    lines = chosen.backlog or chosen.lines
    title = (
        f"Landing of {lines:,} trades, {chosen.quotes} quotes between two: {len(SYMBOLS)} symbols, "
        f"{PER_SECOND:,} trades a second, a clock line each second"
    )
    table = Table(title, machine_line("duckdb", "pyarrow", "numba", "numpy"))
    table.begin()
    venue().decode_batch(b"")  # loads compiled code, or compiles it
    with tempfile.TemporaryDirectory(prefix="bench-landing-") as name:
        directory = Path(name)
        bench = Bench(directory, _profile(directory, "written"), settings, lines, chosen.quotes)
        shown = rate(bench.messages, "msg")
        write_s, _ = stopwatch(bench.write)
        table.row("make the messages, journal them, fsync", write_s, show=shown)
        if chosen.backlog:
            _backlog(table, bench)
            return
        began_mb = _resident_mb()
        with Peak() as peak:
            bench.engine("warm-up")
        ours, appends, stages = [], [], []
        batches = bench.decoded()
        for run in range(chosen.runs):
            ours.append(bench.engine(f"run{run}"))
            appends.append(bench.arrow_append(f"arrow{run}", batches))
            stages.append(bench.stages(f"stages{run}"))
        ours_s, append_s = statistics.median(ours), statistics.median(appends)
        for name_, taken in zip(("read the journal", "decode", "land"), zip(*stages, strict=True), strict=True):
            table.row(f"one after the other: {name_}", statistics.median(taken), show=shown)
        sample = _tuples(batches[0][0], chosen.rows)
        many_s = bench.execute_many(sample) / len(sample) * bench.messages
        table.row("landing, everything in it", ours_s, f"executemany of decoded trades ({len(sample):,}, scaled)", many_s, show=shown)
        table.row("landing, everything in it", ours_s, "bare Arrow append of what is decoded, no checks", append_s, show=shown)
        reached = bench.messages / ours_s
        table.note(
            f"target 500,000 msg/s: {'reached' if reached >= 500_000 else f'MISSED, {reached / 500_000:.2f} of it'} "
            f"(best run {bench.messages / min(ours):,.0f}, worst {bench.messages / max(ours):,.0f}); no gap, no duplicate"
        )
        table.note(f"memory: {peak.mb:,.0f} MB at most in the first landing, {began_mb:,.0f} MB before it")


def _backlog(table: Table, bench: Bench) -> None:
    began_mb = _resident_mb()
    marks: list[tuple[float, float]] = []
    with Peak() as peak:
        taken = bench.engine("backlog", marks)
    table.row("landing of the whole backlog", taken, show=rate(bench.messages, "msg"))
    for number in range(4):
        part = [mark for mark in marks if number <= mark[0] * 4 < number + 1]
        if len(part) > 1:
            share, seconds = part[-1][0] - part[0][0], part[-1][1] - part[0][1]
            table.note(f"quarter {number + 1}: {share * bench.messages / seconds:,.0f} msg/s")
    table.note(f"memory: {peak.mb:,.0f} MB at most, {began_mb:,.0f} MB before the landing")


@dataclass(frozen=True, slots=True)
class Bench:
    """A written journal, landed by one way after the other."""

    directory: Path
    written: Profile
    settings: Settings
    trades: int
    quotes: int

    @property
    def messages(self) -> int:
        """Messages of the venue in the journal."""
        return self.trades * (1 + self.quotes)

    def write(self) -> None:
        """Append the lines as capture does; durable in groups."""
        step_ns = 1_000_000_000 // PER_SECOND
        writer = open_journal(self.written, self.settings).writer(SOURCE)
        try:
            for number in range(self.trades):
                recv_ns = START_NS + number * step_ns
                writer.append(recv_ns, agg_trade(number, recv_ns // 1_000_000).encode())
                for quote in range(self.quotes):
                    writer.append(recv_ns, book_ticker(number * self.quotes + quote, recv_ns // 1_000_000).encode())
                if number % PER_SECOND == PER_SECOND - 1:
                    writer.append(recv_ns, clock(number + 1, recv_ns))
                if number % _COMMIT_LINES == 0:
                    writer.commit()
        finally:
            writer.close()

    def engine(self, name: str, marks: list[tuple[float, float]] | None = None) -> float:
        """The whole path: journal, decoding, coverage, ticks, gaps, 1s bars, signals, alerts and offset, one transaction a block.

        ``marks`` gets how much was landed, and when, after each transaction.
        """
        profile = self._linked(name)
        with open_local(profile) as warehouse:
            engine = Engine(profile, self.settings, warehouse)
            try:
                began = time.perf_counter()
                lines = 0
                while landed := engine.land_next():
                    lines += landed
                    if marks is not None:
                        marks.append((lines / (self.messages + self.trades // PER_SECOND + 1), time.perf_counter()))
                taken = time.perf_counter() - began
            finally:
                engine.close()
            self._require_all(warehouse.connection)
        shutil.rmtree(profile.path)
        return taken

    def stages(self, name: str) -> tuple[float, float, float]:
        """Seconds for reading, for decoding, and for landing what is decoded, one after the other in one thread."""
        profile = self._linked(name)
        read_s, blocks = stopwatch(self._blocks)
        decode_s, batches = stopwatch(lambda: [(venue().decode_batch(block), position) for block, position in blocks])
        blocks.clear()
        with open_local(profile) as warehouse:
            engine = Engine(profile, self.settings, warehouse)
            try:
                land_s, _ = stopwatch(lambda: [engine.land_block(SOURCE, batch, position) for batch, position in batches])
            finally:
                engine.close()
            self._require_all(warehouse.connection)
        shutil.rmtree(profile.path)
        return read_s, decode_s, land_s

    def decoded(self) -> list[tuple[pa.Table, pa.Table]]:
        """Trades and quotes of every block as our decoder gives them."""
        batches = (venue().decode_batch(block) for block, _ in self._blocks())
        return [(_ticks(batch.trades), quote_rows(batch.quotes)) for batch in batches]

    def arrow_append(self, name: str, batches: list[tuple[pa.Table, pa.Table]]) -> float:
        """Bare appends of those batches, one transaction for each table of each."""

        def append(connection: duckdb.DuckDBPyConnection) -> None:
            for batch in batches:
                for table, rows in zip(("ticks_recent", "quotes_recent"), batch, strict=True):
                    if rows.num_rows:
                        connection.register("batch", rows)
                        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch")  # noqa: S608  one of two names
                        connection.unregister("batch")

        return self._appended(name, append)

    def execute_many(self, rows: list[tuple[object, ...]]) -> float:
        """What the textbook does: executemany of rows as tuples, one transaction."""
        marks = ", ".join("?" * 10)

        def insert(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO ticks_recent VALUES ({marks})", rows)  # noqa: S608  question marks
            connection.execute("COMMIT")

        return self._appended("many", insert)

    def _appended(self, name: str, append: Callable[[duckdb.DuckDBPyConnection], None]) -> float:
        profile = _profile(self.directory, name)
        with open_local(profile) as warehouse:
            taken, _ = stopwatch(lambda: append(warehouse.connection))
        shutil.rmtree(profile.path)
        return taken

    def _blocks(self) -> list[tuple[bytes, Position]]:
        found = []
        with JournalReader(self.written.journal / SOURCE) as reader:
            position = START
            while True:
                block, position = reader.read(position, self.settings.batch_max_lines)
                if not block:
                    return found
                found.append((block, position))

    def _linked(self, name: str) -> Profile:
        """A new profile with the same journal."""
        profile = _profile(self.directory, name)
        shutil.copytree(self.written.journal, profile.journal, dirs_exist_ok=True, copy_function=os.link)
        return profile

    def _require_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        landed = connection.execute("SELECT (SELECT count(*) FROM ticks), (SELECT count(*) FROM quotes), (SELECT count(*) FROM gaps)")
        assert landed.fetchone() == (self.trades, self.trades * self.quotes, 0)


class Peak:
    """The most memory that this process has resident while the block runs, in ``mb``."""

    def __init__(self) -> None:
        self.mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.mb = max(self.mb, _resident_mb())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _profile(directory: Path, name: str) -> Profile:
    return create_profile(directory, name, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")


def _ticks(trades: TradeColumns) -> pa.Table:
    return tick_rows(trades).append_column("source", pa.array([SOURCE] * len(trades), pa.string()))


def _tuples(batch: pa.Table, count: int) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in batch.slice(0, count).to_pylist()]


if __name__ == "__main__":
    main()
