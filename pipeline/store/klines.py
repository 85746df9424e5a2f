"""The exchange's own candlesticks, as the flow backfill fetched them. The view ``bars`` shows them where our trades do not reach."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.coverage import Coverage
from pipeline.model.timeframe import Timeframe
from pipeline.store.partitions import ledger_sql
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

# A day is whole when every candlestick of it is there and closed: the venue has one for an interval without trades, too.
_SECONDS = """CAST(timeframe[:-2] AS BIGINT) * CASE timeframe[-1] WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 ELSE 86400 END"""
_DAY = "CAST(make_timestamp(epoch_us(ts)) AS DATE)"
_CONTENT = "epoch_us(ts), open, high, low, close, volume, quote_volume, trades, taker_buy_volume, closed"
_LEDGER = ledger_sql(
    f"""
    SELECT 'klines' AS asset, symbol || '/' || timeframe || '/' || day AS partition, symbol, timeframe, day,
           count(*) FILTER (closed) >= 86400 // ({_SECONDS}) AS complete, count(*) AS "rows",
           printf('%x', bit_xor(hash({_CONTENT}))) AS fingerprint, min(ts) AS first_ts, max(ts) AS last_ts,
           any_value(run) AS run, CAST([] AS VARCHAR[]) AS inputs
    FROM (SELECT *, {_DAY} AS day FROM klines)
    JOIN (SELECT symbol, timeframe, {_DAY} AS day, coalesce(max(run), 'backfill') AS run
          FROM stage_klines WHERE batch = '{{batch}}' GROUP BY ALL) USING (symbol, timeframe, day)
    GROUP BY symbol, timeframe, day
    """  # noqa: S608  constant text
)

_SAVE = statement(
    "save_klines",
    stage="stage_klines",
    sql=f"""
    DELETE FROM klines k USING stage_klines s
    WHERE s.batch = '{{batch}}' AND k.symbol = s.symbol AND k.timeframe = s.timeframe AND k.ts = s.ts;
    INSERT INTO klines BY NAME SELECT * EXCLUDE (batch, run) FROM stage_klines WHERE batch = '{{batch}}';
    INSERT INTO kline_marks SELECT nextval('kline_mark_numbers'), symbol, timeframe, min(ts), max(ts)
    FROM stage_klines WHERE batch = '{{batch}}' GROUP BY symbol, timeframe;
    {_LEDGER}
    """,  # noqa: S608  constant text
)

# Runs of candlesticks without a hole: their number minus their rank is constant.
_HELD = """
    SELECT symbol, CAST(min(bar) AS BIGINT) AS first_bar, CAST(max(bar) AS BIGINT) AS last_bar FROM (
        SELECT symbol, bar, bar - row_number() OVER (PARTITION BY symbol ORDER BY bar) AS run FROM (
            SELECT DISTINCT symbol, epoch_us(ts) // (CAST($seconds AS BIGINT) * 1000000) AS bar
            FROM klines WHERE closed AND timeframe = $timeframe AND ts >= $start AND ts < $end AND symbol IN (SELECT unnest($symbols))
        )
    ) GROUP BY symbol, run ORDER BY symbol, first_bar
"""

_SPANS = """
    SELECT symbol, timeframe, min(ts) AS first_ts, max(ts) AS last_ts, count(*) AS klines FROM klines WHERE closed
    GROUP BY symbol, timeframe ORDER BY symbol, timeframe
"""


def save_klines(warehouse: Warehouse, klines: pl.DataFrame, *, run: str = "backfill") -> None:
    """Write candlesticks in place of those of the same key, and their days into the ledger of partitions, all or nothing.

    Args:
        warehouse: where they go.
        klines: columns of the table ``klines``, amounts as exact text or decimals; each key once.
        run: who writes, for the ledger.
    """
    if not klines.is_empty():
        warehouse.run(_SAVE, klines.with_columns(pl.lit(run).alias("run")))


def held_klines(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, *, start: datetime, end: datetime) -> dict[str, Coverage]:
    """For each symbol the closed candlesticks that are there with ``start <= ts < end``, by bar number (open time // length)."""
    frame = warehouse.select(_HELD, symbols=symbols, timeframe=timeframe.name, seconds=timeframe.seconds, start=start, end=end)
    held = {symbol: Coverage() for symbol in symbols}
    for symbol, first, last in frame.iter_rows():
        held[symbol].add(first, last)
    return held


def kline_spans(warehouse: Warehouse) -> pl.DataFrame:
    """Per symbol and timeframe: first_ts, last_ts, klines."""
    return warehouse.select(_SPANS)
