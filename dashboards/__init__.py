"""The Panel dashboard: reads the warehouse, asks for changes, never writes."""

from __future__ import annotations
