"""What flows have found out about a pair and its legs: its place in the newest screen, and what quotes cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.liquidity import newest_liquidity
from pipeline.store.screens import screened_pairs

_EVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Screened:
    """A pair in the newest screen that has it.

    Attributes:
        screen_id: which screen.
        made_at: when it was made.
        window_end: end of the bars that it looked at.
        tests: tests of the family that the q-value belongs to.
        rank: place of the pair.
        p_value: of the pair's Engle-Granger test; None where it was not defined.
        q_value: after Benjamini and Hochberg.
        outcome: ``tested``, or why it was not.
    """

    screen_id: str
    made_at: datetime
    window_end: datetime
    tests: int
    rank: int
    p_value: float | None
    q_value: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside the bars.

    Attributes:
        screened: None when no screen has the pair.
        quoted_bps: quoted spread of y and of x in basis points; None without quotes.
        measured_at: when that was measured.
    """

    screened: Screened | None = None
    quoted_bps: tuple[float | None, float | None] = (None, None)
    measured_at: datetime | None = None


NOTHING_BESIDE = Beside()


def load_beside(warehouse: Warehouse, pair: Pair, timeframe: Timeframe) -> Beside:
    """Read it; cheap: one row of a screen and the newest measurements."""
    rows = screened_pairs(warehouse, timeframe, until=_EVER).filter(y=pair.y, x=pair.x)
    found = None
    if rows.height:
        row = rows.row(0, named=True)
        found = Screened(
            screen_id=row["screen_id"], made_at=row["made_at"].astimezone(UTC), window_end=row["window_end"].astimezone(UTC),
            tests=row["tests"], rank=row["rank"], p_value=row["p_value"], q_value=row["q_value"], outcome=row["outcome"],
        )  # fmt: skip
    measured = {row["symbol"]: row for row in newest_liquidity(warehouse, timeframe).iter_rows(named=True)}
    legs = [measured.get(symbol) for symbol in (pair.y, pair.x)]
    bps = tuple(None if leg is None else leg["quoted_spread_bps"] for leg in legs)
    times = [leg["ts"].astimezone(UTC) for leg in legs if leg is not None]
    return Beside(found, (bps[0], bps[1]), min(times, default=None))
