"""The market at a glance: last prices, and the last day of each symbol."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import bars_query, bucket
from pipeline.store.protocol import Warehouse

_LAST = """
    SELECT symbol, arg_max(close, last_id) AS price, max(ts) AS ts FROM bars_1s WHERE ts >= $since GROUP BY symbol ORDER BY symbol
"""

_DAY = f"""
    SELECT symbol, {bucket("ts", "$step")} AS bucket, min(ts) AS first_ts, max(ts) AS last_ts, arg_min(open, ts) AS open, max(high) AS high,
           min(low) AS low, arg_max(close, ts) AS close, sum(volume) AS volume, sum(quote_volume) AS quote_volume,
           CAST(sum(trades) AS BIGINT) AS trades
    FROM ({bars_query("timeframe = $timeframe AND ts >= $start", "b.ts >= CAST($start AS TIMESTAMPTZ)")})
    GROUP BY ALL ORDER BY symbol, bucket
"""  # noqa: S608  constant text


def last_prices(warehouse: Warehouse, *, since: datetime) -> pl.DataFrame:
    """Price of the newest trade of each symbol that traded at or after ``since``: symbol, price, ts (of its second)."""
    return warehouse.select(_LAST, since=since)


def recent_market(warehouse: Warehouse, timeframe: Timeframe, *, start: datetime, step_s: int) -> pl.DataFrame:
    """All bars of a timeframe from ``start`` on, added up into buckets of ``step_s`` seconds for sparklines and day figures.

    Returns:
        symbol, bucket, first_ts, last_ts, open, high, low, close, volume, quote_volume, trades; by symbol and bucket.
    """
    return warehouse.select(_DAY, timeframe=timeframe.name, start=start, step=step_s)
