"""What the flow check_quality looks at, and what it found.

The table ``quality_checks`` has one row for each time during which a check of a subject had one state: ``since`` when it
began, ``checked_at`` when it was last seen so. The newest row of a key is how it is now, the older ones are its history.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.quality import COMPARED
from pipeline.store.bars import bars_query
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_KEY = "name, subject, timeframe"

_SAVE = statement(
    "save_quality_checks",
    stage="stage_quality_checks",
    sql="""
    DELETE FROM quality_checks q USING stage_quality_checks s
    WHERE s.batch = '{batch}' AND q.name = s.name AND q.subject = s.subject AND q.timeframe = s.timeframe AND q.since = s.since;
    INSERT INTO quality_checks BY NAME SELECT * EXCLUDE (batch) FROM stage_quality_checks WHERE batch = '{batch}';
    DELETE FROM quality_checks
    WHERE checked_at < (SELECT max(checked_at) - INTERVAL 14 DAY FROM stage_quality_checks WHERE batch = '{batch}')
    """,
)

_NEWEST = f"""
    SELECT {_KEY}, severity, state, "value", threshold, blocking, detail, since, checked_at, upto, run FROM quality_checks
    QUALIFY row_number() OVER (PARTITION BY {_KEY} ORDER BY checked_at DESC, since DESC) = 1
    ORDER BY CASE state WHEN 'error' THEN 0 WHEN 'warn' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, name, subject, timeframe
"""  # noqa: S608  constant text

_HISTORY = f"""
    SELECT {_KEY}, severity, state, "value", threshold, blocking, detail, since, checked_at, upto, run FROM quality_checks
    WHERE checked_at >= $start ORDER BY since DESC, name, subject, timeframe
"""  # noqa: S608  constant text

_BLOCKED = f"""
    SELECT subject, name, timeframe, since, detail FROM ({_NEWEST}) WHERE blocking AND state = 'error'
    ORDER BY subject, since, name, timeframe
"""  # noqa: S608  constant text

# ---------------------------------------------------------------------------------------------- what is looked at

_NEWEST_TRADES = """
    SELECT symbol, max(ts) AS ts FROM (
        SELECT symbol, max(ts) AS ts FROM bars_1s_recent GROUP BY symbol
        UNION ALL SELECT symbol, last_ts FROM archived WHERE dataset = 'bars_1s' AND state = 'archived'
    ) WHERE symbol IN (SELECT unnest($symbols)) GROUP BY symbol
"""

_GAPS = """
    SELECT symbol, count(*) AS open, CAST(sum(last_missing - first_missing + 1) AS BIGINT) AS missing, min(detected_at) AS oldest
    FROM gaps WHERE state = 'open' GROUP BY symbol
"""

# Both numbers from one moment. The whole table is only counted, which reads none of its columns; files were counted when they
# were written. Trades that were removed because they are old stay noted as landed.
_TICKS_AND_IDS = """
    SELECT (SELECT count(*) FROM ticks_recent)
           + (SELECT CAST(coalesce(sum("rows"), 0) AS BIGINT) FROM archived WHERE dataset = 'ticks' AND state <> 'thawed') AS ticks,
           (SELECT CAST(coalesce(sum(last_id - first_id + 1), 0) AS BIGINT) FROM coverage) AS covered
"""
_TICKS_BY_SYMBOL = """
    SELECT symbol, CAST(sum(ticks) AS BIGINT) AS ticks, CAST(sum(covered) AS BIGINT) AS covered FROM (
        SELECT symbol, count(*) AS ticks, 0 AS covered FROM ticks_recent GROUP BY symbol
        UNION ALL SELECT symbol, sum("rows"), 0 FROM archived WHERE dataset = 'ticks' AND state <> 'thawed' GROUP BY symbol
        UNION ALL SELECT symbol, 0, sum(last_id - first_id + 1) FROM coverage GROUP BY symbol
    ) GROUP BY symbol ORDER BY symbol
