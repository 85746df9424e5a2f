"""The past as alert rules saw it: what the trades of symbols made known, and a warehouse in memory to see it from. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import duckdb
import polars as pl

from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_bars
from pipeline.store.binding import Value
from pipeline.store.connection import configure
from pipeline.store.migrations import migrate
from pipeline.store.protocol import Warehouse
from pipeline.store.views import create_views
from pipeline.store.warehouse import LocalWarehouse

_GRID_US = 100_000
_AROUND = timedelta(hours=1)


class Grain(StrEnum):
    """What the past is replayed from, the finest first."""

    TICKS = "ticks"
    SECONDS = "1s"
    MINUTES = "1m"


@dataclass(frozen=True, slots=True)
class Reach:
    """What there is of one grain in a period: when the last of the symbols begins to have it, and how many rows."""

    grain: Grain
    first: datetime | None
    rows: int


_KNOWN_LIVE = "SELECT *, epoch_us(recv_time) AS known_us FROM ticks WHERE symbol IN (SELECT unnest($symbols)) AND {span}"
# Journal time of a recording is the highest event time so far, of any symbol, in the order of the lines.
_KNOWN_RECORDED = """
    SELECT * FROM (
        SELECT *, epoch_us(max(event_time) OVER (ORDER BY recv_time, event_time, trade_id ROWS UNBOUNDED PRECEDING)) AS known_us
        FROM ticks WHERE {span}
    ) WHERE symbol IN (SELECT unnest($symbols))
"""
_SPAN = "event_time >= $from AND event_time < $until"
_TICKS = """
    SELECT symbol, (known_us + {grid} - 1) // {grid} * {grid} AS grid_us, epoch_us(event_time) // 1000000 AS second,
           arg_max(price, last_id) AS price, sum(qty) AS qty, max(last_id) AS last_id
    FROM ({known}) WHERE known_us >= epoch_us($start) AND known_us < epoch_us($end)
    GROUP BY ALL ORDER BY grid_us, symbol, second
"""
_SECONDS = """
    SELECT symbol, epoch_us(ts) + 1000000 AS grid_us, epoch_us(ts) // 1000000 AS second, close AS price, volume AS qty, last_id
    FROM bars_1s WHERE symbol IN (SELECT unnest($symbols)) AND ts >= $from AND epoch_us(ts) + 1000000 >= epoch_us($start)
    AND epoch_us(ts) + 1000000 < epoch_us($end) ORDER BY grid_us, symbol
"""
_MINUTES = """
    SELECT symbol, epoch_us(ts) + 60000000 AS grid_us, epoch_us(ts) // 1000000 AS second, close AS price, coalesce(volume, 0) AS qty,
           epoch_us(ts) // 60000000 AS last_id
    FROM klines WHERE timeframe = '1m' AND closed AND symbol IN (SELECT unnest($symbols)) AND ts >= $from
    AND epoch_us(ts) + 60000000 >= epoch_us($start) AND epoch_us(ts) + 60000000 < epoch_us($end) ORDER BY grid_us, symbol
"""
_REACH = {
    Grain.TICKS: "SELECT symbol, min(event_time) AS first, count(*) AS n FROM ticks WHERE event_time >= $start AND event_time < $end",
    Grain.SECONDS: "SELECT symbol, min(ts) AS first, count(*) AS n FROM bars_1s WHERE ts >= $start AND ts < $end",
    Grain.MINUTES: """SELECT symbol, min(ts) AS first, count(*) AS n FROM klines
                      WHERE timeframe = '1m' AND closed AND ts >= $start AND ts < $end""",
}
_MODELS = """
    SELECT {columns} FROM activations a JOIN fits f USING (model_id)
    WHERE a.y = $y AND a.x = $x AND a.timeframe = $timeframe AND a.activated_at < $end
