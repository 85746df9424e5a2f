"""Halts of the venue: a long silence between two trades whose ids follow each other, so that nothing is missing.

Which halts there are depends on the set of landed trades alone: one for every two consecutive ids that have both landed and
whose event times lie ``after_ms`` or more apart. Two such ids stay neighbours whatever lands later, so a verdict, once true,
stays true; two trades with ids missing between them are no neighbours, so a gap is no halt, and what refills it decides which
halts are in it. Each pair is judged in the one transaction in which the later of the two lands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.model.coverage import Coverage
from pipeline.store.halts import Halt

Key = tuple[str, int]
"""A symbol and a trade id."""
TradeTimes = Callable[[Sequence[Key], int, int], Mapping[Key, int]]
"""Event times (milliseconds) of landed trades, which are expected between two times; trades that are unknown are left out."""

_KEPT = 4_096
_FEW = 1 << 15


class _Run(NamedTuple):
    """Trades of a batch whose ids follow each other."""

    symbol: str
    first: int
    first_ms: int
    last: int
    last_ms: int


class HaltWatch:
    """Finds the halts that a batch of new trades brings to light.

    Args:
        after_ms: least silence.
        trade_times: asked for the times of trades that landed before, where they are not remembered.
    """

    def __init__(self, after_ms: int, trade_times: TradeTimes) -> None:
        self._after_ms = after_ms
        self._trade_times = trade_times
        # Only the first and the last id of a covered interval can become somebody's neighbour.
        self._ends: dict[Key, int] = {}

    def land(
        self, names: Sequence[str], codes: NDArray[Any], ids: NDArray[np.int64], event_ms: NDArray[np.int64], landed: Mapping[str, Coverage]
    ) -> list[Halt]:
        """The halts between these trades, and between them and what had landed before; by symbol, then by id.

        Args:
            names: symbols.
            codes: index of each trade's symbol.
            ids: each trade's id, no id of a symbol twice and none that had landed before.
            event_ms: each trade's event time.
            landed: covered ids of each symbol, these trades included.
        """
        if not ids.size:
            return []
        codes, ids, event_ms = _sorted(codes, ids, event_ms)
        following = (np.diff(ids) == 1) & (np.diff(codes) == 0)
        silent = np.flatnonzero(following & (np.diff(event_ms) >= self._after_ms))
        found = [Halt(names[int(codes[at])], int(ids[at]), int(event_ms[at]), int(event_ms[at + 1])) for at in silent]
        cuts = np.flatnonzero(~following)
        starts, stops = np.concatenate([[0], cuts + 1]).tolist(), np.concatenate([cuts, [ids.size - 1]]).tolist()
        runs = [
            _Run(names[int(codes[start])], int(ids[start]), int(event_ms[start]), int(ids[stop]), int(event_ms[stop]))
            for start, stop in zip(starts, stops, strict=True)
        ]
        found += self._at_edges(runs, landed)
        self._forget_the_inner(landed)
        return sorted(found)

    def _at_edges(self, runs: Sequence[_Run], landed: Mapping[str, Coverage]) -> Iterator[Halt]:
        """Between the ends of each run of ids and the neighbours that had landed before."""
        pairs: list[tuple[Key, int, Key, int]] = []  # a trade of the batch, its time, its neighbour, +1 where that one comes behind
        for symbol, first, first_ms, last, last_ms in runs:
            if first - 1 in landed[symbol]:
                pairs.append(((symbol, first), first_ms, (symbol, first - 1), -1))
            if last + 1 in landed[symbol]:
                pairs.append(((symbol, last), last_ms, (symbol, last + 1), 1))
            self._ends[symbol, first] = first_ms
            self._ends[symbol, last] = last_ms
        self._look_up([(neighbour, time_ms) for _, time_ms, neighbour, _ in pairs])
        for (symbol, trade_id), time_ms, neighbour, side in pairs:
            other_ms = self._ends.get(neighbour)
            if other_ms is None:
                continue
            before_ms, after_ms = (time_ms, other_ms) if side > 0 else (other_ms, time_ms)
            if after_ms - before_ms >= self._after_ms:
                yield Halt(symbol, trade_id if side > 0 else trade_id - 1, before_ms, after_ms)

    def _look_up(self, wanted: Sequence[tuple[Key, int]]) -> None:
        unknown = [(key, time_ms) for key, time_ms in wanted if key not in self._ends]
        if unknown:
            times = [time_ms for _, time_ms in unknown]
            self._ends.update(self._trade_times([key for key, _ in unknown], min(times), max(times)))

    def _forget_the_inner(self, landed: Mapping[str, Coverage]) -> None:
        """Keep few: those that are still the end of an interval, and of many intervals none."""
        if len(self._ends) <= _KEPT:
            return
        self._ends = {
            (symbol, trade_id): time_ms
            for (symbol, trade_id), time_ms in self._ends.items()
            if trade_id - 1 not in landed[symbol] or trade_id + 1 not in landed[symbol]
        }
        if len(self._ends) > _KEPT // 2:
            self._ends = {
                (symbol, trade_id): time_ms for (symbol, trade_id), time_ms in self._ends.items() if trade_id == landed[symbol].last
            }


def _sorted(
    codes: NDArray[Any], ids: NDArray[np.int64], event_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """By symbol, then by id; lines of one symbol mostly come in the order of their ids."""
    codes = codes.astype(np.int64)
    order: NDArray[np.intp]
    if (np.diff(codes) < 0).any():
        # Sixteen bits are sorted without comparing.
        order = np.argsort(codes.astype(np.int16) if int(codes.max()) < _FEW else codes, kind="stable")
        codes, ids, event_ms = codes[order], ids[order], event_ms[order]
    if ((np.diff(ids) < 0) & (np.diff(codes) == 0)).any():
        order = np.lexsort((ids, codes))
        codes, ids, event_ms = codes[order], ids[order], event_ms[order]
    return codes, ids, event_ms
