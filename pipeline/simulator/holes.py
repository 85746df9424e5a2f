"""A market in which some ids were never given: neither the streams nor REST nor the candles know of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.simulator.trades import HOUR_MS, Tape, Trades, ids_before


class HoledTape(Tape):
    """A tape from which ranges of aggregate trades are left out.

    A hole may only be made where nobody has been told of the trades yet (``free_id``). Best prices are those of the whole tape.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._holes: dict[str, list[tuple[int, int]]] = {}
        self.trades = lru_cache(maxsize=64)(self._existing)

    def add(self, symbol: str, first: int, last: int) -> None:
        """Leave out the ids ``first`` to ``last`` of a symbol."""
        self._holes.setdefault(symbol, []).append((first, last))
        self.trades.cache_clear()

    def free_id(self, symbol: str, now_ms: int) -> int:
        """The first id that has not happened at ``now_ms`` and lies behind every hole, with one trade between."""
        hour = now_ms // HOUR_MS
        happened = int(self.made(symbol, hour).time_ms.searchsorted(now_ms, "right"))
        after = max((last for _, last in self._holes.get(symbol, ())), default=0) + 2
        return max(ids_before(symbol, hour)[0] + happened + 1, after)

    def _existing(self, symbol: str, hour: int) -> Trades:
        trades = self.made(symbol, hour)
        holes = self._holes.get(symbol)
        if not holes or not len(trades):
            return trades
        keep = np.ones(len(trades), dtype=np.bool_)
        for first, last in holes:
            keep &= (trades.ids < first) | (trades.ids > last)
        return trades if keep.all() else Trades(*(getattr(trades, name)[keep] for name in Trades.__slots__))
