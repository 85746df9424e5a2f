"""Values into SQL text, for the one place that has no server-side parameters: a query sent over Quack."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pipeline.errors import StoreError

Value = str | int | float | bool | datetime | Decimal | None | Sequence[str]

_PLACEHOLDER = re.compile(r"'(?:[^']|'')*'|\$([a-z_][a-z0-9_]*)")


def literal(value: Value) -> str:
    """The SQL literal of a value; text is quoted, so that it can never be more than a value.

    Raises:
        StoreError: for a naive datetime, or text with a NUL or half of a surrogate pair.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"({value})"  # two minus signs in a row would begin a comment
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return f"CAST('{value}' AS DECIMAL(38, 8))"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            msg = f"time {value!r} has no time zone; give it one (UTC)"
            raise StoreError(msg)
        return f"TIMESTAMPTZ '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
    if isinstance(value, str):
        if "\x00" in value:
            msg = "text with a NUL character cannot be part of a query; remove it"
            raise StoreError(msg)
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            msg = f"text {value!r} is not Unicode (it has half of a surrogate pair); remove that"
            raise StoreError(msg)
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(literal(item) for item in value) + "]::VARCHAR[]"


def bind(sql: str, parameters: Mapping[str, Value]) -> str:
    """Replace each ``$name`` outside quotes by its literal.

    Raises:
        StoreError: when a name has no value.
    """

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name not in parameters:
            msg = f"query parameter ${name} has no value"
            raise StoreError(msg)
        return literal(parameters[name])

    return _PLACEHOLDER.sub(replacement, sql)
