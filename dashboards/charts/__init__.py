"""Bokeh figures: built once for a session, then only fed."""

from __future__ import annotations
