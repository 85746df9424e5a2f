"""How late messages are, over the last minute: histograms by stream, added to a whole batch at a time.

Three lags, each net of the difference between the venue's clock and ours:

- wire: from the event at the venue to its receipt here;
- landing: from receipt to the commit that makes it visible to readers;
- visible: from the event to that commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

_SLOTS = 6
_SLOT_NS = 10_000_000_000
_UNIT_US = 50.0
_BELOW, _ABOVE = 48, 208
_BINS = _BELOW + _ABOVE
_PER_OCTAVE_BELOW, _PER_OCTAVE_ABOVE = 2, 8
_SAMPLE = 8_192
"""Most messages of a batch that enter the histograms; of more, every so many-th. The greatest lag is always that of all."""
QUANTILES = (0.5, 0.99)


class Stage(IntEnum):
    """Which part of the way."""

    WIRE = 0
    LANDING = 1
    VISIBLE = 2


class Lags:
    """Lags of every stream over the last 50 to 60 seconds. Quantiles are right to within 5 %, maxima exactly.

    Lags are in microseconds here; a negative one means that the clocks differ by more than is known (it is told coarsely).
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._counts = np.zeros((_SLOTS, len(Stage), 0, _BINS), np.int32)
        self._greatest = np.zeros((_SLOTS, len(Stage), 0))
        self._turn = 0

    def add(self, streams: Sequence[str], codes: NDArray[np.integer], lags_us: dict[Stage, Floats], now_ns: int) -> None:
        """Enter a batch: ``codes`` says for each message which of ``streams`` it is of; each stage has one lag for each message."""
        if not codes.size:
            return
        rows = np.array([self._row(stream) for stream in streams], np.int64)[codes]
        slot = self._slot(now_ns)
        step = -(-rows.size // _SAMPLE)
        for stage, lags in lags_us.items():
            np.maximum.at(self._greatest[slot, stage], rows, lags)
            np.add.at(self._counts[slot, stage].reshape(-1), rows[::step] * _BINS + _bins(lags[::step]), 1)

    def told(self, now_ns: int) -> dict[str, Floats]:
        """For each stream that has had messages in the last minute an array (stage, (p50, p99, max)) in milliseconds.

        NaN for a stage that nothing is known of.
        """
        self._slot(now_ns)
        grown = self._counts.sum(axis=0, dtype=np.int64).cumsum(axis=-1)
        totals = grown[..., -1]
        greatest = self._greatest.max(axis=0)
        found = np.full((*totals.shape, len(QUANTILES) + 1), np.nan)
        for at, quantile in enumerate(QUANTILES):
            rank = np.maximum(np.ceil(totals * quantile), 1)
            found[..., at] = np.minimum(_MIDDLES[(grown >= rank[..., None]).argmax(axis=-1)], greatest)
        found[..., -1] = greatest
        found[totals == 0] = np.nan
        found /= 1_000
        return {stream: found[:, row] for stream, row in self._rows.items() if totals[:, row].any()}

    def _row(self, stream: str) -> int:
        row = self._rows.get(stream)
        if row is None:
            row = self._rows[stream] = len(self._rows)
            if row >= self._greatest.shape[-1]:
                more = max(8, row)
                self._counts = np.concatenate([self._counts, np.zeros((_SLOTS, len(Stage), more, _BINS), np.int32)], axis=2)
                self._greatest = np.concatenate([self._greatest, np.full((_SLOTS, len(Stage), more), -np.inf)], axis=2)
        return row

    def _slot(self, now_ns: int) -> int:
        """The slot of this moment; those whose time is over are emptied."""
        turn = now_ns // _SLOT_NS
        # A clock that is set back goes on with the newest slot.
        for stale in range(max(self._turn + 1, turn - _SLOTS + 1), turn + 1):
            self._counts[stale % _SLOTS] = 0
            self._greatest[stale % _SLOTS] = -np.inf
        self._turn = max(self._turn, turn)
        return self._turn % _SLOTS


def _bins(lags_us: Floats) -> Int64s:
    octaves = np.log2(1 + np.abs(lags_us) / _UNIT_US)
    above = _BELOW + np.minimum(octaves * _PER_OCTAVE_ABOVE, _ABOVE - 1)
    if (lags_us < 0).any():
        above = np.where(lags_us < 0, np.maximum(_BELOW - 1 - np.floor(octaves * _PER_OCTAVE_BELOW), 0), above)
    found: Int64s = above.astype(np.int64)
    return found


def _edges(count: int, per_octave: int) -> Floats:
    found: Floats = _UNIT_US * (np.exp2(np.arange(count + 1) / per_octave) - 1)
    return found


def _middles() -> Floats:
    below, above = _edges(_BELOW, _PER_OCTAVE_BELOW), _edges(_ABOVE, _PER_OCTAVE_ABOVE)
    return np.concatenate([-((below[:-1] + below[1:]) / 2)[::-1], (above[:-1] + above[1:]) / 2])


_MIDDLES = _middles()
