"""Liquidity of each symbol and timeframe over its last bars, as the flow liquidity measured it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.partitions import ledger_sql
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_DAY = "CAST(make_timestamp(epoch_us(ts)) AS DATE)"
_LEDGER = ledger_sql(
    f"""
    SELECT 'liquidity' AS asset, concat_ws('/', symbol, timeframe, day) AS partition, symbol, timeframe, day,
           max(epoch_us(ts)) + any_value(every_us) >= (epoch_us(day) + 86400000000) AS complete, count(*) AS "rows",
           printf('%x', bit_xor(hash({{columns}}))) AS fingerprint, min(ts) AS first_ts, max(ts) AS last_ts, any_value(run) AS run,
           ['bars/' || concat_ws('/', symbol, timeframe, day)] AS inputs
    FROM (SELECT *, {_DAY} AS day FROM liquidity)
    JOIN (SELECT symbol, timeframe, {_DAY} AS day, any_value(run) AS run, any_value(every_us) AS every_us
          FROM stage_liquidity WHERE batch = '{{{{batch}}}}' GROUP BY ALL) USING (symbol, timeframe, day)
    GROUP BY symbol, timeframe, day
    """.format(  # noqa: S608  constant text
        columns="epoch_us(ts), window_bars, volume, quote_volume, trades, taker_imbalance, amihud, roll_spread, corwin_schultz, "
        "quoted_spread, quoted_spread_bps, volume_percentile, notes"
    )
)

_SAVE = statement(
    "save_liquidity",
    stage="stage_liquidity",
    sql=f"""
    DELETE FROM liquidity l USING stage_liquidity s
    WHERE s.batch = '{{batch}}' AND l.symbol = s.symbol AND l.timeframe = s.timeframe AND l.ts = s.ts;
    INSERT INTO liquidity BY NAME SELECT * EXCLUDE (batch, run, every_us) FROM stage_liquidity WHERE batch = '{{batch}}';
    {_LEDGER}
    """,  # noqa: S608  constant text
)

_FOLLOWED = statement(
    "liquidity_followed",
    stage="stage_followed",
    sql="""
    DELETE FROM mark_cursors WHERE consumer IN (SELECT 'liquidity/' || timeframe FROM stage_followed WHERE batch = '{batch}');
    INSERT INTO mark_cursors SELECT DISTINCT 'liquidity/' || timeframe, commit_no FROM stage_followed WHERE batch = '{batch}';
    DELETE FROM kline_marks k USING stage_followed s WHERE s.batch = '{batch}' AND k.timeframe = s.timeframe AND k.mark_no = s.mark_no;
    DELETE FROM kline_marks WHERE timeframe NOT IN (SELECT name FROM timeframes)
    """,
)

# Each quote stands until the next one, so it weighs as long as it stood inside the interval. The quote that stands at
# the beginning is looked for in the minute before.
_QUOTED = """
    SELECT symbol, ts, sum(width * weight) / sum(weight) AS quoted_spread,
           10000 * sum(width / mid * weight) / sum(weight) AS quoted_spread_bps, count(*) AS quotes
    FROM (
        SELECT symbol, make_timestamptz(first_us) AS ts, CAST(ask - bid AS DOUBLE) AS width,
               (CAST(ask AS DOUBLE) + CAST(bid AS DOUBLE)) / 2 AS mid,
               least(coalesce(lead(epoch_us(event_time)) OVER standing, end_us), end_us)
                   - greatest(epoch_us(event_time), first_us) AS weight
        FROM (
            SELECT q.symbol, q.update_id, q.bid, q.ask, q.event_time, i.first_us, i.first_us + CAST($seconds AS BIGINT) * 1000000 AS end_us
            FROM (SELECT CAST(unnest($starts_us) AS BIGINT) AS first_us) i
            JOIN (SELECT * FROM quotes WHERE event_time >= make_timestamptz($low - 60000000) AND event_time < make_timestamptz($high)
                                         AND symbol IN (SELECT unnest($symbols)) AND bid > 0 AND ask >= bid) q
              ON q.event_time >= make_timestamptz(i.first_us - 60000000)
             AND q.event_time < make_timestamptz(i.first_us + CAST($seconds AS BIGINT) * 1000000)
        )
        WINDOW standing AS (PARTITION BY symbol, first_us ORDER BY event_time, update_id)
    ) WHERE weight > 0 GROUP BY symbol, ts ORDER BY symbol, ts
"""

# Journal time up to which bars of a timeframe are complete, and what has been touched behind the newest measurement.
_CLOCK = """
    SELECT coalesce(max(commit_no), 0) AS commit_no, epoch_us(max(journal_time - to_milliseconds(lateness_ms))) AS until_us,
           coalesce(bool_or(ended), FALSE) AS ended
    FROM journal_clock
"""
_REACHED = """
    SELECT symbol, epoch_us(max(ts)) AS last_us FROM liquidity WHERE timeframe = $timeframe AND symbol IN (SELECT unnest($symbols))
    GROUP BY symbol
"""
_FIRST = """
    SELECT symbol, epoch_us(min(ts)) AS first_us FROM (
        SELECT symbol, min(ts) AS ts FROM bars_1s
        WHERE symbol IN (SELECT unnest($symbols)) AND ts >= make_timestamptz($since) GROUP BY symbol
        UNION ALL SELECT symbol, min(ts) FROM klines
                  WHERE timeframe = $timeframe AND symbol IN (SELECT unnest($symbols)) AND ts >= make_timestamptz($since) GROUP BY symbol
    ) GROUP BY symbol
