"""Bars of 1s, 1m and 5m from ticks in DuckDB: our path with everything it writes, a bare GROUP BY, and pandas.

1s bars are made from ticks as landing makes them; larger ones from those 1s bars, as the flow resample makes them, so each of
those rows is what a run costs once the trades have landed. With ``--large`` ticks of many days lie on disk: the figure is memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from timing import Table, machine_line, stopwatch, timed

from pipeline.jobs.resample import resample
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind, create_profile, open_profile
from pipeline.store import LocalWarehouse, open_local
from pipeline.store.bars import FROM_TICKS, bucket
from pipeline.store.landing import JournalClock, LandingStore

SYMBOLS = ("BTCUSDT", "ETHUSDT")
START_US = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
DAY_US = 86_400_000_000
_CHUNK = 1_000_000
_A_DAY = 10_000_000
_LEVELS = (60_000.0, 2_650.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2_000_000, help="ticks of one day, two symbols (10000000 is the day the target names)")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    parser.add_argument("--large", type=int, default=0, help="also this many ticks on disk, ten million a day (100000000 is the target)")
    chosen = parser.parse_args(argv)

    table = Table(f"Bars from {chosen.ticks:,} ticks of two symbols in one day", machine_line("duckdb", "pandas", "pyarrow"))
    table.begin()
    with tempfile.TemporaryDirectory(prefix="bench-resample-") as directory:
        profile = create_profile(Path(directory), "bench", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-03T00:00:00Z")
        with open_local(profile) as warehouse:
            _insert_ticks(warehouse.connection, chosen.ticks)
            _pandas_frames(warehouse)
            fetch_s, frames = stopwatch(lambda: _pandas_frames(warehouse))
            bench = Bench(table, warehouse, frames, fetch_s, chosen.runs)
            bench.one_second()
            for name in ("1m", "5m"):
                bench.larger(Timeframe.parse(name))
    table.note("bars equal: ours and the bare GROUP BY's to the last digit, pandas' to 1e-9")
    if chosen.large:
        _large(table, chosen.large)


def _large(table: Table, ticks: int) -> None:
    """Many days of ticks: written to disk by one process, resampled by another, whose memory is watched."""
    with tempfile.TemporaryDirectory(prefix="bench-resample-large-") as directory:
        context = multiprocessing.get_context("spawn")
        for step in (_write_days, _resample_days):
            told: Connection
            told, tell = context.Pipe(duplex=False)
            process = context.Process(target=step, args=(directory, ticks, tell))
            process.start()
            process.join()
            assert process.exitcode == 0
        facts = told.recv()
        size = sum(path.stat().st_size for path in Path(directory).rglob("*.duckdb"))
        table.note(
            f"{ticks:,} ticks on disk ({size / 1e9:.1f} GB): 1s bars from them in {facts[0]:.1f} s, 1m and 5m bars in {facts[1]:.1f} s, "
            f"the ledger of their days included; most memory held {facts[2] / 1e9:.2f} GB (target: under 2 GB)"
        )


def _open_large(directory: str) -> LocalWarehouse:
    path = Path(directory)
    return open_local(open_profile(path, "large", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-03T00:00:00Z"))


def _days_of(ticks: int) -> list[tuple[int, int]]:
    """Open times of the days and their ticks."""
    days = max(1, ticks // _A_DAY)
    return [(START_US + day * DAY_US, ticks // days) for day in range(days)]


def _write_days(directory: str, ticks: int, tell: Connection) -> None:
    with _open_large(directory) as warehouse:
        for start_us, count in _days_of(ticks):
            _insert_ticks(warehouse.connection, count, start_us)
            warehouse.connection.execute("CHECKPOINT")
    tell.send(None)


def _resample_days(directory: str, ticks: int, tell: Connection) -> None:
    with _open_large(directory) as warehouse:
        store = LandingStore(warehouse.connection, Path(directory))
        began = time.perf_counter()
        for commit, (start_us, _) in enumerate(_days_of(ticks), 1):
            times = f"event_time >= make_timestamptz({start_us}) AND event_time < make_timestamptz({start_us + DAY_US})"
            touched = warehouse.arrow(f"SELECT DISTINCT symbol, {bucket('event_time', '1')} AS ts FROM ticks WHERE {times}")  # noqa: S608
            with store.transaction():
                store.touch_bars(touched, commit, journal_time_us=0, lateness_us=1_000_000)
        with store.transaction():
            store.set_timeframes([Timeframe.parse(name) for name in ("1s", "1m", "5m")])
            store.set_clock(JournalClock(START_US + 1_000 * DAY_US, commit), lateness_ms=1_000)
        seconds_s = time.perf_counter() - began
        resample(warehouse, [Timeframe.parse(name) for name in ("1m", "5m")])
        larger_s = time.perf_counter() - began - seconds_s
    tell.send((seconds_s, larger_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024))


@dataclass(frozen=True, slots=True)
class Bench:
    """One profile with ticks, and the same ticks as pandas likes them."""

    table: Table
    warehouse: LocalWarehouse
    frames: dict[str, pd.DataFrame]
    fetch_s: float
    runs: int

    def one_second(self) -> None:
        """1s bars as landing writes them, here for the whole day at once."""
        connection = self.warehouse.connection
        store = LandingStore(connection, Path("no-archive"))
        touched = self.warehouse.arrow(f"SELECT DISTINCT symbol, {bucket('event_time', '1')} AS ts FROM ticks")  # noqa: S608  constant text

        def forget() -> None:
            connection.execute("DELETE FROM bars_1s_recent; DELETE FROM dirty_marks")

        def write() -> None:
            with store.transaction():
                store.touch_bars(touched, 1, journal_time_us=0, lateness_us=1_000_000)

        mine = timed(write, runs=self.runs, before=forget).median_s
        self._compare(Timeframe.parse("1s"), mine)
        with store.transaction():
            store.set_timeframes([Timeframe.parse(name) for name in ("1s", "1m", "5m")])
            store.set_clock(JournalClock(START_US + 2 * DAY_US, 1), lateness_ms=1_000)

    def larger(self, timeframe: Timeframe) -> None:
        """Larger bars as the flow resample writes them: finds what is due, reads ticks, replaces bars, moves its cursor."""

        def forget() -> None:
            self.warehouse.connection.execute("DELETE FROM bars_resampled; DELETE FROM resample_cursors")

        self._compare(timeframe, timed(lambda: resample(self.warehouse, [timeframe]), runs=self.runs, before=forget).median_s)

    def _compare(self, timeframe: Timeframe, mine: float) -> None:
        connection = self.warehouse.connection
        grouped = f"""CREATE OR REPLACE TEMP TABLE bare AS
            SELECT symbol, {bucket("event_time", str(timeframe.seconds))} AS ts, {FROM_TICKS} FROM ticks GROUP BY ALL"""  # noqa: S608  constant text
        bare_s = timed(lambda: connection.execute(grouped), runs=self.runs).median_s
        pandas_s = timed(lambda: [_pandas_bars(frame, timeframe) for frame in self.frames.values()], runs=self.runs).median_s
        fetched_s = self.fetch_s + pandas_s
        bars = connection.execute("SELECT count(*) FROM bare").fetchone()
        assert bars is not None
        job = f"{timeframe.name} bars ({bars[0]:,})"
        self.table.row(job, mine, "pandas resample, sorted float64 in memory", pandas_s, target=5)
        self.table.row(job, mine, "pandas resample, with reading from DuckDB", fetched_s, target=5)
        self.table.row(job, mine, "one bare DuckDB GROUP BY, same types", bare_s, target=round(1 / 1.3, 2))
        self.table.note(f"the bare GROUP BY itself is {pandas_s / bare_s:.1f}x pandas")
        self._assert_equal(timeframe)

    def _assert_equal(self, timeframe: Timeframe) -> None:
        """Our bars are the bare ones to the last digit, and pandas' to the precision of float64."""
        source = "bars_1s" if timeframe.seconds == 1 else f"bars_resampled WHERE timeframe = '{timeframe.name}'"
        columns = "symbol, ts, open, high, low, close, volume, quote_volume, trades, taker_buy_volume, first_id, last_id"
        apart = self.warehouse.connection.execute(
            f"""SELECT (SELECT count(*) FROM ((SELECT {columns} FROM {source}) EXCEPT (SELECT {columns} FROM bare))),
                       (SELECT count(*) FROM {source}) - (SELECT count(*) FROM bare)"""  # noqa: S608  constant text
        ).fetchone()
        assert apart == (0, 0), apart
        for symbol, frame in self.frames.items():
            theirs = _pandas_bars(frame, timeframe)
            theirs = theirs[theirs["trades"] > 0]
            ours = self.warehouse.connection.execute(
                """SELECT CAST(open AS DOUBLE), CAST(high AS DOUBLE), CAST(low AS DOUBLE), CAST(close AS DOUBLE), CAST(volume AS DOUBLE),
                          CAST(quote_volume AS DOUBLE), CAST(trades AS DOUBLE), CAST(taker_buy_volume AS DOUBLE)
                   FROM bare WHERE symbol = ? ORDER BY ts""",
                [symbol],
            ).fetchnumpy()
            for place, values in enumerate(ours.values()):
                np.testing.assert_allclose(values, theirs.iloc[:, place].to_numpy(), rtol=1e-9, atol=1e-9)


