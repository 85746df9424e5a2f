"""Fixtures that every part shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Real captures, used in place; where they are absent the test is skipped."""
    named = os.environ.get("MARKET_DATA")
    path = Path(named) if named else _HERE.parent / "shared" / "market-data"
    if not path.is_dir():
        pytest.skip(f"real captures are not at {path}; set MARKET_DATA to their directory")
    return path
