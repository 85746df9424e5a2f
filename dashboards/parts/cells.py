"""A value of a table as the text of a cell: all of it, so that what is shown is what is stored."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from dashboards.format import NONE, time_text


def cell(value: Any) -> str:
    """Times in UTC with as many digits as they have, decimals without zeros at the end."""
    match value:
        case None:
            return NONE
        case datetime():
            return time_text(value) + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")
        case date():
            return value.isoformat()
        case bool():
            return "true" if value else "false"
        case Decimal():
            whole, _, part = f"{value:f}".partition(".")
            return whole + (f".{part.rstrip('0')}" if part.rstrip("0") else "")
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)
