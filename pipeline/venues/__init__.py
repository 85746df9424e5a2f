"""Venue protocols, pure: text in, events out. No clock, no network; time is an argument."""

from __future__ import annotations

from pipeline.venues.batch import Batch, Sample
from pipeline.venues.columns import QuoteColumns, TradeColumns
from pipeline.venues.registry import Venue, register, venue, venues
from pipeline.venues.rest import ExchangeInfo, Request, SymbolSpec

__all__ = [
    "Batch",
    "ExchangeInfo",
    "QuoteColumns",
    "Request",
    "Sample",
    "SymbolSpec",
    "TradeColumns",
    "Venue",
    "register",
    "venue",
    "venues",
]
