"""Liquidity of each symbol and timeframe over its last bars, as the flow liquidity measured it."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SAVE = statement(
    "save_liquidity",
    stage="stage_liquidity",
    sql="""
    DELETE FROM liquidity l USING stage_liquidity s
    WHERE s.batch = '{batch}' AND l.symbol = s.symbol AND l.timeframe = s.timeframe AND l.ts = s.ts;
    INSERT INTO liquidity BY NAME SELECT * EXCLUDE (batch) FROM stage_liquidity WHERE batch = '{batch}'
    """,
)

# Each quote stands until the next one, so it weighs as long as it stood inside the interval. The quote that stands at
# the beginning is looked for in the minute before.
_QUOTED = """
    SELECT symbol, sum(width * weight) / sum(weight) AS quoted_spread, 10000 * sum(width / mid * weight) / sum(weight) AS quoted_spread_bps,
           count(*) AS quotes
    FROM (
        SELECT symbol, CAST(ask - bid AS DOUBLE) AS width, (CAST(ask AS DOUBLE) + CAST(bid AS DOUBLE)) / 2 AS mid,
               epoch_us(least(coalesce(lead(event_time) OVER standing, $end), $end)) - epoch_us(greatest(event_time, $start)) AS weight
        FROM quotes WHERE event_time >= CAST($start AS TIMESTAMPTZ) - INTERVAL 1 MINUTE AND event_time < $end
            AND symbol IN (SELECT unnest($symbols)) AND bid > 0 AND ask >= bid
        WINDOW standing AS (PARTITION BY symbol ORDER BY event_time, update_id)
    ) WHERE weight > 0 GROUP BY symbol ORDER BY symbol
"""

_NEWEST = """
    SELECT * FROM liquidity WHERE timeframe = $timeframe
    QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) = 1 ORDER BY symbol
"""


def save_liquidity(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    """Write measurements (columns of the table ``liquidity``) in place of those of the same symbol, timeframe and ts."""
    if not rows.is_empty():
        warehouse.run(_SAVE, rows)


def quoted_spreads(warehouse: Warehouse, symbols: list[str], *, start: datetime, end: datetime) -> pl.DataFrame:
    """Best ask minus best bid from ``start`` to ``end``, weighted by the time that each quote stood.

    Returns:
        symbol, quoted_spread (price), quoted_spread_bps (basis points of the mid), quotes; no row for a symbol without quotes.
    """
    return warehouse.select(_QUOTED, symbols=symbols, start=start, end=end)


def newest_liquidity(warehouse: Warehouse, timeframe: Timeframe) -> pl.DataFrame:
    """The newest measurement of each symbol; columns as in the table ``liquidity``."""
    return warehouse.select(_NEWEST, timeframe=timeframe.name)
