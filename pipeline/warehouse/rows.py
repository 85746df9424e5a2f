"""Decoded columns as Arrow tables with the columns and types of ``ticks`` and ``quotes``: what is numpy's is not copied."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.model.fixed import PLACES
from pipeline.venues import QuoteColumns, TradeColumns

_UTC_US = pa.timestamp("us", tz="UTC")
_AMOUNT = pa.decimal128(18, PLACES)


def tick_rows(trades: TradeColumns) -> pa.Table:
    """The rows of ``ticks``, without their source."""
    return pa.table(
        {
            "symbol": _symbols(trades),
            "trade_id": trades.trade_id,
            "price": _decimals(trades.price),
            "qty": _decimals(trades.qty),
            "event_time": pa.array(trades.event_time_ms * 1_000, _UTC_US),
            "recv_time": pa.array(trades.recv_ns // 1_000, _UTC_US),
            "buyer_is_maker": trades.buyer_is_maker,
            "first_id": trades.first_id,
            "last_id": trades.last_id,
        }
    )


def quote_rows(quotes: QuoteColumns) -> pa.Table:
    """The rows of ``quotes``."""
    return pa.table(
        {
            "symbol": _symbols(quotes),
            "update_id": quotes.update_id,
            "bid": _decimals(quotes.bid),
            "bid_qty": _decimals(quotes.bid_qty),
            "ask": _decimals(quotes.ask),
            "ask_qty": _decimals(quotes.ask_qty),
            "event_time": pa.array(quotes.event_time_ms * 1_000, _UTC_US),
            "recv_time": pa.array(quotes.recv_ns // 1_000, _UTC_US),
        }
    )


def _decimals(amounts: NDArray[np.int64]) -> pa.Array:
    """Whole numbers of 1/100,000,000, none negative, as decimals: their 64 lower bits, and 64 upper ones that are zero."""
    bits = np.zeros((len(amounts), 2), np.int64)
    bits[:, 0] = amounts
    return pa.Array.from_buffers(_AMOUNT, len(amounts), [None, pa.py_buffer(bits)])


def _symbols(columns: TradeColumns | QuoteColumns) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(columns.symbols.codes), pa.array(columns.symbols.names, pa.string()))
