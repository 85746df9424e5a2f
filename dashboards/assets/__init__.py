"""Style sheets and scripts, each a file of its own, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent


@cache
def asset(name: str) -> str:
    """The text of a style sheet or script of this directory."""
    return (_HERE / name).read_text(encoding="utf-8")
