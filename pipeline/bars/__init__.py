"""Bars of this moment, pure: the streaming builder that follows trades in journal order.

Bars that are kept are made by the store, from ticks, in SQL (``pipeline/store/bars.py``).
"""

from __future__ import annotations

from pipeline.bars.book import Book, LastPrice, Update

__all__ = ["Book", "LastPrice", "Update"]