def _insert_ticks(connection: duckdb.DuckDBPyConnection, count: int, start_us: int = START_US) -> None:
    """A day of ticks in the order of their times, in pieces of a million."""
    noise = np.random.default_rng(7)
    gap_us = DAY_US / count
    level = np.log(_LEVELS)
    for first in range(0, count, _CHUNK):
        size = min(_CHUNK, count - first)
        number = np.arange(first, first + size)
        time_us = start_us + np.minimum((number + noise.random(size)) * gap_us, DAY_US - 1.0).astype(np.int64) // 1_000 * 1_000
        which = number % 2
        walk = np.cumsum(noise.normal(0.0, 2e-5, (size, 2)), axis=0) + level
        level = walk[-1]
        rows = pa.table(
            {
                "symbol": pa.array(SYMBOLS).take(pa.array(which)),
                "id": number // 2 + 1,
                "price": np.round(np.exp(walk[np.arange(size), which]), 1),
                "qty": np.round(noise.exponential(0.05, size) + 0.001, 3),
                "time": pa.array(time_us, pa.timestamp("us", tz="UTC")),
                "maker": noise.random(size) < 0.5,
            }
        )
        connection.register("made", rows)
        connection.execute(
            """INSERT INTO ticks_recent SELECT symbol, id, CAST(price AS DECIMAL(18, 8)), CAST(qty AS DECIMAL(18, 8)),
                                 time, time, maker, id, id, 'bench' FROM made"""
        )
        connection.unregister("made")


