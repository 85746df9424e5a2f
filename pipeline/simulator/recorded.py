"""What a recording knows about its market, so that REST can be answered during a replay."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import msgspec
import numpy as np

from pipeline.simulator.candles import Candles, from_trades
from pipeline.simulator.noise import Ints
from pipeline.simulator.quotes import Quotes
from pipeline.simulator.trades import HOUR_MS, Trades, no_trades
from pipeline.simulator.universe import Instrument

_log = logging.getLogger(__name__)

_MOST_DECIMALS = 8
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?")
_TOO_LARGE = 1 << 63
_INDEXED_TRADES = 10_000_000  # about a gigabyte; a longer recording is replayed whole, REST knows its beginning


class _Data(msgspec.Struct, gc=False):
    """The fields of a message that the index needs; everything else is skipped."""

    e: str = ""
    s: str = ""
    a: int | str | list[object] = 0
    t: int = 0
    p: str | int = ""
    q: str = ""
    b: str | list[object] = ""
    B: str = ""
    f: int = 0
    l: int | str = 0  # noqa: E741  the venue's letter
    T: int = 0
    m: bool = False
    X: str = "MARKET"


class _Message(msgspec.Struct, gc=False):
    stream: str = ""
    data: _Data | list[object] = msgspec.field(default_factory=_Data)
    e: str = ""
    s: str = ""


_decode = msgspec.json.Decoder(_Message).decode
_decode_bare = msgspec.json.Decoder(_Data).decode


@dataclass(slots=True)
class _Columns:
    """Trades of one symbol and kind while they are read, scaled to eight decimals."""

    rows: array[int] = field(default_factory=lambda: array("q"))

    def add(self, trade_id: int, data: _Data, first: int, last: int, recv_ns: int) -> None:
        price, qty = _scaled(str(data.p)), _scaled(data.q)
        self.rows.extend((trade_id, data.T, price, qty, first, last, data.m, recv_ns))


@dataclass(slots=True)
class _Found:
    """One symbol of a recording while it is read."""

    aggregate: _Columns = field(default_factory=_Columns)
    raw: _Columns = field(default_factory=_Columns)
    price_decimals: int = 0
    qty_decimals: int = 0


@dataclass(frozen=True, slots=True)
class _Tape:
    """Trades of one symbol in order of id, with the receive time by which each had been heard, and the latest ``T`` by then."""

    instrument: Instrument
    trades: Trades
    recv_ns: Ints
    latest_ms: Ints
    aggregate: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording's contents in brief."""

    tapes: dict[str, _Tape]
    first_ns: int
    last_ns: int
    frames: int
    has_klines: bool


