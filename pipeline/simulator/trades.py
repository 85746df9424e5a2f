"""The aggregate trades of one symbol in one absolute hour.

How many there are is fixed by the hour of the day (a busy afternoon, a quiet night), so the ids of any hour follow from
arithmetic: days since the genesis times the trades of a day, plus the hours before this one. The same holds for the
raw trades behind them, whose ids make ``f`` and ``l``. *When* they happen inside the hour is random: given their
number, the times of a Poisson process are uniform order statistics (normalised sums of exponentials), put on the
clock of the activity, so arrivals cluster. Sweeps share their millisecond and their side and walk the book tick by tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from pipeline.simulator import noise, process
from pipeline.simulator.noise import Bools, Floats, Ints
from pipeline.simulator.prices import Prices
from pipeline.simulator.process import HOUR_S
from pipeline.simulator.universe import BY_SYMBOL, GENESIS_HOUR

HOUR_MS = HOUR_S * 1_000
_SWEEP_CHANCE = 0.3
_SWEEP_TICKS = 5
_SIZE_SPREAD = 1.25
_RAW_EXTRA = 0.8
_LATENCY_MS = 3.0
_LATENCY_MAX_MS = 60
_PER_HOUR = 1 << 20  # stride of noise indices: more than the trades of any hour


@dataclass(frozen=True, slots=True)
class Trades:
    """Aggregate trades in order of id, as parallel arrays. Prices and quantities are integers (see ``Instrument``).

    ``time_ms`` is the matching engine's time ``T``, ``event_ms`` the push time ``E``.
    """

    ids: Ints
    time_ms: Ints
    event_ms: Ints
    price: Ints
    qty: Ints
    first: Ints
    last: Ints
    maker: Bools

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> Trades:
        """Rows ``start`` to ``stop``, without copying."""
        at = slice(start, stop)
        return Trades(
            self.ids[at],
            self.time_ms[at],
            self.event_ms[at],
            self.price[at],
            self.qty[at],
            self.first[at],
            self.last[at],
            self.maker[at],
        )


def no_trades() -> Trades:
    """An empty tape."""
    none = np.zeros(0, dtype=np.int64)
    return Trades(none, none, none, none, none, none, none, np.zeros(0, dtype=np.bool_))


def joined(parts: list[Trades]) -> Trades:
    """One tape from consecutive ones."""
    if not parts:
        return no_trades()
    if len(parts) == 1:
        return parts[0]
    return Trades(*(np.concatenate([getattr(part, name) for part in parts]) for name in Trades.__slots__))


@cache
def _day(symbol: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Aggregate and raw trades in each hour of a day."""
    rate = BY_SYMBOL[symbol].rate * HOUR_S
    counts = tuple(round(rate * (1 + 0.35 * math.cos(2 * math.pi * (hour - 15) / 24))) for hour in range(24))
    return counts, tuple(count + round(count * _RAW_EXTRA) for count in counts)


def count_in(symbol: str, hour: int) -> int:
    """Aggregate trades in an hour."""
    return _day(symbol)[0][hour % 24] if hour >= GENESIS_HOUR else 0


def ids_before(symbol: str, hour: int) -> tuple[int, int]:
    """How many aggregate and raw trades there were before an hour; ids start at 1."""
    days, inside = divmod(max(hour, GENESIS_HOUR) - GENESIS_HOUR, 24)
    counts, raws = _day(symbol)
    return days * sum(counts) + sum(counts[:inside]), days * sum(raws) + sum(raws[:inside])


def hour_of_id(symbol: str, trade_id: int) -> int:
    """The hour that holds an aggregate trade id; the genesis for ids below 1."""
    counts, _ = _day(symbol)
    days, rest = divmod(max(trade_id, 1) - 1, sum(counts))
    inside = 0
    while rest >= counts[inside]:
        rest -= counts[inside]
        inside += 1
    return GENESIS_HOUR + days * 24 + inside


@dataclass(frozen=True, slots=True)
class Book:
    """Best bid and ask at given moments, in price units."""

    bid: Ints
    ask: Ints


