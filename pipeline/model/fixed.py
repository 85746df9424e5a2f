"""Prices and quantities as whole numbers of 1/100,000,000: what ``DECIMAL(18,8)`` is inside, and exact in sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

PLACES: Final = 8
UNIT: Final = 10**PLACES
"""An amount of 1 in these whole numbers."""


def units(text: str) -> int:
    """The whole number of a plain decimal text; a digit behind the eighth place is rounded (half to even)."""
    return round(Decimal(text) * UNIT)


def text_of(amount: int) -> str:
    """The shortest decimal text of a whole number that is not negative."""
    whole, places = divmod(amount, UNIT)
    return f"{whole}.{places:08d}".rstrip("0").rstrip(".")
