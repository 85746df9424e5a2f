"""Bars: one reading of all of them.

Three tables hold bars, each with one writer: ``bars_1s`` (the warehouse, as trades land),
``bars_resampled`` (the flow resample) and ``klines`` (the flow backfill). The view ``bars``
joins them into one: a bar of a larger timeframe that resample has not written since the last
trade touched it is added up from 1s bars, so that none is missing and a 1m candle moves each
second; an exchange kline stands where our own trades do not cover the whole bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse

# Exact in every step: the factor is cast before multiplying (the product of two DECIMAL(18,8) overflows), vwap comes last.
FROM_TICKS = """
    arg_min(price, trade_id) AS open, max(price) AS high, min(price) AS low, arg_max(price, trade_id) AS close,
    CAST(sum(qty) AS DECIMAL(38, 8)) AS volume,
    CAST(sum(CAST(price AS DECIMAL(38, 8)) * qty) AS DECIMAL(38, 16)) AS quote_volume,
    CAST(sum(last_id - first_id + 1) AS BIGINT) AS trades,
    CAST(coalesce(sum(qty) FILTER (NOT buyer_is_maker), 0) AS DECIMAL(38, 8)) AS taker_buy_volume,
    min(first_id) AS first_id, max(last_id) AS last_id
"""

FROM_SECONDS = """
    arg_min(open, first_id) AS open, max(high) AS high, min(low) AS low, arg_max(close, last_id) AS close,
    CAST(sum(volume) AS DECIMAL(38, 8)) AS volume, CAST(sum(quote_volume) AS DECIMAL(38, 16)) AS quote_volume,
    CAST(sum(trades) AS BIGINT) AS trades, CAST(sum(taker_buy_volume) AS DECIMAL(38, 8)) AS taker_buy_volume,
    min(first_id) AS first_id, max(last_id) AS last_id
"""

_COLUMNS = "open, high, low, close, volume, quote_volume, trades, taker_buy_volume"
_SHOWN = f"""symbol, timeframe, ts, {_COLUMNS},
    CASE WHEN volume > 0 THEN CAST(quote_volume AS DOUBLE) / CAST(volume AS DOUBLE) END AS vwap,
    first_id, last_id, complete, revision, source"""


def bucket(column: str, seconds: str) -> str:
    """SQL for the open time of the bar that a time falls in: integer division from the epoch."""
    return f"make_timestamptz(epoch_us({column}) // ({seconds} * 1000000) * ({seconds} * 1000000))"


OPEN_GAPS = """
    SELECT symbol, list({'from_time': from_time, 'to_time': to_time}) AS open_gaps FROM gaps WHERE state = 'open' GROUP BY symbol
