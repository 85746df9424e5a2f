"""Candles: the bars of one symbol and timeframe added up into longer intervals, for a chart that shows more bars than it has room for.

Open is the first bar's, close the last one's, high and low are the outermost, amounts are exact sums, and vwap is made of the
sums at the end, so a candle is the bar that the same trades would have made. How many bars are in it, how many of those are
complete and how many are the exchange's tells what is there and what is missing.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import bars_query, complete_sql, seconds_query
from pipeline.store.protocol import Warehouse

_SELECTED = "symbol = $symbol AND timeframe = $timeframe AND ts >= $start AND ts < $end"
# No bar is longer than a day. With constants for bounds, months of the archive that lie outside are not looked at.
_SELECTED_SECONDS = "b.symbol = $symbol AND b.ts >= CAST($start AS TIMESTAMPTZ) AND b.ts < CAST($end AS TIMESTAMPTZ) + INTERVAL 24 HOUR"
_STEP_US = "(CAST($step AS BIGINT) * 1000000)"


def _added_up(bars: str) -> str:
    return f"""
    SELECT opened AS ts, open, high, low, close, volume, quote_volume, trades, taker_buy_volume,
           CASE WHEN volume > 0 THEN CAST(quote_volume AS DOUBLE) / CAST(volume AS DOUBLE) END AS vwap,
           complete_bars = bars AND {complete_sql("opened", "$step", "NULL", "$symbol")} AS complete, bars, complete_bars, kline_bars
    FROM (
        SELECT make_timestamptz(epoch_us(ts) // {_STEP_US} * {_STEP_US}) AS opened,
               arg_min(open, ts) AS open, max(high) AS high, min(low) AS low, arg_max(close, ts) AS close,
               CAST(sum(volume) AS DECIMAL(38, 8)) AS volume, CAST(sum(quote_volume) AS DECIMAL(38, 16)) AS quote_volume,
               CAST(sum(trades) AS BIGINT) AS trades, CAST(sum(taker_buy_volume) AS DECIMAL(38, 8)) AS taker_buy_volume,
               count(*) AS bars, count(*) FILTER (complete) AS complete_bars, count(*) FILTER (source = 'kline') AS kline_bars
        FROM ({bars}) GROUP BY opened
    ) ORDER BY ts
    """  # noqa: S608  constant text


_LOAD = _added_up(bars_query(_SELECTED, _SELECTED_SECONDS))
_LOAD_SECONDS = _added_up(seconds_query(_SELECTED))

# From the tables, not from the view, which would judge every bar only to take the first and the last one's time.
_ENDS = """
    SELECT make_timestamptz(epoch_us(min(first_ts)) // us * us) AS first_ts, make_timestamptz(epoch_us(max(last_ts)) // us * us) AS last_ts
    FROM (
        SELECT min(ts) AS first_ts, max(ts) AS last_ts FROM bars_1s_recent WHERE symbol = $symbol
        UNION ALL SELECT min(first_ts), max(last_ts) FROM archived WHERE dataset = 'bars_1s' AND state = 'archived' AND symbol = $symbol
        UNION ALL SELECT min(ts), max(ts) FROM bars_resampled WHERE symbol = $symbol AND timeframe = $timeframe
        UNION ALL SELECT min(ts), max(ts) FROM klines
                  WHERE symbol = $symbol AND timeframe = $timeframe AND closed AND coalesce(trades, 1) > 0
    ) CROSS JOIN (SELECT CAST($seconds AS BIGINT) * 1000000 AS us) GROUP BY us
"""


def load_candles(warehouse: Warehouse, symbol: str, timeframe: Timeframe, *, step_s: int, start: datetime, end: datetime) -> pl.DataFrame:
    """Bars with ``start <= ts < end`` added up into intervals of ``step_s`` seconds, aligned to the Unix epoch as bars are.

    Args:
        warehouse: where the bars are.
        symbol: whose.
        timeframe: of the bars; ``step_s`` is a whole multiple of its length.
        step_s: length of a candle in seconds.
        start: the first candle holds only the bars from here on, so ask from a multiple of the step.
        end: and the last one only those before this.

    Returns:
        ts (open time), open, high, low, close, volume, quote_volume, trades, taker_buy_volume, vwap, complete (every bar of it is,
        and its time has passed), bars, complete_bars, kline_bars; in time order, no row for an interval without bars.
    """
    load = _LOAD_SECONDS if timeframe.seconds == 1 else _LOAD
    return warehouse.select(load, symbol=symbol, timeframe=timeframe.name, step=step_s, start=start, end=end)


def bar_ends(warehouse: Warehouse, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime] | None:
    """Open times of the first and of the last bar; None when there is none."""
    first, last = warehouse.select(_ENDS, symbol=symbol, timeframe=timeframe.name, seconds=timeframe.seconds).row(0)
    return None if first is None else (first, last)
