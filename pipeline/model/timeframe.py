"""Timeframes: the lengths that bars can have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from pipeline.errors import UsageError

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PATTERN = re.compile(r"([1-9][0-9]{0,4})([smhd])")


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """A bar length of a whole number of seconds that divides a day, such as ``1s``, ``15s``, ``1m``, ``4h``.

    Buckets are aligned to the Unix epoch, hence to UTC midnight, as Binance's klines are.
    Ordered by length.
    """

    seconds: int
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<number><s|m|h|d>``.

        Raises:
            UsageError: when the text is not of that form, or the length does not divide a day.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            msg = f"timeframe {text!r} is not understood; expected a number and s, m, h or d, such as 1s, 15s, 5m or 1h"
            raise UsageError(msg)
        seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
        if 86400 % seconds:
            msg = f"timeframe {text!r} does not divide a day; choose one that does, such as 15s, 5m, 4h or 1d"
            raise UsageError(msg)
        return cls(seconds, text)

    @property
    def ms(self) -> int:
        """Length in milliseconds."""
        return self.seconds * 1_000

    @property
    def us(self) -> int:
        """Length in microseconds, the resolution of the store."""
        return self.seconds * 1_000_000

    def bucket_us(self, time_us: int) -> int:
        """Open time of the bar that ``time_us`` falls in, both in microseconds since the epoch (floor division)."""
        return time_us - time_us % self.us

    def __str__(self) -> str:
        return self.name