"""
_NEWEST_BAR = """
    SELECT max(ts_us) AS ts_us FROM (
        SELECT epoch_us(max(ts)) // (CAST($seconds AS BIGINT) * 1000000) * (CAST($seconds AS BIGINT) * 1000000) AS ts_us
        FROM (
            SELECT symbol, ts FROM bars_1s_recent
            UNION ALL SELECT symbol, last_ts FROM archived WHERE dataset = 'bars_1s' AND state = 'archived'
        ) WHERE symbol IN (SELECT unnest($symbols))
        UNION ALL SELECT epoch_us(max(ts)) FROM klines WHERE timeframe = $timeframe AND symbol IN (SELECT unnest($symbols))
    )
"""
_TOUCHED = """
    SELECT symbol, epoch_us(bucket) AS first_us, epoch_us(bucket) AS last_us FROM dirty_marks
    WHERE commit_no > coalesce((SELECT max(commit_no) FROM mark_cursors WHERE consumer = 'liquidity/' || $timeframe), 0)
      AND symbol IN (SELECT unnest($symbols))
    UNION ALL
    SELECT symbol, epoch_us(first_ts), epoch_us(last_ts) FROM kline_marks
    WHERE timeframe = $timeframe AND symbol IN (SELECT unnest($symbols))
"""
_KLINE_MARKS = "SELECT mark_no FROM kline_marks ORDER BY mark_no"

_NEWEST = """
    SELECT * FROM liquidity WHERE timeframe = $timeframe
    QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) = 1 ORDER BY symbol
"""


END_OF_TIME_US = 4_102_444_800_000_000
"""The year 2100: of a recording that has ended, every bar is complete."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the flow liquidity has before it; what lands meanwhile is found by the next run.

    Attributes:
        commit_no: landing commit up to which this is known.
        until_us: journal time less the lateness, in microseconds: bars that end by it are complete. None before anything landed.
        kline_marks: numbers of the marks of candlesticks that were there.
    """

    commit_no: int
    until_us: int | None
    kline_marks: tuple[int, ...]


def liquidity_progress(warehouse: Warehouse) -> Progress:
    """Where landing and backfill stand now."""
    marks = tuple(warehouse.select(_KLINE_MARKS)["mark_no"].to_list())
    commit_no, until_us, ended = warehouse.select(_CLOCK).row(0)
    return Progress(commit_no, END_OF_TIME_US if ended else until_us, marks)


def measured_until(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe) -> dict[str, int]:
    """Time (microseconds) of the newest measurement of each symbol that has any."""
    return dict(warehouse.select(_REACHED, symbols=symbols, timeframe=timeframe.name).iter_rows())


def first_bars(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, *, since_us: int) -> dict[str, int]:
    """Time (microseconds) of the first bar at or after ``since_us`` of each symbol that has any, to the second for bars of our own."""
    return dict(warehouse.select(_FIRST, symbols=symbols, timeframe=timeframe.name, since=since_us).iter_rows())


def newest_bar_end(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe) -> int | None:
    """End (microseconds) of the newest bar of any of the symbols; None when there is none."""
    newest = warehouse.select(_NEWEST_BAR, symbols=symbols, timeframe=timeframe.name, seconds=timeframe.seconds).item()
    return None if newest is None else int(newest) + timeframe.us


def touched_spans(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe) -> list[tuple[str, int, int]]:
    """Symbol, first and last time (microseconds) of what trades or candlesticks have touched since the last run that finished."""
    return list(warehouse.select(_TOUCHED, symbols=symbols, timeframe=timeframe.name).iter_rows())


def liquidity_followed(warehouse: Warehouse, timeframes: list[Timeframe], progress: Progress) -> None:
    """Note that some timeframes have been measured up to ``progress``."""
    marks: list[int | None] = [*progress.kline_marks] or [None]
    rows = [(timeframe.name, progress.commit_no, mark) for timeframe in timeframes for mark in marks]
    schema = {"timeframe": pl.String, "commit_no": pl.Int64, "mark_no": pl.Int64}
    if rows:
        warehouse.run(_FOLLOWED, pl.DataFrame(rows, schema=schema, orient="row"))


def save_liquidity(warehouse: Warehouse, rows: pl.DataFrame, *, every_us: int, run: str) -> None:
    """Write measurements (columns of the table ``liquidity``) in place of those of the same symbol, timeframe and ts, and their ledger."""
    if not rows.is_empty():
        warehouse.run(_SAVE, rows.with_columns(pl.lit(run).alias("run"), pl.lit(every_us).alias("every_us")))


def quoted_spreads(warehouse: Warehouse, symbols: list[str], starts: list[datetime], timeframe: Timeframe) -> pl.DataFrame:
    """Best ask minus best bid in bars that open at ``starts``, weighted by the time that each quote stood.

    Returns:
        symbol, ts, quoted_spread (price), quoted_spread_bps (basis points of the mid), quotes; no row for a bar without quotes.
    """
    starts_us = sorted({(start - _EPOCH) // _MICROSECOND for start in starts}) or [0]
    return warehouse.select(
        _QUOTED,
        symbols=symbols,
        starts_us=[str(start) for start in starts_us],
        seconds=timeframe.seconds,
        low=starts_us[0],
        high=starts_us[-1] + timeframe.us,
    )


def newest_liquidity(warehouse: Warehouse, timeframe: Timeframe) -> pl.DataFrame:
    """The newest measurement of each symbol; columns as in the table ``liquidity``."""
    return warehouse.select(_NEWEST, timeframe=timeframe.name)


_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
