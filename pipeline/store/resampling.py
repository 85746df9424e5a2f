"""The writes of the flow resample: larger bars out of 1s bars, and the ledger of what has landed and been made, day by day.

Larger bars are added up from 1s bars, which landing writes in the transaction of the trades themselves: sums are exact and
order is by trade id, so that the result is, to the last digit, what the trades themselves would give, from a fraction of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import FROM_SECONDS, OPEN_GAPS, bucket, complete_sql
from pipeline.store.partitions import ledger_sql
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

DAY_US = 86_400_000_000

_DUE = f"""
    SELECT DISTINCT symbol, ts FROM (
        SELECT m.symbol, {bucket("m.bucket", "$seconds")} AS ts FROM dirty_marks m
        WHERE m.commit_no > coalesce((SELECT max(commit_no) FROM resample_cursors WHERE timeframe = $timeframe), 0)
          AND EXISTS (SELECT 1 FROM resample_cursors WHERE timeframe = $timeframe)
        UNION ALL
        SELECT symbol, {bucket("ts", "$seconds")} FROM bars_1s
        WHERE NOT EXISTS (SELECT 1 FROM resample_cursors WHERE timeframe = $timeframe)
        UNION ALL
        SELECT symbol, ts FROM bars_resampled WHERE timeframe = $timeframe AND NOT complete
    ) ORDER BY ts, symbol
"""  # noqa: S608  constant text

# A revision is other content in a bar that people could take for final: it was complete, or over but for a gap that has been refilled.
_VALUES = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "first_id", "last_id")
_CHANGED = f"({', '.join(f'fresh.{name}' for name in _VALUES)}) IS DISTINCT FROM ({', '.join(f'old.{name}' for name in _VALUES)})"
_REFILLED = """
    SELECT symbol, list({'from_time': from_time, 'to_time': to_time, 'resolved_at': resolved_at}) AS refilled
    FROM gaps WHERE state = 'refilled' GROUP BY symbol
