"""What is there of a symbol's trades, for whoever fetches more of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.model.coverage import Coverage
from pipeline.store.protocol import Warehouse

_COVERAGE = "SELECT first_id, last_id FROM coverage WHERE symbol = $symbol ORDER BY first_id"

_SPAN = """
    SELECT count(*) AS "rows", min(event_time) AS first_ts, max(event_time) AS last_ts,
           printf('%x', coalesce(bit_xor(hash(trade_id, price, qty, epoch_us(event_time), buyer_is_maker, first_id, last_id)), 0))
    FROM ticks WHERE symbol = $symbol AND event_time >= $start AND event_time < $end
"""


@dataclass(frozen=True, slots=True)
class TradeSpan:
    """The trades of a symbol in a period: how many, first and last time, and a text that changes with their content."""

    rows: int
    first_ts: datetime | None
    last_ts: datetime | None
    fingerprint: str


def load_coverage(warehouse: Warehouse, symbol: str) -> Coverage:
    """The ids that have been landed of a symbol."""
    return Coverage(warehouse.select(_COVERAGE, symbol=symbol).iter_rows())


def load_span(warehouse: Warehouse, symbol: str, *, start: datetime, end: datetime) -> TradeSpan:
    """The trades with ``start <= event_time < end``."""
    return TradeSpan(*warehouse.select(_SPAN, symbol=symbol, start=start, end=end).row(0))