def scan(lines: Iterable[tuple[int, bytes]]) -> Recorded:
    """Read a recording once.

    Args:
        lines: receive time in nanoseconds and raw message, in the order of the replay.

    Raises:
        RecordingError: when a file cannot be read.
    """
    found: dict[str, _Found] = {}
    first_ns = last_ns = frames = trades = broken = 0
    has_klines = False
    for recv_ns, raw in lines:
        first_ns = first_ns or recv_ns
        last_ns = max(last_ns, recv_ns)
        frames += 1
        try:
            data = _decode(raw).data if raw.startswith(b'{"stream"') else _decode_bare(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            broken += 1
            continue
        if isinstance(data, list):  # one message for all symbols, such as !markPrice@arr
            continue
        has_klines = has_klines or data.e == "kline"
        if data.e in {"aggTrade", "trade", "bookTicker"} and data.s:
            trades += _note(found.setdefault(data.s, _Found()), data, recv_ns, full=trades >= _INDEXED_TRADES)
    if broken or trades >= _INDEXED_TRADES:
        _log.warning("simulator.recording_partly_indexed", extra={"frames": frames, "undecoded": broken, "trades": trades})
    return Recorded({symbol: _tape(symbol, one) for symbol, one in sorted(found.items())}, first_ns, last_ns, frames, has_klines)


def _note(one: _Found, data: _Data, recv_ns: int, *, full: bool) -> int:
    """Take one message into the index; 1 when a trade was added."""
    price, qty = (data.b, data.B) if data.e == "bookTicker" else (data.p, data.q)
    if not isinstance(price, str) or not _usable(data, price, qty):
        return 0
    one.price_decimals = max(one.price_decimals, _decimals(price))
    one.qty_decimals = max(one.qty_decimals, _decimals(qty))
    if full or data.e == "bookTicker" or data.X != "MARKET":
        return 0
    if data.e == "aggTrade":
        if isinstance(data.a, int) and isinstance(data.l, int):
            one.aggregate.add(data.a, data, data.f, data.l, recv_ns)
    else:
        one.raw.add(data.t, data, data.t, data.t, recv_ns)
    return 1


def _usable(data: _Data, price: str, qty: str) -> bool:
    """Whether numbers are such as a venue sends: others are played as they are, but nothing can be counted with them."""
    ids = (data.t, data.f, data.T, *(value for value in (data.a, data.l) if isinstance(value, int)))
    amounts = _AMOUNT.fullmatch(price) is not None and _AMOUNT.fullmatch(qty) is not None
    return amounts and min(ids) >= 0 and max(ids) < _TOO_LARGE


def _tape(symbol: str, one: _Found) -> _Tape:
    aggregate = len(one.aggregate.rows) > 0
    rows = np.array(one.aggregate.rows if aggregate else one.raw.rows, dtype=np.int64).reshape(-1, 8)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    rows = rows[np.append(True, np.diff(rows[:, 0]) > 0)] if len(rows) else rows
    ids, time_ms, price, qty, first, last, maker, recv_ns = (np.ascontiguousarray(column) for column in rows.T)
    price //= 10 ** (_MOST_DECIMALS - one.price_decimals)
    qty //= 10 ** (_MOST_DECIMALS - one.qty_decimals)
    tick = int(np.gcd.reduce(price)) if len(price) else 1
    instrument = Instrument(symbol, one.price_decimals, max(tick, 1), one.qty_decimals)
    trades = Trades(ids, time_ms, time_ms, price, qty, first, last, maker.astype(np.bool_))
    return _Tape(instrument, trades, np.maximum.accumulate(recv_ns), np.maximum.accumulate(time_ms), aggregate)


class RecordedHistory:
    """A recording up to the replay's clock. Aggregate trades only where the recording has them.

    Args:
        recorded: the contents.
        clock_ns: the replay's clock, in the recording's receive time.
        shift_ms: what is added to every time told.
    """

    def __init__(self, recorded: Recorded, clock_ns: Callable[[], int], shift_ms: Callable[[], int]) -> None:
        self._recorded = recorded
        self._clock_ns = clock_ns
        self._shift_ms = shift_ms

    def now_ms(self) -> int:
        """The replay's clock in milliseconds, or the time of the latest trade heard if that is ahead of it."""
        clock_ns = self._clock_ns()
        now_ms = clock_ns // 1_000_000
        for tape in self._recorded.tapes.values():
            heard = int(tape.recv_ns.searchsorted(clock_ns, "right"))
            now_ms = max(now_ms, int(tape.latest_ms[heard - 1])) if heard else now_ms
        return now_ms + self._shift_ms()

    def instruments(self) -> Sequence[Instrument]:
        """The symbols found in the recording."""
        return [tape.instrument for tape in self._recorded.tapes.values()]

    def instrument(self, symbol: str) -> Instrument | None:
        """One of them; None when it is unknown."""
        tape = self._recorded.tapes.get(symbol)
        return tape.instrument if tape else None

    def first_hour(self, symbol: str) -> int:
        """The hour of the first trade."""
        times = self._recorded.tapes[symbol].trades.time_ms
        start_ms = int(times.min()) if len(times) else self._recorded.first_ns // 1_000_000
        return (start_ms + self._shift_ms()) // HOUR_MS

    def _heard(self, symbol: str, *, aggregate: bool = True) -> Trades:
        """Trades that the replay has come to, times shifted."""
        tape = self._recorded.tapes[symbol]
        if aggregate and not tape.aggregate:
            return no_trades()
        trades = tape.trades.part(0, int(tape.recv_ns.searchsorted(self._clock_ns(), "right")))
        shift = self._shift_ms()
        return replace(trades, time_ms=trades.time_ms + shift) if shift else trades

    def from_id(self, symbol: str, first_id: int, limit: int) -> Trades:
        """Up to ``limit`` aggregate trades from an id on, oldest first."""
        heard = self._heard(symbol)
        start = int(heard.ids.searchsorted(first_id))
        return heard.part(start, start + limit)

    def oldest(self, symbol: str, start_ms: int, end_ms: int, limit: int) -> Trades:
        """The first ``limit`` aggregate trades with ``start_ms <= T <= end_ms``."""
        heard = self._heard(symbol)
        start = int(heard.time_ms.searchsorted(start_ms, "left"))
        return heard.part(start, min(start + limit, int(heard.time_ms.searchsorted(end_ms, "right"))))

    def newest(self, symbol: str, end_ms: int, limit: int) -> Trades:
        """The last ``limit`` aggregate trades with ``T <= end_ms``, oldest first."""
        return self._last(self._heard(symbol), end_ms, limit)

    @staticmethod
    def _last(trades: Trades, end_ms: int, limit: int) -> Trades:
        stop = int(trades.time_ms.searchsorted(end_ms, "right"))
        return trades.part(max(0, stop - limit), stop)

    def candles(self, symbol: str, interval_ms: int, hour: int) -> Candles:
        """Candles of one absolute hour that had trades, from aggregate trades or else from raw ones."""
        heard = _by_second(self._heard(symbol, aggregate=False))
        start, stop = heard.time_ms.searchsorted([hour * HOUR_MS, (hour + 1) * HOUR_MS])
        return from_trades(heard.part(int(start), int(stop)), interval_ms)

    def quote(self, symbol: str) -> Quotes | None:
        """None: quotes are replayed, not indexed."""
        del symbol
        return None

    def close_before(self, symbol: str, time_ms: int) -> int | None:
        """Last price before a moment, in price units; None when there is none."""
        last = self._last(self._heard(symbol, aggregate=False), time_ms - 1, 1)
        return int(last.price[0]) if len(last) else None


def _by_second(trades: Trades) -> Trades:
    """Trades in order of id, brought into order of their second where the venue's time ran backwards against its ids."""
    seconds = trades.time_ms // 1_000
    if not np.any(np.diff(seconds) < 0):
        return trades
    order = np.argsort(seconds, kind="stable")
    return Trades(*(getattr(trades, one.name)[order] for one in fields(Trades)))


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _scaled(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction[:_MOST_DECIMALS].ljust(_MOST_DECIMALS, "0"))
