"""Journal lines into ticks through the warehouse's own engine, beside appends of rows that somebody else has decoded already."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from timing import Table, machine_line, rate, stopwatch, timed
from wire import SYMBOLS, agg_trade, clock

from pipeline.journal import START, JournalReader, open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.venues import TradeColumns, venue
from pipeline.warehouse.engine import Engine
from pipeline.warehouse.rows import tick_rows

START_NS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000_000
PER_SECOND = 10_000
SOURCE = "capture"
_COMMIT_LINES = 20_000


def main(argv: Sequence[str] | None = None) -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500_000, help="aggTrade lines")
    parser.add_argument("--rows", type=int, default=2_000, help="rows that executemany is timed on")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    chosen = parser.parse_args(argv)

    settings = Settings()
    title = f"Landing of {chosen.lines:,} journal lines: {len(SYMBOLS)} symbols, {PER_SECOND:,} trades a second, a clock line each second"
    table = Table(title, machine_line("duckdb", "pyarrow", "msgspec", "numpy"))
    table.begin()
    with tempfile.TemporaryDirectory(prefix="bench-landing-") as name:
        directory = Path(name)
        bench = Bench(table, directory, _profile(directory, "written"), settings, chosen.lines, chosen.runs)
        shown = rate(chosen.lines, "msg")
        write_s, _ = stopwatch(lambda: _write_journal(bench.written, settings, chosen.lines))
        table.row("make the messages, journal them, fsync", write_s, show=shown)
        ours_s = bench.engine()
        decode_s, batches = stopwatch(bench.decoded)
        table.row("of landing: read the journal and decode", decode_s, show=shown)
        sample = _tuples(batches[0], chosen.rows)
        many_s = bench.execute_many(sample) / len(sample) * chosen.lines
        table.row("landing, everything in it", ours_s, f"executemany of decoded rows ({len(sample):,}, scaled)", many_s, show=shown)
        table.row("landing, everything in it", ours_s, "bare Arrow append of decoded rows", bench.arrow_append(batches), show=shown)
        reached = chosen.lines / ours_s
        table.note(
            f"target 500,000 msg/s: {'reached' if reached >= 500_000 else f'MISSED, {reached / 500_000:.2f} of it'}; no gap, no duplicate"
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """A written journal, landed by one way after the other."""

    table: Table
    directory: Path
    written: Profile
    settings: Settings
    lines: int
    runs: int

    def engine(self) -> float:
        """The whole path: journal, decoding, coverage, ticks, gaps, 1s bars, signals, alerts and offset, one transaction a batch."""
        taken = []
        for number in range(self.runs + 1):
            profile = self._copied(f"run{number}")
            with open_local(profile) as warehouse:
                engine = Engine(profile, self.settings, warehouse)
                try:
                    taken.append(stopwatch(engine.land_everything)[0])
                finally:
                    engine.close()
                landed = warehouse.connection.execute("SELECT count(*), (SELECT count(*) FROM gaps) FROM ticks").fetchone()
            assert landed == (self.lines, 0), landed
            shutil.rmtree(profile.path)
        return statistics.median(taken[1:])

    def decoded(self) -> list[pa.Table]:
        """Every batch as our decoder gives it."""
        batches: list[pa.Table] = []
        with JournalReader(self.written.journal / SOURCE) as reader:
            position = START
            while True:
                block, position = reader.read(position, self.settings.batch_max_lines)
                if not block:
                    return batches
                batches.append(_rows(venue().decode_batch(block).trades))

    def arrow_append(self, batches: list[pa.Table]) -> float:
        """Bare appends of those batches, one transaction each."""

        def append(connection: duckdb.DuckDBPyConnection) -> None:
            for batch in batches:
                connection.register("batch", batch)
                connection.execute("INSERT INTO ticks_recent BY NAME SELECT * FROM batch")
                connection.unregister("batch")

        return self._appended("arrow", append)

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
            connection = warehouse.connection
            return timed(lambda: append(connection), runs=self.runs, before=lambda: connection.execute("TRUNCATE ticks_recent")).median_s

    def _copied(self, name: str) -> Profile:
        profile = _profile(self.directory, name)
        shutil.copytree(self.written.journal, profile.journal, dirs_exist_ok=True)
        return profile


def _profile(directory: Path, name: str) -> Profile:
    return create_profile(directory, name, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")


def _write_journal(profile: Profile, settings: Settings, lines: int) -> None:
    """Append the lines as capture does; durable in groups."""
    step_ns = 1_000_000_000 // PER_SECOND
    writer = open_journal(profile, settings).writer(SOURCE)
    try:
        for number in range(lines):
            recv_ns = START_NS + number * step_ns
            writer.append(recv_ns, agg_trade(number, recv_ns // 1_000_000).encode())
            if number % PER_SECOND == PER_SECOND - 1:
                writer.append(recv_ns, clock(number + 1, recv_ns))
            if number % _COMMIT_LINES == 0:
                writer.commit()
    finally:
        writer.close()


def _rows(trades: TradeColumns) -> pa.Table:
    return tick_rows(trades).append_column("source", pa.array([SOURCE] * len(trades), pa.string()))


def _tuples(batch: pa.Table, count: int) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in batch.slice(0, count).to_pylist()]


if __name__ == "__main__":
    main()