"""
_REPEATED = """
    SELECT symbol, count(*) - count(DISTINCT trade_id) AS repeated FROM ticks
    WHERE event_time >= $start GROUP BY symbol HAVING count(*) > count(DISTINCT trade_id)
"""

_LAG = """
    SELECT median(epoch_us(recv_time) - epoch_us(event_time)) / 1000 AS lag_ms, count(*) AS trades FROM ticks
    WHERE event_time >= $start AND source IN ('capture', 'ingest')
"""

_WINDOW = "symbol IN (SELECT unnest($symbols)) AND timeframe = $timeframe AND ts >= $start"
_BARS = f"""
    SELECT symbol, epoch_us(ts) AS ts, {", ".join(f"CAST({name} AS DOUBLE) AS {name}" for name in ("open", "high", "low", "close", "volume", "taker_buy_volume"))},
           coalesce(vwap, 'nan'::DOUBLE) AS vwap
    FROM ({bars_query(_WINDOW)}) ORDER BY symbol, ts
"""  # noqa: S608, E501  constant text

# Whole bars of ours beside closed candlesticks: complete, touched by no gap whatever became of it, not waiting to be made
# again, and not the first of the symbol, which began before we listened. Of the others only those that differ are returned.

_KLINES = f"""
    WITH firsts AS (
        SELECT symbol, min(ts) AS first_ts FROM bars_resampled WHERE timeframe = $timeframe GROUP BY symbol
    ), both_sides AS (
        SELECT o.symbol, o.ts, {", ".join(f"o.{name} AS own_{name}, k.{name}" for name in COMPARED)}
        FROM klines k JOIN bars_resampled o ON o.symbol = k.symbol AND o.timeframe = k.timeframe AND o.ts = k.ts JOIN firsts f ON f.symbol = o.symbol
        WHERE k.timeframe = $timeframe AND k.closed AND o.complete AND o.ts > f.first_ts AND k.symbol IN (SELECT unnest($symbols))
          AND (k.fetched_at >= $fetched OR k.ts >= $start)
          AND NOT EXISTS (SELECT 1 FROM gaps g WHERE g.symbol = o.symbol AND g.state <> 'refilled' AND g.first_missing <= g.last_missing
                          AND g.from_time < o.ts + to_seconds($seconds) AND g.to_time >= o.ts)
          AND NOT EXISTS (SELECT 1 FROM dirty_marks m WHERE m.symbol = o.symbol AND m.bucket >= o.ts AND m.bucket < o.ts + to_seconds($seconds)
                          AND m.commit_no > (SELECT coalesce(max(commit_no), 0) FROM resample_cursors WHERE timeframe = $timeframe))
    ), counted AS (SELECT symbol, count(*) AS compared FROM both_sides GROUP BY symbol
    ), differing AS (SELECT * FROM both_sides WHERE {" OR ".join(f"own_{name} <> {name}" for name in COMPARED)}
                     QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) <= 100)
    SELECT c.symbol, c.compared, epoch_us(d.ts) AS ts, d.* EXCLUDE (symbol, ts) FROM counted c LEFT JOIN differing d USING (symbol)
    ORDER BY c.symbol, ts
"""  # noqa: S608, E501  constant text

_LIVE_FITS = """
    SELECT y, x, timeframe, f.beta, f.r_squared FROM (
        SELECT y, x, timeframe, model_id, activated_at FROM activations WHERE timeframe IN (SELECT unnest($timeframes))
        QUALIFY row_number() OVER (PARTITION BY y, x, timeframe ORDER BY activated_at DESC, active_from DESC) <= $most
    ) a JOIN fits f USING (model_id, y, x, timeframe)
    WHERE (f.method, f.lookback, f.scale) = (
        SELECT (n.method, n.lookback, n.scale) FROM activations b JOIN fits n USING (model_id)
        WHERE b.y = a.y AND b.x = a.x AND b.timeframe = a.timeframe ORDER BY b.activated_at DESC, b.active_from DESC LIMIT 1)
    ORDER BY y, x, timeframe, a.activated_at
