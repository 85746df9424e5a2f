"""Symbols and pairs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pipeline.errors import UsageError

_SYMBOL = re.compile(r"[A-Z0-9_]{2,30}")


def parse_symbol(text: str) -> str:
    """Return ``text`` when it is a symbol: 2 to 30 capital letters, digits or underscores.

    Raises:
        UsageError: otherwise.
    """
    if _SYMBOL.fullmatch(text) is None:
        msg = f"symbol {text!r} is not understood; expected capital letters and digits, such as BTCUSDT"
        raise UsageError(msg)
    return text


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two legs: ``y`` is the dependent leg, ``x`` the hedge. Written ``ETHUSDT/BTCUSDT``."""

    y: str
    x: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Y/X``.

        Raises:
            UsageError: when there are not two different symbols.
        """
        legs = text.split("/")
        if len(legs) != 2 or legs[0] == legs[1]:
            msg = f"pair {text!r} is not understood; expected two different symbols, such as ETHUSDT/BTCUSDT"
            raise UsageError(msg)
        return cls(parse_symbol(legs[0]), parse_symbol(legs[1]))

    def __str__(self) -> str:
        return f"{self.y}/{self.x}"
