"""Parts that views are made of."""

from __future__ import annotations