def _pandas_frames(warehouse: LocalWarehouse) -> dict[str, pd.DataFrame]:
    """Each symbol's ticks as pandas likes them best: sorted, indexed by time, one contiguous float64 array a column."""
    frames = {}
    for symbol in SYMBOLS:
        found = warehouse.connection.execute(
            """SELECT epoch_us(event_time) AS time, CAST(price AS DOUBLE) AS price, CAST(qty AS DOUBLE) AS qty, buyer_is_maker AS maker
               FROM ticks WHERE symbol = ? ORDER BY event_time, trade_id""",
            [symbol],
        ).fetchnumpy()
        index = pd.DatetimeIndex(np.asarray(found.pop("time")).view("M8[us]"))
        frames[symbol] = pd.DataFrame({name: np.ascontiguousarray(column) for name, column in found.items()}, index=index, copy=False)
    return frames


def _pandas_bars(ticks: pd.DataFrame, timeframe: Timeframe) -> pd.DataFrame:
    """The same columns, each with pandas' compiled reductions; first and last rows are those of the lowest and highest trade id."""
    every = pd.Timedelta(seconds=timeframe.seconds)
    prices = ticks["price"].resample(every)
    sums = pd.DataFrame(
        {
            "volume": ticks["qty"],
            "quote_volume": ticks["price"] * ticks["qty"],
            "trades": 1,
            "taker": ticks["qty"].where(~ticks["maker"], 0.0),
        },
        copy=False,
    )
    return pd.concat([prices.ohlc(), sums.resample(every).sum()], axis=1)


if __name__ == "__main__":
    main()