"""


def complete_sql(ts: str, seconds: str, open_gaps: str, symbol: str = "symbol") -> str:
    """SQL: journal time has passed the bar's end plus lateness, and no open gap touches it; an uploaded symbol has no journal time.

    Written without correlated subqueries, which cost a join over every row; ``open_gaps`` is a column of ``OPEN_GAPS``.
    """
    end = f"{ts} + to_seconds({seconds})"
    return f"""(
        coalesce((SELECT bool_or(ended) FROM journal_clock)
                 OR {end} <= (SELECT max(journal_time - to_milliseconds(lateness_ms)) FROM journal_clock)
                 OR list_contains((SELECT any_value(uploaded) FROM universe), {symbol}), FALSE)
        AND coalesce(len(list_filter({open_gaps}, lambda g: g.from_time < {end} AND g.to_time >= {ts})), 0) = 0)"""  # noqa: S608  constant text


def bars_query(where: str = "TRUE", seconds: str = "TRUE") -> str:
    """The SELECT behind the view ``bars``.

    Args:
        where: condition over symbol, timeframe, ts; applied to every source before they are joined.
        seconds: what it means for the 1s bars (``b``) that larger bars are added up from: without it all of them are looked at.
    """
    return f"""
    WITH pending AS (
        SELECT DISTINCT symbol, timeframe, seconds, ts FROM (
            SELECT m.symbol, t.name AS timeframe, t.seconds, {bucket("m.bucket", "t.seconds")} AS ts
            FROM dirty_marks m CROSS JOIN timeframes t JOIN resample_cursors r ON r.timeframe = t.name
            WHERE t.seconds > 1 AND m.commit_no > r.commit_no
            UNION ALL
            SELECT b.symbol, t.name, t.seconds, {bucket("b.ts", "t.seconds")}
            FROM bars_1s b CROSS JOIN timeframes t LEFT JOIN resample_cursors r ON r.timeframe = t.name
            WHERE t.seconds > 1 AND r.timeframe IS NULL AND {seconds}
            UNION ALL
            SELECT b.symbol, b.timeframe, t.seconds, b.ts
            FROM bars_resampled b JOIN timeframes t ON t.name = b.timeframe WHERE NOT b.complete
        ) WHERE {where}
    ), gap_lists AS ({OPEN_GAPS}
    ), moving AS (
        SELECT symbol, timeframe, ts, {complete_sql("ts", "seconds", "open_gaps")} AS complete,
               * EXCLUDE (symbol, timeframe, seconds, ts, open_gaps)
        FROM (
            SELECT p.symbol, p.timeframe, p.seconds, p.ts, {FROM_SECONDS}, max(revision) AS revision
            FROM pending p JOIN bars_1s b ON b.symbol = p.symbol AND b.ts >= p.ts AND b.ts < p.ts + to_seconds(p.seconds)
            WHERE {seconds} GROUP BY p.symbol, p.timeframe, p.seconds, p.ts
        ) LEFT JOIN gap_lists USING (symbol)
    ), own AS (
        SELECT symbol, timeframe, ts, {_COLUMNS}, first_id, last_id, complete, revision
        FROM bars_resampled b
        WHERE {where} AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.symbol = b.symbol AND p.timeframe = b.timeframe AND p.ts = b.ts)
        UNION ALL
        SELECT symbol, timeframe, ts, {_COLUMNS}, first_id, last_id, complete, revision FROM moving
    ), fetched AS (
        SELECT symbol, timeframe, ts, {_COLUMNS} FROM klines WHERE closed AND coalesce(trades, 1) > 0 AND {where}
    ), larger AS (
        SELECT o.symbol, o.timeframe, o.ts, o.open, o.high, o.low, o.close, o.volume, o.quote_volume, o.trades, o.taker_buy_volume,
               o.first_id, o.last_id, o.complete, o.revision, 'tick' AS source
        FROM own o LEFT JOIN fetched k ON k.symbol = o.symbol AND k.timeframe = o.timeframe AND k.ts = o.ts
        WHERE k.ts IS NULL OR o.trades >= coalesce(k.trades, 0)
        UNION ALL
        SELECT k.symbol, k.timeframe, k.ts, k.open, k.high, k.low, k.close, k.volume, k.quote_volume, k.trades, k.taker_buy_volume,
               NULL, NULL, TRUE, 0, 'kline'
        FROM fetched k LEFT JOIN own o ON k.symbol = o.symbol AND k.timeframe = o.timeframe AND k.ts = o.ts
        WHERE o.ts IS NULL OR o.trades < coalesce(k.trades, 0)
    )
    SELECT {_SHOWN} FROM ({_seconds(where)} UNION ALL FROM larger)
    """  # noqa: S608  constant text


def _seconds(where: str) -> str:
    return f"""SELECT symbol, timeframe, ts, {_COLUMNS}, first_id, last_id, {complete_sql("ts", "1", "open_gaps")} AS complete, revision,
               'tick' AS source
        FROM (SELECT *, '1s' AS timeframe FROM bars_1s) LEFT JOIN ({OPEN_GAPS}) USING (symbol) WHERE {where}"""  # noqa: S608  constant text


def seconds_query(where: str) -> str:
    """What ``bars_query`` gives of the timeframe 1s, which needs none of the other tables."""
    return f"SELECT {_SHOWN} FROM ({_seconds(where)})"  # noqa: S608  constant text


_SELECTED = "symbol IN (SELECT unnest($symbols)) AND timeframe = $timeframe AND ts >= $start AND ts < $end"
# No bar is longer than a day. With constants for bounds, months of the archive that lie outside are not looked at.
_SELECTED_SECONDS = "b.ts >= CAST($start AS TIMESTAMPTZ) AND b.ts < CAST($end AS TIMESTAMPTZ) + INTERVAL 24 HOUR"
_LOADED = "WHERE complete OR NOT $complete_only ORDER BY symbol, ts"
_LOAD = f"FROM ({bars_query(_SELECTED, _SELECTED_SECONDS)}) {_LOADED}"
_LOAD_SECONDS = f"FROM ({seconds_query(_SELECTED)}) {_LOADED}"
_SPAN = """
    SELECT symbol, min(ts) AS first_ts, max(ts) AS last_ts, count(*) AS bars, count(*) FILTER (complete) AS complete_bars,
           count(*) FILTER (source = 'kline') AS kline_bars
    FROM bars WHERE timeframe = $timeframe GROUP BY symbol ORDER BY symbol
