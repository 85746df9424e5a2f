"""What counts as a number and as a name in a venue's message: stricter than JSON, so that nothing odd reaches the tables."""

from __future__ import annotations

import re

from pipeline.errors import MalformedMessage

_PRICE = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?")
_AMOUNT = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,8})?")
_SYMBOL = re.compile(r"[A-Z0-9_]{2,30}")


def require_price(text: str, field: str) -> None:
    """Accept a price or quantity that fits ``DECIMAL(18,8)``: plain digits, at most 10 before and 8 after the point.

    Raises:
        MalformedMessage: for anything else (sign, exponent, NaN, blanks, a bare point, too many digits).
    """
    if _PRICE.fullmatch(text) is None:
        msg = f"{field} {text[:40]!r} is not a plain decimal of at most 10 and 8 digits"
        raise MalformedMessage(msg)


def require_amount(text: str, field: str) -> None:
    """Accept a sum over many trades (a kline's volumes), which may have 20 digits before the point and 8 after it.

    Raises:
        MalformedMessage: for anything else.
    """
    if _AMOUNT.fullmatch(text) is None:
        msg = f"{field} {text[:40]!r} is not a plain decimal of at most 20 and 8 digits"
        raise MalformedMessage(msg)


def is_symbol(text: str) -> bool:
    """Whether ``text`` is a name that Spreadwatch can follow: 2 to 30 capital letters, digits or underscores."""
    return _SYMBOL.fullmatch(text) is not None


def require_symbol(text: str) -> None:
    """Accept a symbol.

    Raises:
        MalformedMessage: when `is_symbol` says no.
    """
    if not is_symbol(text):
        msg = f"symbol {text[:40]!r} is not 2 to 30 capital letters, digits or underscores"
        raise MalformedMessage(msg)
