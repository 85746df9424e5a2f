"""Best bid and ask."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse

_LAST = """
    SELECT symbol, arg_max(bid, update_id) AS bid, arg_max(bid_qty, update_id) AS bid_qty, arg_max(ask, update_id) AS ask,
           arg_max(ask_qty, update_id) AS ask_qty, max(event_time) AS event_time
    FROM quotes WHERE event_time >= $since GROUP BY symbol ORDER BY symbol
"""


def last_quotes(warehouse: Warehouse, *, since: datetime) -> pl.DataFrame:
    """The newest quote of each symbol that had one at or after ``since``: symbol, bid, bid_qty, ask, ask_qty, event_time."""
    return warehouse.select(_LAST, since=since)