"""
# From the three tables, not from the view, which would judge every bar only to take the last one's time.
_NEWEST = f"""
    SELECT max(ts) AS ts FROM (
        SELECT {bucket("max(ts)", "$seconds")} AS ts FROM bars_1s_recent WHERE symbol IN (SELECT unnest($symbols))
        UNION ALL SELECT {bucket("max(last_ts)", "$seconds")} FROM archived
                  WHERE dataset = 'bars_1s' AND state = 'archived' AND symbol IN (SELECT unnest($symbols))
        UNION ALL SELECT max(ts) FROM bars_resampled WHERE timeframe = $timeframe AND symbol IN (SELECT unnest($symbols))
        UNION ALL SELECT max(ts) FROM klines
                  WHERE timeframe = $timeframe AND closed AND coalesce(trades, 1) > 0 AND symbol IN (SELECT unnest($symbols))
    )
"""  # noqa: S608  constant text


def load_bars(
    warehouse: Warehouse, symbols: str | list[str], timeframe: Timeframe, *, start: datetime, end: datetime, complete_only: bool = False
) -> pl.DataFrame:
    """Bars of one or more symbols with ``start <= ts < end``, by symbol and time; columns as in the view ``bars``."""
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    load = _LOAD_SECONDS if timeframe.seconds == 1 else _LOAD
    return warehouse.select(load, symbols=wanted, timeframe=timeframe.name, start=start, end=end, complete_only=complete_only)


def load_last_bars(
    warehouse: Warehouse, symbols: str | list[str], timeframe: Timeframe, count: int, *, complete_only: bool = False
) -> pl.DataFrame:
    """Bars in the last ``count`` intervals up to the newest bar of any of the symbols; empty when there is none."""
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    newest = warehouse.select(_NEWEST, timeframe=timeframe.name, seconds=timeframe.seconds, symbols=wanted).item()
    if newest is None:
        newest = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    start = newest - timedelta(seconds=timeframe.seconds * (count - 1))
    return load_bars(
        warehouse, wanted, timeframe, start=start, end=newest + timedelta(seconds=timeframe.seconds), complete_only=complete_only
    )


def load_common_bars(
    warehouse: Warehouse, symbols: Sequence[str], timeframe: Timeframe, count: int, *, max_fill: int, complete_only: bool = False
) -> pl.DataFrame:
    """Bars in the last ``count`` intervals up to where the symbol that ends first does (uploaded data may end long before other data).

    ``max_fill`` intervals before the newest one are looked through for a symbol's last bar. Empty when one of the symbols has no bar.
    """
    last = [load_last_bars(warehouse, symbol, timeframe, max_fill + 3, complete_only=complete_only) for symbol in symbols]
    if any(bars.is_empty() for bars in last):
        return last[0].clear()
    end = min(bars["ts"][-1] for bars in last) + timedelta(seconds=timeframe.seconds)
    start = end - timedelta(seconds=count * timeframe.seconds)
    return load_bars(warehouse, list(symbols), timeframe, start=start, end=end, complete_only=complete_only)


def bar_spans(warehouse: Warehouse, timeframe: Timeframe) -> pl.DataFrame:
    """For each symbol: first_ts, last_ts, bars, complete_bars, kline_bars of a timeframe."""
    return warehouse.select(_SPAN, timeframe=timeframe.name)