"""
_REFILLED_SINCE = """coalesce(len(list_filter(r.refilled, lambda g: g.from_time < fresh.ts + to_seconds(fresh.seconds)
                     AND g.to_time >= fresh.ts AND g.resolved_at >= fresh.ts + to_seconds(fresh.seconds))), 0) > 0"""

# Every bar in the span of a batch is made and the others dropped: joining first would compare every 1s bar with every key of its symbol.
_RESAMPLE = statement(
    "resample",
    stage="stage_resample",
    sql=f"""
    DELETE FROM resample_out;
    INSERT INTO resample_out BY NAME
    SELECT fresh.* EXCLUDE (seconds), {complete_sql("fresh.ts", "fresh.seconds", "g.open_gaps", "fresh.symbol")} AS complete,
           coalesce(old.revision + CASE WHEN {_CHANGED} AND (old.complete OR {_REFILLED_SINCE}) THEN 1 ELSE 0 END, 0) AS revision
    FROM (
        SELECT made.* FROM (
            SELECT symbol, timeframe, seconds, bar AS ts, {FROM_SECONDS}
            FROM (
                SELECT b.*, t.name AS timeframe, t.seconds, {bucket("b.ts", "t.seconds")} AS bar
                FROM bars_1s b CROSS JOIN (
                    SELECT name, seconds FROM timeframes WHERE name IN (SELECT timeframe FROM stage_resample WHERE batch = '{{batch}}')
                ) t
                WHERE b.ts >= (SELECT min(ts) FROM stage_resample WHERE batch = '{{batch}}')
                  AND b.ts < (SELECT max(r.ts + to_seconds(f.seconds))
                              FROM stage_resample r JOIN timeframes f ON f.name = r.timeframe WHERE r.batch = '{{batch}}')
            ) GROUP BY symbol, timeframe, seconds, bar
        ) made
        SEMI JOIN (SELECT * FROM stage_resample WHERE batch = '{{batch}}') s
               ON s.symbol = made.symbol AND s.timeframe = made.timeframe AND s.ts = made.ts
    ) fresh
    LEFT JOIN bars_resampled old ON old.symbol = fresh.symbol AND old.timeframe = fresh.timeframe AND old.ts = fresh.ts
    LEFT JOIN ({OPEN_GAPS}) g ON g.symbol = fresh.symbol
    LEFT JOIN ({_REFILLED}) r ON r.symbol = fresh.symbol;
    DELETE FROM bars_resampled b USING stage_resample s
    WHERE s.batch = '{{batch}}' AND b.symbol = s.symbol AND b.timeframe = s.timeframe AND b.ts = s.ts;
    INSERT INTO bars_resampled BY NAME FROM resample_out;
    DELETE FROM resample_out
    """,  # noqa: S608  constant text
)

_MOVE_CURSOR = statement(
    "move_resample_cursor",
    stage="stage_resample",
    sql="""
    DELETE FROM resample_cursors c USING stage_resample s WHERE s.batch = '{batch}' AND c.timeframe = s.timeframe;
    INSERT INTO resample_cursors SELECT timeframe, commit_no FROM stage_resample WHERE batch = '{batch}'
    """,
)

# ---------------------------------------------------------------------------------------------- the ledger

_DAYS = """(
    SELECT symbol, ts AS day_start, make_timestamptz(epoch_us(ts) + 86400000000) AS day_end,
           CAST(make_timestamp(epoch_us(ts)) AS DATE) AS day, run,
           coalesce((SELECT bool_or(ended OR journal_time - to_milliseconds(lateness_ms) >= make_timestamptz(epoch_us(ts) + 86400000000))
                     FROM journal_clock), FALSE) AS over
    FROM stage_resample WHERE batch = '{batch}'
)"""

# A day of trades is whole when it is over, no id inside it is missing, and the trade before its first one has landed too: otherwise
# nobody knows what came before it, unless a backfill has fetched the whole day. A trade never changes once it has landed, so ids tell
# the content. Bars do change: those of a day that is over are read to the last digit, those of one that still grows are just counted.
_TICKS_LEDGER = f"""
    SELECT 'ticks' AS asset, symbol || '/' || day AS partition, symbol, NULL AS timeframe, day, run,
           over AND NOT EXISTS (
               SELECT 1 FROM gaps g WHERE g.symbol = found.symbol AND g.state IN ('open', 'unrecoverable')
                                      AND g.from_time < found.day_end AND g.to_time >= found.day_start
           ) AND (EXISTS (
               SELECT 1 FROM coverage c WHERE c.symbol = found.symbol AND c.last_id >= found.newest
                                          AND (c.first_id < found.oldest OR found.oldest <= 1)
           ) OR EXISTS (
               SELECT 1 FROM partitions p WHERE p.asset = 'trades' AND p.symbol = found.symbol AND p.day = found.day AND p.complete
           )) AS complete,
           "rows", concat_ws(' ', CASE WHEN over THEN 'over' ELSE 'open' END, "rows", oldest, newest) AS fingerprint,
           first_ts, last_ts, CAST([] AS VARCHAR[]) AS inputs
    FROM (
        SELECT d.*, k.* EXCLUDE (symbol)
        FROM {_DAYS} d JOIN (
            SELECT symbol, count(*) AS "rows", min(trade_id) AS oldest, max(trade_id) AS newest,
                   min(event_time) AS first_ts, max(event_time) AS last_ts
            FROM ticks WHERE event_time >= (SELECT min(day_start) FROM {_DAYS}) AND event_time < (SELECT max(day_end) FROM {_DAYS})
            GROUP BY symbol
        ) k ON k.symbol = d.symbol
    ) found
"""  # noqa: S608  constant text

_CONTENT = "b.ts, b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.trades, b.taker_buy_volume, b.first_id, b.last_id"

_SECONDS_LEDGER = f"""
    SELECT 'bars' AS asset, d.symbol || '/1s/' || d.day AS partition, d.symbol, '1s' AS timeframe, d.day, d.run,
           coalesce(any_value(t.complete), FALSE) AS complete, count(*) AS "rows",
           CASE WHEN d.over THEN printf('%x', bit_xor(CASE WHEN d.over THEN hash({_CONTENT}) ELSE 0 END))
                ELSE printf('open %d', count(*)) END AS fingerprint,
           min(b.ts) AS first_ts, max(b.ts) AS last_ts, ['ticks/' || d.symbol || '/' || d.day] AS inputs
    FROM {_DAYS} d JOIN bars_1s b ON b.symbol = d.symbol AND b.ts >= d.day_start AND b.ts < d.day_end
    LEFT JOIN partitions t ON t.asset = 'ticks' AND t.symbol = d.symbol AND t.day = d.day
    GROUP BY d.symbol, d.day, d.run, d.over
"""  # noqa: S608  constant text

_BARS_LEDGER = f"""
    SELECT 'bars' AS asset, d.symbol || '/' || b.timeframe || '/' || d.day AS partition, d.symbol, b.timeframe, d.day, d.run,
           coalesce(bool_and(b.complete) AND any_value(t.complete), FALSE) AS complete, count(*) AS "rows",
           printf('%x', bit_xor(hash({_CONTENT}))) AS fingerprint,
           min(b.ts) AS first_ts, max(b.ts) AS last_ts, ['bars/' || d.symbol || '/1s/' || d.day] AS inputs
    FROM {_DAYS} d JOIN bars_resampled b ON b.symbol = d.symbol AND b.ts >= d.day_start AND b.ts < d.day_end
    JOIN timeframes f ON f.name = b.timeframe
    LEFT JOIN partitions t ON t.asset = 'ticks' AND t.symbol = d.symbol AND t.day = d.day
    GROUP BY d.symbol, b.timeframe, d.day, d.run
