"""Spreadwatch's engine: capture, journal, warehouse, bars, pair statistics and alerts."""

from __future__ import annotations

__version__ = "0.1.0"