class Tape:
    """Trades and best prices as a function of (seed, symbol, hour)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.prices = Prices(seed)
        self.made = lru_cache(maxsize=64)(self._trades)
        """Everything that the seed makes in an hour of a symbol."""
        self.trades = self.made
        """What of it exists; the same, unless ids are left out (``HoledTape``)."""
        self._activity = lru_cache(maxsize=128)(self._symbol_activity)

    def book(self, symbol: str, hour: int, inside_ms: Ints) -> Book:
        """Best bid and ask at moments of an hour, given in milliseconds from its start."""
        spec = BY_SYMBOL[symbol]
        instrument = spec.instrument
        mid = self.prices.mid(symbol, hour)
        second = inside_ms // 1_000
        start = mid[second]
        at = start + (mid[second + 1] - start) * ((inside_ms % 1_000) * 1e-3)
        tick = instrument.tick_units / 10.0**instrument.price_decimals
        width = self._width(symbol, hour, tick)[second]
        bid = np.floor(at / tick - 0.5 * width + 0.5).astype(np.int64)
        return Book(bid * instrument.tick_units, (bid + width) * instrument.tick_units)

    def _width(self, symbol: str, hour: int, tick: float) -> Ints:
        """Ticks between bid and ask in each second: wider when busy, and sometimes for no reason."""
        spec = BY_SYMBOL[symbol]
        usual = max(1.0, (0.3 + 1.2 / spec.rate) * 1e-4 * spec.level / tick)
        width_key = noise.key(self.seed, "width", symbol)
        whim = noise.exponential(width_key, hour * HOUR_S + np.arange(HOUR_S, dtype=np.int64))
        busy = np.log1p(self._activity(symbol, hour)) * 0.25
        return np.maximum(1, np.floor(usual * (0.45 + 0.3 * whim + busy) + 0.5)).astype(np.int64)

    def _symbol_activity(self, symbol: str, hour: int) -> Floats:
        own_key = noise.key(self.seed, "activity", symbol)
        own = process.activity(own_key, hour, spread=0.4, half_life_s=150.0, bursts_per_hour=20.0, burst=4.0)
        return own * np.sqrt(self.prices.market_activity(hour))

    def _trades(self, symbol: str, hour: int) -> Trades:
        """All aggregate trades of an hour."""
        count = count_in(symbol, hour)
        if count == 0:
            return no_trades()
        spec = BY_SYMBOL[symbol]
        draw = noise.key(self.seed, "trade", symbol)
        index = hour * _PER_HOUR + np.arange(count + 1, dtype=np.int64)
        inside_ms, leader = self._times(symbol, hour, draw, index)
        index = index[:-1]
        order = np.arange(count, dtype=np.int64)
        buy = self._buys(symbol, hour, draw, index, inside_ms // 1_000)[leader]
        book = self.book(symbol, hour, inside_ms)
        steps = np.minimum(order - leader, _SWEEP_TICKS) * spec.instrument.tick_units
        price = np.where(buy, book.ask + steps, book.bid - steps)
        ids, raws = ids_before(symbol, hour)
        raw = _raw_counts(noise.exponential(draw ^ 7, index) ** 2, round(count * _RAW_EXTRA))
        last = raws + np.cumsum(raw)
        unit = spec.notional / spec.level * 10.0**spec.instrument.qty_decimals
        qty = np.rint(unit * np.exp(_SIZE_SPREAD * noise.normal(draw ^ 8, index))).astype(np.int64)
        time_ms = hour * HOUR_MS + inside_ms
        latency = np.minimum(1 + np.floor(_LATENCY_MS * noise.exponential(draw ^ 9, index)), _LATENCY_MAX_MS).astype(np.int64)
        return Trades(
            ids=ids + 1 + order,
            time_ms=time_ms,
            event_ms=np.maximum.accumulate(time_ms + latency),
            price=price,
            qty=np.maximum(qty, raw),  # every raw trade has at least one lot
            first=last - raw + 1,
            last=last,
            maker=~buy,
        )

    def _times(self, symbol: str, hour: int, draw: int, index: Ints) -> tuple[Ints, Ints]:
        """Milliseconds from the start of the hour, ascending, and for each trade the position of the first of its sweep."""
        waits = np.cumsum(noise.exponential(draw ^ 1, index))
        passed = np.zeros(HOUR_S + 1)
        np.cumsum(self._activity(symbol, hour), out=passed[1:])
        moments = np.interp(waits[:-1] / waits[-1] * passed[-1], passed, np.arange(HOUR_S + 1, dtype=np.float64))
        inside_ms = np.minimum(np.floor(moments * 1_000).astype(np.int64), HOUR_MS - 1)
        leads = noise.uniform(draw ^ 2, index[:-1]) >= _SWEEP_CHANCE
        leads[0] = True
        leader = np.maximum.accumulate(np.where(leads, np.arange(len(leads), dtype=np.int64), 0))
        return inside_ms[leader], leader

    def _buys(self, symbol: str, hour: int, draw: int, index: Ints, second: Ints) -> Bools:
        """Whether the taker bought: persistent order flow, leaning the way that the price is about to go."""
        flow = process.ou(noise.key(self.seed, "flow", symbol), hour, 45.0)
        moves = np.diff(self.prices.mid(symbol, hour))
        lean = moves / (np.sqrt(np.mean(moves * moves)) + 1e-300)
        drive = 0.8 * flow[:-1] + 0.5 * lean
        bought: Bools = noise.normal(draw ^ 3, index) + drive[second] > 0
        return bought


def _raw_counts(weights: Floats, extra: int) -> Ints:
    """Raw trades behind each aggregate trade: one each, plus ``extra`` more shared out by weight, in total exactly."""
    shares = np.cumsum(weights)
    given = np.floor(shares / shares[-1] * extra).astype(np.int64)
    given[-1] = extra
    counts: Ints = 1 + np.diff(given, prepend=0)
    return counts
