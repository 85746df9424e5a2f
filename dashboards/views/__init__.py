"""One view a tab."""

from __future__ import annotations
