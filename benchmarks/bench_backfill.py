"""Backfill of candlesticks and trades from a simulated venue in a process of its own: by REST, from archive files, and beside pandas."""

from __future__ import annotations

import argparse
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
from timing import Table, machine_line, rate, seconds, stopwatch, timed

from pipeline.jobs.backfill import Order, Source, What
from pipeline.jobs.backfill import backfill as fetch_missing
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile, create_profile, publish_universe
from pipeline.settings import Settings
from pipeline.simulator.universe import SPECS
from pipeline.venues.binance_archive import KLINE_COLUMNS, TRADE_COLUMNS, parse_klines, parse_trades, trade_file, trade_layout
from pipeline.venues.binance_archive import kline_file as kline_file_of
from pipeline.warehouse.backfill import backfill_place

MINUTE = Timeframe.parse("1m")
_START_S = 60.0
_SIMULATOR = """
import asyncio, sys
from pipeline.simulator import SimulatorConfig, serve
asyncio.run(serve(SimulatorConfig(port=int(sys.argv[1])), asyncio.Event()))
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Print rows a second and wall times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=20, help="symbols whose candlesticks are fetched")
    parser.add_argument("--days", type=int, default=30, help="days of 1m candlesticks")
    parser.add_argument("--traded", default="BTCUSDT,ETHUSDT", help="symbols of whose trades a day is fetched")
    parser.add_argument("--rest-minutes", type=int, default=60, help="minutes of trades by REST: its budget allows 120,000 trades a minute")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median of parsing is taken of")
    chosen = parser.parse_args(argv)

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    traded = tuple(chosen.traded.split(","))
    symbols = tuple(dict.fromkeys((*traded, *(spec.symbol for spec in SPECS))))[: chosen.symbols]
    title = f"Backfill: {chosen.days} days of 1m candlesticks for {len(symbols)} symbols, a day of trades for {', '.join(traded)}"
    table = Table(title, machine_line("duckdb", "polars", "pandas"))
    table.begin()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="bench-backfill-") as name, simulator() as url:
            bench = Bench(table, Path(name), url, symbols, traded, today)
            bench.klines(chosen.days)
            bench.trades(chosen.rest_minutes)
            bench.parsing(chosen.runs)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def simulator() -> Iterator[str]:
    """The simulated venue in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _SIMULATOR, str(port)], env=os.environ)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + _START_S
        while True:
            try:
                httpx.get(f"{url}/fapi/v1/ping", timeout=5)
                break
            except httpx.TransportError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Bench:
    """One venue, and a new profile for each comparison."""

    table: Table
    directory: Path
    url: str
    symbols: tuple[str, ...]
    traded: tuple[str, ...]
    today: datetime

    def klines(self, days: int) -> None:
        """A month of candlesticks, REST beside archive: the same rows. The simulated venue computes them meanwhile, on the same machine."""
        start = self.today - timedelta(days=days)
        rows = len(self.symbols) * days * 1_440
        taken = {}
        held = {}
        for source in (Source.REST, Source.ARCHIVE):
            profile, settings = self._profile(f"klines-{source}")
            order = Order(self.symbols, (MINUTE,), self.today, source=source, start=start)
            taken[source], written = self._run(
                profile, settings, order, "SELECT * EXCLUDE (fetched_at) FROM klines ORDER BY symbol, ts", held
            )
            if written != rows:
                msg = f"{written} candlesticks written, expected {rows}"
                raise SystemExit(msg)
        same = held["klines-rest"].equals(held["klines-archive"])
        shown = rate(rows, "rows")
        self.table.row("candlesticks by REST, asked, parsed, written", taken[Source.REST], show=shown)
        self.table.row("candlesticks from daily and monthly files", taken[Source.ARCHIVE], show=shown)
        minutes = len(self.symbols) * days * 3 * 2 / 1_800
        self.table.note(
            f"{rows:,} rows: {seconds(taken[Source.REST])} by REST (its budget alone takes about {minutes:.1f} minutes beyond the first), "
            f"{seconds(taken[Source.ARCHIVE])} from files; equal tables: {'yes' if same else 'NO'}; the venue makes its market in that time"
        )

    def trades(self, rest_minutes: int) -> None:
        """A day of trades from files, and a stretch of the same day by REST: journal, landing, 1s bars and ledger in it."""
        for symbol in self.traded:
            self._fetched(trade_file(symbol, (self.today - timedelta(days=1)).date()).path)
        held: dict[str, pd.DataFrame] = {}
        profile, settings = self._profile("trades-archive")
        start = self.today - timedelta(days=1)
        order = Order(self.traded, (MINUTE,), self.today, what=(What.TRADES,), source=Source.ARCHIVE, start=start)
        took, rows = self._run(profile, settings, order, "SELECT count(*) FROM gaps", held)
        self.table.row("a day of trades from files", took, show=rate(rows, "rows"))
        self.table.note(f"{rows:,} trades: {seconds(took)} until landed; gaps {held['trades-archive'].item()}")
        profile, settings = self._profile("trades-rest")
        order = Order(self.traded, (MINUTE,), start + timedelta(minutes=rest_minutes), what=(What.TRADES,), start=start)
        took, rows = self._run(profile, settings, order, "SELECT count(*) FROM gaps", held)
        self.table.row(f"{rest_minutes} minutes of trades by REST", took, show=rate(rows, "rows"))

    def parsing(self, runs: int) -> None:
        """The same files through our parsers, with every check, and through plain pandas.read_csv, with none."""
        day = (self.today - timedelta(days=1)).date()
        jobs = (
            ("parsing candlesticks", self._csv(kline_file_of(self.symbols[0], "1m", day).path), KLINE_COLUMNS, parse_klines),
            ("parsing trades", self._csv(trade_file(self.traded[0], day).path), TRADE_COLUMNS, _parsed_trades),
        )
        for job, text, columns, parse in jobs:
            rows = text.count(b"\n") - 1
            ours = timed(lambda parse=parse, text=text: parse(text), runs=runs).median_s
            peer = timed(
                lambda text=text, columns=columns: pd.read_csv(io.BytesIO(text), names=list(columns), header=0), runs=runs
            ).median_s
            self.table.row(f"{job} ({rows:,} rows)", ours, "pandas.read_csv of the same file", peer, show=rate(rows, "rows"))

    def _profile(self, name: str) -> tuple[Profile, Settings]:
        made = create_profile(self.directory, name, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        publish_universe(made, Universe(self.symbols, (), 1))
        return made, Settings(data_dir=self.directory, rest_url=self.url, archive_url=self.url, symbols=self.symbols, pairs=())

    @staticmethod
    def _run(profile: Profile, settings: Settings, order: Order, query: str, held: dict[str, object]) -> tuple[float, int]:
        with backfill_place(profile, settings, run="bench") as place:
            took, told = stopwatch(lambda: fetch_missing(place, order))
            held[profile.name] = place.warehouse.select(query)
        return took, sum(row.written for row in told)

    def _fetched(self, path: str) -> bytes:
        answer = httpx.get(f"{self.url}/{path}", timeout=300)
        answer.raise_for_status()
        return answer.content

    def _csv(self, path: str) -> bytes:
        with zipfile.ZipFile(io.BytesIO(self._fetched(path))) as archive:
            return archive.read(archive.namelist()[0])


def _parsed_trades(text: bytes) -> object:
    first_line, _, rest = text.partition(b"\n")
    return parse_trades(rest, trade_layout(first_line))


if __name__ == "__main__":
    main()
