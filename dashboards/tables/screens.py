"""Kept screens: which there are, one of them whole, and the rows of it that somebody wants to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dashboards.hub import Moment
from pipeline.analytics import cluster_order
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.quality import blocked_symbols
from pipeline.store.screens import list_screens, load_screen, newest_screen

FloatArray = NDArray[np.float64]

_MOST = 500
_DAY_S = 86_400.0
SORTABLE = (
    "rank", "y", "q_value", "p_value", "statistic", "half_life", "beta", "hurst", "crossings_per_day", "correlation", "liquidity",
    "used_lag", "outcome",
)  # fmt: skip
"""Columns that rows can be sorted by; by ``y`` means by the pair's name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept screen, as the list of them tells it.

    Attributes:
        screen_id: its name.
        timeframe: of its bars.
        lookback: bars that were asked for.
        window_start: open time of its first bar.
        window_end: end of its last.
        made_at: when it was made.
        symbols: how many it looked at.
        tests: pairs that were tested: the family of the q-values.
        pairs: pairs that it has rows of.
        found: pairs with a q-value up to the level of the list.
    """

    screen_id: str
    timeframe: Timeframe
    lookback: int
    window_start: datetime
    window_end: datetime
    made_at: datetime
    symbols: int
    tests: int
    pairs: int
    found: int

    @property
    def bars(self) -> int:
        """Intervals of its window; fewer than ``lookback`` when there was no more history."""
        return round((self.window_end - self.window_start).total_seconds() / self.timeframe.seconds)

    @property
    def both(self) -> bool:
        """Whether both directions of each pair were tested."""
        return self.pairs == self.symbols * (self.symbols - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Screens:
    """The kept screens, newest first, and symbols that a blocking check keeps out of the next one, with the reason."""

    kept: tuple[Kept, ...]
    blocked: dict[str, str]
    mark: tuple[int, datetime] | None

    def of(self, timeframe: str) -> tuple[Kept, ...]:
        """Those of a timeframe."""
        return tuple(kept for kept in self.kept if kept.timeframe.name == timeframe)


@dataclass(frozen=True, slots=True)
class ScreensTopic:
    """Which screens there are; pairs are counted up to a q-value of ``level``."""

    level: float
    every_s: float = 2.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The list now: it is read again only when a screen was saved or removed."""
        if warehouse is None:
            return before
        mark, blocked = newest_screen(warehouse), blocked_symbols(warehouse)
        if before is not None and before.mark == mark:
            return before if before.blocked == blocked else Screens(before.kept, blocked, mark)
        rows = list_screens(warehouse, level=self.level, most=_MOST).iter_rows(named=True)
        return Screens(tuple(Kept(**row | {"timeframe": Timeframe.parse(row["timeframe"])}) for row in rows), blocked, mark)


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """One screen whole.

    Attributes:
        screen_id: its name.
        rows: by rank, as in the table ``screens``, with ``crossings_per_day``; None where a figure is not defined.
        symbols: those that it looked at, in an order in which symbols that move together stand together.
        correlation: ``(n, n)`` in that order, symmetric; NaN where there is none.
        q_value: row y, column x; NaN where the pair was not tested.
        p_value: likewise.
    """

    screen_id: str
    rows: pl.DataFrame
    symbols: tuple[str, ...]
    correlation: FloatArray
    q_value: FloatArray
    p_value: FloatArray


@dataclass(frozen=True, slots=True)
class ScreenTopic:
    """One screen. It never changes, so that it is read once, for everybody who looks at it."""

    screen_id: str
    every_s: float = 2.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The screen; one without rows when it is kept no more."""
        if warehouse is None or before is not None:
            return before
        return arrange(self.screen_id, load_screen(warehouse, self.screen_id))


def arrange(screen_id: str, rows: pl.DataFrame) -> Screened:
    """Make of the rows of a screen what is shown of it."""
    days = (pl.col("window_end") - pl.col("window_start")).dt.total_seconds() / _DAY_S
    rows = rows.with_columns((pl.col("crossings") / days).alias("crossings_per_day"))
    names = sorted({*rows["y"], *rows["x"]})
    number = {name: at for at, name in enumerate(names)}
    y = np.array([number[name] for name in rows["y"]], dtype=np.int64)
    x = np.array([number[name] for name in rows["x"]], dtype=np.int64)

    def matrix(column: str) -> FloatArray:
        made = np.full((len(names), len(names)), np.nan)
        made[y, x] = rows[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return made

    correlation, q_value, p_value = (matrix(column) for column in ("correlation", "q_value", "p_value"))
    correlation = np.where(np.isfinite(correlation), correlation, correlation.T)
    order = cluster_order(correlation)
    sorted_ = np.ix_(order, order)
    return Screened(
        screen_id, rows, tuple(names[at] for at in order), correlation[sorted_], q_value[sorted_], p_value[sorted_]
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a screen somebody wants to see, and in which order. None: no such bound.

    Attributes:
        q_most: q-value up to.
        half_life_least: half-life in bars from.
        half_life_most: half-life in bars up to.
        correlation_least: size of the correlation from, whatever its sign.
        liquidity_least: quote volume of a bar of the thinner leg from.
        find: parts of symbols; each of them must be in a leg; ``ETH/BTC`` names parts of y and of x.
        one_direction: of a pair's two directions only the one with the better rank.
        left_out: the pairs without a test instead of those with one.
        sort: one of ``SORTABLE``.
        descending: largest first; rows without a figure are last either way.
    """

    q_most: float | None = None
    half_life_least: float | None = None
    half_life_most: float | None = None
    correlation_least: float | None = None
    liquidity_least: float | None = None
    find: tuple[str, ...] = field(default=())
    one_direction: bool = False
    left_out: bool = False
    sort: str = "rank"
    descending: bool = False

    def choose(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are wanted, in the wanted order."""
        found = rows.filter(*self._bounds(), *(_named(part) for part in self.find))
        if self.one_direction:
            legs = pl.min_horizontal("y", "x"), pl.max_horizontal("y", "x")
            found = found.filter(pl.col("rank") == pl.col("rank").min().over(*legs))
        by = ["y", "x"] if self.sort == "y" else [self.sort]
        return found.sort([*by, "rank"], descending=[*(self.descending for _ in by), False], nulls_last=True)

    def _bounds(self) -> list[pl.Expr]:
        tested = pl.col("outcome") == "tested"
        bounds = (
            (self.q_most, lambda most: pl.col("q_value") <= most),
            (self.half_life_least, lambda least: pl.col("half_life") >= least),
            (self.half_life_most, lambda most: pl.col("half_life") <= most),
            (self.correlation_least, lambda least: pl.col("correlation").abs() >= least),
            (self.liquidity_least, lambda least: pl.col("liquidity") >= least),
        )
        return [~tested if self.left_out else tested, *(bound(value) for value, bound in bounds if value is not None)]


def _named(part: str) -> pl.Expr:
    """Whether a part of a name is in a leg; of ``Y/X`` whether each is in its leg."""
    y, slash, x = part.partition("/")
    in_y, in_x = pl.col("y").str.contains(y, literal=True), pl.col("x").str.contains(x if slash else y, literal=True)
    return in_y & in_x if slash else in_y | in_x


def left_out(rows: pl.DataFrame) -> list[tuple[str, int]]:
    """Why pairs have no test, and how many."""
    return rows.filter(pl.col("outcome") != "tested").group_by("outcome").len().sort("len", "outcome", descending=[True, False]).rows()
