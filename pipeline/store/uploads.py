"""What is known about a symbol before a user's file of it is taken: whose data it has, and whether the file's trades are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import polars as pl

from pipeline.store.protocol import Warehouse

_HELD = """
    SELECT (SELECT count(*) FROM ticks WHERE symbol = $symbol AND source <> 'upload') AS ticks,
           (SELECT count(*) FROM ticks WHERE symbol = $symbol AND source = 'upload') AS uploaded,
           (SELECT count(*) FROM klines WHERE symbol = $symbol) AS klines
"""
_NUMBERED = """
    SELECT count(*) AS trades, coalesce(max(trade_id), 0) AS last_id, coalesce(sum(price), 0) AS prices, coalesce(sum(qty), 0) AS amounts,
           max(event_time) AS last_time
    FROM ticks WHERE symbol = $symbol
"""
_TICKS = "SELECT count(*) AS n FROM ticks WHERE symbol = $symbol"
_KLINES = "SELECT count(*) AS n FROM klines WHERE symbol = $symbol AND timeframe = $timeframe"


_OWN = """
    SELECT symbol, timeframe, count(*) AS "rows", min(ts) AS first_ts, max(ts) AS last_ts FROM klines
    WHERE symbol IN (SELECT unnest($symbols)) GROUP BY symbol, timeframe
    UNION ALL
    SELECT symbol, NULL, count(*), min(event_time), max(event_time) FROM ticks
    WHERE symbol IN (SELECT unnest($symbols)) GROUP BY symbol
    ORDER BY symbol, timeframe NULLS FIRST
"""


@dataclass(frozen=True, slots=True)
class Held:
    """How much of a symbol is there: trades that no user uploaded, trades that one did, and candlesticks."""

    ticks: int
    uploaded: int
    klines: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """Trades of a symbol that were numbered from 1 as they stood in a file: how many, and what they add up to."""

    trades: int
    last_id: int
    prices: Decimal
    amounts: Decimal
    last_time: datetime | None


def load_held(warehouse: Warehouse, symbol: str) -> Held:
    """What is there of a symbol."""
    return Held(**warehouse.select(_HELD, symbol=symbol).row(0, named=True))


def load_numbered(warehouse: Warehouse, symbol: str) -> Numbered:
    """What the landed trades of a symbol add up to."""
    return Numbered(**warehouse.select(_NUMBERED, symbol=symbol).row(0, named=True))


def count_ticks(warehouse: Warehouse, symbol: str) -> int:
    """Landed trades of a symbol."""
    return int(warehouse.select(_TICKS, symbol=symbol).item())


def count_klines(warehouse: Warehouse, symbol: str, timeframe: str) -> int:
    """Candlesticks of a symbol and timeframe."""
    return int(warehouse.select(_KLINES, symbol=symbol, timeframe=timeframe).item())


def load_own(warehouse: Warehouse, symbols: Sequence[str]) -> pl.DataFrame:
    """What is there of symbols that users brought: symbol, timeframe (None for trades), rows, first_ts, last_ts."""
    return warehouse.select(_OWN, symbols=list(symbols))