"""


def newest_checks(warehouse: Warehouse) -> pl.DataFrame:
    """How every subject stands now, the worst first.

    Returns:
        name, subject, timeframe, severity, state, value, threshold, blocking, detail, since, checked_at, upto, run.
    """
    return warehouse.select(_NEWEST)


def check_history(warehouse: Warehouse, *, start: datetime) -> pl.DataFrame:
    """Every state that was seen at ``start`` or later, the newest first; columns as of ``newest_checks``. Kept for 14 days."""
    return warehouse.select(_HISTORY, start=start)


def blocked_symbols(warehouse: Warehouse) -> dict[str, str]:
    """Symbols that nothing should be built on now, with the reason: a blocking check that fails, and since when."""
    found: dict[str, str] = {}
    for row in warehouse.select(_BLOCKED).iter_rows(named=True):
        where = f" on {row['timeframe']}" if row["timeframe"] else ""
        reason = f"check {row['name']} fails{where} since {row['since']:%Y-%m-%d %H:%M:%S} UTC: {row['detail']}"
        found.setdefault(row["subject"], reason)
    return found


def save_checks(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    """Write how subjects stand (columns of the table), and forget what was last seen two weeks ago."""
    if not rows.is_empty():
        warehouse.run(_SAVE, rows)


def newest_trades(warehouse: Warehouse, symbols: list[str]) -> dict[str, datetime]:
    """Open time of each symbol's newest second with trades; those without any are left out."""
    return dict(warehouse.select(_NEWEST_TRADES, symbols=symbols).iter_rows())


def open_gap_totals(warehouse: Warehouse) -> pl.DataFrame:
    """Per symbol that has some: open gaps, ids missing, when the oldest was found."""
    return warehouse.select(_GAPS)


def ticks_and_ids(warehouse: Warehouse) -> tuple[int, int]:
    """Rows of ``ticks`` and ids noted as landed, over all symbols, at one moment."""
    ticks, covered = warehouse.select(_TICKS_AND_IDS).row(0)
    return int(ticks), int(covered)


def ticks_by_symbol(warehouse: Warehouse) -> pl.DataFrame:
    """Per symbol: ticks, covered. Reads the whole table."""
    return warehouse.select(_TICKS_BY_SYMBOL)


def repeated_trades(warehouse: Warehouse, *, start: datetime) -> dict[str, int]:
    """Per symbol, among trades since ``start``: rows whose id is there already. Symbols without any are left out."""
    return dict(warehouse.select(_REPEATED, start=start).iter_rows())


def receive_lag_ms(warehouse: Warehouse, *, start: datetime) -> tuple[float | None, int]:
    """Median of receive time minus event time of trades since ``start``, in milliseconds, and how many there are."""
    lag, trades = warehouse.select(_LAG, start=start).row(0)
    return (None if lag is None else float(lag)), int(trades)


def window_bars(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, *, start: datetime) -> pl.DataFrame:
    """Bars from ``start`` on as doubles: symbol, ts (microseconds), open, high, low, close, volume, taker_buy_volume, vwap."""
    return warehouse.select(_BARS, symbols=symbols, timeframe=timeframe.name, start=start)


def bars_beside_klines(
    warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, *, start: datetime, fetched: datetime
) -> pl.DataFrame:
    """Our whole bars held against the exchange's: those from ``start`` on, and those whose candlestick came since ``fetched``.

    Returns:
        One row for each bar that differs (at most 100 of a symbol), or one with NULLs where none does: symbol, compared (how
        many bars), ts (microseconds), and for each column ours as ``own_<name>`` and the exchange's as ``<name>``.
    """
    return warehouse.select(_KLINES, symbols=symbols, timeframe=timeframe.name, seconds=timeframe.seconds, start=start, fetched=fetched)


def live_fits(warehouse: Warehouse, timeframes: list[str], *, most: int) -> pl.DataFrame:
    """The last ``most`` live models of each pair and timeframe that are of the kind of the newest, oldest first.

    Returns:
        y, x, timeframe, beta, r_squared.
    """
    return warehouse.select(_LIVE_FITS, timeframes=timeframes, most=most)
