"""Best bid and ask updates of one symbol in one absolute hour, in step with its trades.

Every trade (or sweep) is preceded by the update that it hits, stamped with the trade's own millisecond: a taker who buys
pays exactly that ask, one who sells gets exactly that bid. Between two trades there is one more update. Update ids
grow with time, with holes, as they do on a venue where every symbol draws from one sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.simulator import noise
from pipeline.simulator.noise import Ints
from pipeline.simulator.trades import HOUR_MS, Tape, ids_before
from pipeline.simulator.universe import BY_SYMBOL

_PER_HOUR = 1 << 20
_ID_STRIDE = 37
_SIZE_SPREAD = 1.0
_SIZE_OF_TRADES = 6.0
_LATENCY_MS = 2


@dataclass(frozen=True, slots=True)
class Quotes:
    """Best bid and ask updates in order, as parallel arrays of integers (see ``Instrument``)."""

    ids: Ints
    time_ms: Ints
    event_ms: Ints
    bid: Ints
    bid_qty: Ints
    ask: Ints
    ask_qty: Ints

    def __len__(self) -> int:
        return len(self.ids)


def quotes(tape: Tape, symbol: str, hour: int) -> Quotes:
    """All updates of an hour; none before the genesis."""
    trades = tape.made(symbol, hour)
    spec = BY_SYMBOL[symbol]
    draw = noise.key(tape.seed, "quote", symbol)
    at_trade = np.unique(trades.time_ms)
    index = hour * _PER_HOUR + np.arange(len(at_trade), dtype=np.int64)
    following = np.append(at_trade[1:], (hour + 1) * HOUR_MS)
    between = at_trade + 1 + np.floor((following - at_trade - 1) * noise.uniform(draw ^ 1, index)).astype(np.int64)
    time_ms = np.stack([at_trade, between], axis=1).ravel()
    # an update between two trades of neighbouring milliseconds has no room: it goes
    keep = np.append(np.diff(time_ms) > 0, True) if len(time_ms) else np.zeros(0, dtype=np.bool_)
    keep[::2] = True
    keep &= time_ms < (hour + 1) * HOUR_MS
    place = np.flatnonzero(keep)
    time_ms = time_ms[place]
    book = tape.book(symbol, hour, time_ms - hour * HOUR_MS)
    unit = _SIZE_OF_TRADES * spec.notional / spec.level * 10.0**spec.instrument.qty_decimals
    sizes = hour * _PER_HOUR * 2 + place
    before = 2 * ids_before(symbol, hour)[0]
    return Quotes(
        ids=(before + place) * _ID_STRIDE + (noise.uniform(draw ^ 2, sizes) * _ID_STRIDE).astype(np.int64) + 1,
        time_ms=time_ms,
        event_ms=time_ms + (noise.uniform(draw ^ 3, sizes) * _LATENCY_MS).astype(np.int64),
        bid=book.bid,
        bid_qty=_sizes(unit, draw ^ 4, sizes),
        ask=book.ask,
        ask_qty=_sizes(unit, draw ^ 5, sizes),
    )


def _sizes(unit: float, draw: int, index: Ints) -> Ints:
    lots = np.rint(unit * np.exp(_SIZE_SPREAD * noise.normal(draw, index))).astype(np.int64)
    return np.maximum(lots, 1)
