"""Are our bars the exchange's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.quality.bars import shown
from pipeline.quality.finding import Finding, Severity, State, unknown

NAME = "klines"

COMPARED = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
"""Columns that must be equal, exactly."""

_PRICES = 4
NEARLY = Decimal("0.001")
"""Relative difference of the other columns up to which it is a warning: the venue counts some prints that are not market trades."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A bar at ``ts_us`` that is not the exchange's candlestick: both as the columns of ``COMPARED``."""

    ts_us: int
    ours: tuple[Decimal, ...]
    theirs: tuple[Decimal, ...]

    @property
    def column(self) -> str:
        """The first column that differs."""
        return next(name for name, own, other in zip(COMPARED, self.ours, self.theirs, strict=True) if own != other)

    @property
    def grave(self) -> bool:
        """Whether a price differs, or an amount by more than ``NEARLY``."""
        if self.ours[:_PRICES] != self.theirs[:_PRICES]:
            return True
        amounts = zip(self.ours[_PRICES:], self.theirs[_PRICES:], strict=True)
        return any(abs(own - other) > NEARLY * max(abs(own), abs(other)) for own, other in amounts)


def judge_klines(symbol: str, timeframe: str, compared: int, differences: Sequence[Difference]) -> Finding:
    """Judge the bars that are complete, free of gaps, and known to the exchange.

    Args:
        symbol: whose.
        timeframe: of the bars.
        compared: how many there are.
        differences: those that differ.
    """
    if not compared:
        return unknown(NAME, symbol, timeframe, Severity.ERROR, "no candlestick of the exchange beside a whole bar of ours", blocking=True)
    if not differences:
        return Finding(NAME, symbol, timeframe, Severity.ERROR, State.OK, 0.0, 0.0, f"{compared} bars compared", blocking=True)
    grave = [one for one in differences if one.grave]
    told = (grave or list(differences))[0]
    at = COMPARED.index(told.column)
    detail = (
        f"{len(differences)} of {compared} bars differ, the one at {shown(told.ts_us)} in {told.column}: "
        f"ours {told.ours[at].normalize():f}, the exchange's {told.theirs[at].normalize():f}"
    )
    state = State.ERROR if grave else State.WARN
    return Finding(NAME, symbol, timeframe, Severity.ERROR, state, float(len(differences)), 0.0, detail, blocking=True)