"""


def load_reach(warehouse: Warehouse, symbols: Sequence[str], *, start: datetime, end: datetime) -> list[Reach]:
    """What there is of each grain in ``start <= time < end``."""
    found = []
    for grain, sql in _REACH.items():
        rows = warehouse.select(
            f"{sql} AND symbol IN (SELECT unnest($symbols)) GROUP BY symbol",
            symbols=list(symbols),
            start=start,
            end=end,
        )
        whole = rows.height == len(set(symbols))
        found.append(Reach(grain, max(rows["first"].to_list()) if whole else None, sum(rows["n"].to_list())))
    return found


def load_updates(
    warehouse: Warehouse, grain: Grain, symbols: Sequence[str], *, start: datetime, end: datetime, recorded: bool
) -> pl.DataFrame:
    """What became known in ``start <= journal time < end``, by grid point: symbol, grid_us, second, price, qty, last_id.

    Args:
        warehouse: where from.
        grain: what of. Trades are known when they were received (of a recording: by the highest event time so far, which is the
            journal's), bars when they are over.
        symbols: of which symbols.
        start: journal time, inclusive.
        end: journal time, exclusive.
        recorded: whether the profile holds recordings.
    """
    times = {"start": start, "end": end, "from": start - _AROUND}
    if grain is Grain.TICKS:
        known = (_KNOWN_RECORDED if recorded else _KNOWN_LIVE).format(span=_SPAN)
        sql, times["until"] = _TICKS.format(grid=_GRID_US, known=known), end + _AROUND
    else:
        sql = _SECONDS if grain is Grain.SECONDS else _MINUTES
    return warehouse.select(sql, symbols=list(symbols), **times)


def open_scratch() -> LocalWarehouse:
    """An empty warehouse in memory, with the schema of today."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    create_views(connection, Path())
    return LocalWarehouse(connection)


def copy_past(
    source: Warehouse,
    scratch: LocalWarehouse,
    *,
    symbols: Sequence[str],
    pairs: Sequence[Pair],
    frame: Timeframe | None,
    frames: Sequence[Timeframe],
    bars: int,
    start: datetime,
    end: datetime,
) -> None:
    """Put into a scratch warehouse what a rule that is made at ``start`` finds there: bars, last prices, models, and how far time is.

    Args:
        source: where from.
        scratch: where to, as `open_scratch` made it.
        symbols: whose bars.
        pairs: whose models, those that go live before ``end`` included.
        frame: the rule's timeframe.
        frames: the configured timeframes.
        bars: how many bars the rule looks back.
        start: when the rule is made.
        end: when it is over.
    """
    connection = scratch.connection
    opened = start if frame is None else _bucket(start, frame)
    connection.executemany("INSERT INTO timeframes VALUES (?, ?)", [[one.name, one.seconds] for one in frames])
    seconds_from = opened - timedelta(seconds=bars + 1) if frame is not None and frame.seconds == 1 else opened
    names = list(symbols)
    seconds = source.select(
        """SELECT * FROM bars_1s WHERE symbol IN (SELECT unnest($symbols)) AND ts < $start AND ts >= $from
           UNION
           SELECT b.* FROM bars_1s b JOIN (
               SELECT symbol, max(ts) AS ts FROM bars_1s WHERE symbol IN (SELECT unnest($symbols)) AND ts < $start AND ts >= $old
               GROUP BY symbol
           ) n ON n.symbol = b.symbol AND n.ts = b.ts""",
        symbols=names,
        start=start,
        old=start - timedelta(days=1),
        **{"from": seconds_from},
    )
    _insert(scratch, "bars_1s_recent", seconds)
    _insert(scratch, "dirty_marks", seconds.select(pl.lit(1).cast(pl.Int64).alias("commit_no"), "symbol", pl.col("ts").alias("bucket")))
    connection.executemany("INSERT INTO resample_cursors VALUES (?, 0)", [[one.name] for one in frames])
    if frame is not None and frame.seconds > 1:
        past = load_bars(source, names, frame, start=opened - timedelta(seconds=(bars + 1) * frame.seconds), end=opened)
        columns = ("symbol", "timeframe", "ts", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
        _insert(scratch, "klines", past.select(*columns, pl.lit(value=True).alias("closed"), pl.col("ts").alias("fetched_at")))
    for pair in pairs:
        if frame is None:
            break
        of: dict[str, Value] = {"y": pair.y, "x": pair.x, "timeframe": frame.name, "end": end}
        _insert(scratch, "fits", source.select(_MODELS.format(columns="DISTINCT f.*"), **of))
        _insert(scratch, "activations", source.select(_MODELS.format(columns="a.*") + " ORDER BY a.activated_at", **of))
    if seconds.height:
        connection.execute("INSERT INTO coverage VALUES (?, 0, 0)", [names[0]])
    connection.execute("INSERT INTO journal_clock VALUES (?, 1, 1000, false, ?)", [start, start])


def _insert(scratch: LocalWarehouse, table: str, rows: pl.DataFrame) -> None:
    if not rows.height:
        return
    scratch.connection.register("past_rows", rows.to_arrow())
    try:
        scratch.connection.execute(f"INSERT INTO {table} BY NAME FROM past_rows")
    finally:
        scratch.connection.unregister("past_rows")


def _bucket(time: datetime, frame: Timeframe) -> datetime:
    us = round(time.timestamp() * 1_000_000)
    return time - timedelta(microseconds=us - frame.bucket_us(us))
