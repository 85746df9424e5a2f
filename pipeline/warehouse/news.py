"""What a batch of landed lines made known to alert rules, by grid point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.alerts import GRID_US, grid_us
from pipeline.bars import Update
from pipeline.model.fixed import UNIT
from pipeline.warehouse.landing import Landed

_SECOND_US = 1_000_000
_WIDE = 100_000


class News:
    """What a batch made known, by grid point: updates of the book, changes of open gaps, symbols to be looked at again."""

    def __init__(self) -> None:
        self._updates: dict[int, list[Update]] = {}
        self._gaps: dict[int, list[tuple[str, int]]] = {}
        self._again: dict[int, set[str]] = {}

    @classmethod
    def of(cls, landed: Landed, symbols: set[str]) -> Self:
        """The news of a batch about some symbols; open gaps are counted of all."""
        news = cls()
        for update in updates(landed, symbols):
            news._updates.setdefault(update.grid_us, []).append(update)
        for known_us, symbol, change in landed.gaps:
            news._gaps.setdefault(grid_us(known_us), []).append((symbol, change))
        return news

    @property
    def points(self) -> set[int]:
        """The grid points at which there is news."""
        return {*self._updates, *self._gaps, *self._again}

    def add_again(self, point: int, symbols: set[str]) -> None:
        """Have symbols looked at at a point, although nothing is new."""
        self._again[point] = set(symbols)

    def take(self, point: int | None) -> Iterator[tuple[list[Update], list[tuple[str, int]], set[str]]]:
        """Take out the news of a point; None: of every point."""
        for time in sorted(self.points) if point is None else (point,):
            yield self._updates.pop(time, []), self._gaps.pop(time, []), self._again.pop(time, set())


def updates(landed: Landed, symbols: set[str]) -> list[Update]:
    """The trades of the watched symbols, those of one grid point and one second of event time together."""
    trades = landed.trades
    if not len(trades):
        return []
    wanted = np.array([name in symbols for name in trades.symbols.names], np.bool_)[trades.symbols.codes]
    rows = np.flatnonzero(wanted)
    if not rows.size:
        return []
    codes = trades.symbols.codes[rows].astype(np.int64)
    grid = -(-landed.known_us[rows] // GRID_US)
    seconds = trades.event_time_ms[rows] // 1_000
    # Unique rows of a table are ten times as slow as unique numbers.
    points, grid = _dense(grid)
    times, seconds = _dense(seconds)
    spans = len(trades.symbols.names), len(times)
    groups, inverse = np.unique((grid * spans[0] + codes) * spans[1] + seconds, return_inverse=True)
    rest, second = np.divmod(groups, spans[1])
    point, code = np.divmod(rest, spans[0])
    qty = np.zeros(len(groups), np.int64)
    np.add.at(qty, inverse, trades.qty[rows])
    # The price of a group is that of its highest id, wherever that line stands.
    by_id = np.argsort(trades.last_id[rows], kind="stable")
    last = np.zeros(len(groups), np.int64)
    last[inverse[by_id]] = rows[by_id]
    columns = (
        (points[point] * GRID_US).tolist(),
        code.tolist(),
        (times[second] * _SECOND_US).tolist(),
        trades.price[last].tolist(),
        qty.tolist(),
        trades.last_id[last].tolist(),
    )
    return [
        # whole numbers divide to the double that is nearest to the text
        Update(at_us, trades.symbols.names[symbol], event_us, price / UNIT, amount, last_id)
        for at_us, symbol, event_us, price, amount, last_id in zip(*columns, strict=True)
    ]


def _dense(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct values, and each value as its place among them: products of places stay small whatever the values are."""
    low, high = int(values.min()), int(values.max())
    if high - low < _WIDE:
        return np.arange(low, high + 1), values - low
    distinct, places = np.unique(values, return_inverse=True)
    return distinct, places