"""  # noqa: S608  constant text

# All rows of a batch are of one day. Bars are judged after the trades that they are made of.
_ENTER_DAYS = statement(
    "enter_days",
    stage="stage_resample",
    sql=f"{ledger_sql(_TICKS_LEDGER)};{ledger_sql(f'({_SECONDS_LEDGER}) UNION ALL ({_BARS_LEDGER})')}",
)

# Days that were not whole when they were last looked at, and may be now: the clock has moved on, a gap has been closed, or a backfill
# has fetched the day.
_UNSETTLED = """
    SELECT symbol, make_timestamptz(epoch_us(day)) AS ts FROM partitions
    WHERE asset = 'ticks' AND NOT complete
      AND make_timestamptz(epoch_us(day) + 86400000000) <= (SELECT max(journal_time - to_milliseconds(lateness_ms)) FROM journal_clock)
      AND (starts_with(fingerprint, 'open') OR EXISTS (
          SELECT 1 FROM partitions b WHERE b.asset = 'trades' AND b.symbol = partitions.symbol AND b.day = partitions.day AND b.complete
      ) OR EXISTS (
          SELECT 1 FROM gaps g WHERE g.symbol = partitions.symbol AND g.resolved_at >= made_at
                                 AND epoch_us(g.from_time) < epoch_us(day) + 86400000000 AND epoch_us(g.to_time) >= epoch_us(day)))
    ORDER BY symbol, ts
"""


@dataclass(frozen=True, slots=True)
class Due:
    """The bars of one timeframe that resample has to write: ``keys`` (symbol, ts), known up to landing commit ``commit_no``."""

    timeframe: Timeframe
    commit_no: int
    keys: pl.DataFrame


def resample_due(warehouse: Warehouse, timeframe: Timeframe) -> Due:
    """What trades have touched since the last run, what was not complete then, and everything for a timeframe that is new."""
    # The commit number is read first: what lands in between is found again next time rather than never.
    commit_no = warehouse.select("SELECT coalesce(max(commit_no), 0) AS n FROM journal_clock").item()
    keys = warehouse.select(_DUE, timeframe=timeframe.name, seconds=timeframe.seconds)
    return Due(timeframe, commit_no, keys)


def resample_chunk(warehouse: Warehouse, timeframe: Timeframe, keys: pl.DataFrame) -> int:
    """Write the bars of ``keys`` (symbol, ts), in one transaction; returns how many. Repeating changes nothing."""
    if keys.is_empty():
        return 0
    warehouse.run(_RESAMPLE, keys.select("symbol", "ts").with_columns(pl.lit(timeframe.name).alias("timeframe")))
    return keys.height


def resample_done(warehouse: Warehouse, due: Due) -> None:
    """Move the timeframe's cursor past the marks that ``due`` was made from."""
    warehouse.run(_MOVE_CURSOR, pl.DataFrame({"timeframe": [due.timeframe.name], "commit_no": [due.commit_no]}))


def touched_days(keys: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The UTC days (``symbol``, ``ts`` of midnight) that bars (``symbol``, ``ts``) lie in, each once."""
    days = [
        frame.select("symbol", pl.from_epoch(pl.col("ts").dt.epoch("us") // DAY_US * DAY_US, "us").dt.replace_time_zone("UTC").alias("ts"))
        for frame in keys
    ]
    return pl.concat(days).unique().sort("ts", "symbol") if days else pl.DataFrame(schema=_DAY_SCHEMA)


def unsettled_days(warehouse: Warehouse) -> pl.DataFrame:
    """Days (``symbol``, ``ts`` of midnight) that are over but were last entered when they were not, or had a gap that is closed now."""
    return warehouse.select(_UNSETTLED)


def enter_days(warehouse: Warehouse, days: pl.DataFrame, *, run: str) -> None:
    """Enter days (``symbol``, ``ts`` of midnight) of trades and of bars into the ledger of partitions, one transaction a day."""
    for day in days.select("symbol", "ts").partition_by("ts", maintain_order=True):
        warehouse.run(_ENTER_DAYS, day.with_columns(pl.lit(run).alias("run")))


_DAY_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {"symbol": pl.String, "ts": pl.Datetime("us", "UTC")}
