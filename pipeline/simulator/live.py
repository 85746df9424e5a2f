"""The live streams of the synthetic market: each event goes out when the wall clock passes its push time."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import fields
from typing import Protocol

from pipeline.simulator import frames
from pipeline.simulator.candles import INTERVALS, bucket_ms, from_trades, merged
from pipeline.simulator.frames import Candle
from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.hub import Hub
from pipeline.simulator.quotes import Quotes, quotes
from pipeline.simulator.streams import Stream, StreamKind, parse_stream
from pipeline.simulator.trades import HOUR_MS, Tape, Trades, hour_of_id, ids_before
from pipeline.simulator.universe import BY_SYMBOL, Instrument

_TICK_S = 0.02
_KLINE_EVERY_MS = 250
_LATEST_MS = 100  # longer than any trade's way from matching engine to stream
_FORGIVEN_MS = 60_000


class TradeCursor:
    """A place on a symbol's tape."""

    def __init__(self, tape: Tape, symbol: str, now_ms: int) -> None:
        self._tape = tape
        self._symbol = symbol
        self.hour = now_ms // HOUR_MS
        self.trades = tape.trades(symbol, self.hour)
        self._events: list[int] = self.trades.event_ms.tolist()
        self.index = bisect_right(self._events, now_ms)

    @classmethod
    def after(cls, tape: Tape, symbol: str, trade_id: int) -> TradeCursor:
        """A place right behind an aggregate trade id."""
        cursor = cls(tape, symbol, hour_of_id(symbol, trade_id + 1) * HOUR_MS)
        cursor.index = int(cursor.trades.ids.searchsorted(trade_id, "right"))
        return cursor

    @property
    def passed_id(self) -> int:
        """The aggregate trade id before this place."""
        return int(self.trades.ids[self.index - 1]) if self.index else ids_before(self._symbol, self.hour)[0]

    def reload(self) -> None:
        """Take note that trades ahead of this place have ceased to exist."""
        passed = self.passed_id
        self.trades = self._tape.trades(self._symbol, self.hour)
        self._events = self.trades.event_ms.tolist()
        self.index = int(self.trades.ids.searchsorted(passed, "right"))

    def advance(self, now_ms: int) -> list[Trades]:
        """Trades pushed since the last call."""
        passed: list[Trades] = []
        while True:
            start, self.index = self.index, bisect_right(self._events, now_ms, self.index)
            if self.index > start:
                passed.append(self.trades.part(start, self.index))
            if self.index < len(self._events) or now_ms < (self.hour + 1) * HOUR_MS:
                return passed
            self.hour += 1
            self.trades = self._tape.trades(self._symbol, self.hour)
            self._events = self.trades.event_ms.tolist()
            self.index = 0


class QuoteCursor:
    """A place in a symbol's quotes."""

    def __init__(self, tape: Tape, symbol: str, now_ms: int) -> None:
        self._tape = tape
        self._symbol = symbol
        self._hour = now_ms // HOUR_MS
        self._load()
        self._index = bisect_right(self._events, now_ms)

    def _load(self) -> None:
        self._quotes = quotes(self._tape, self._symbol, self._hour)
        self._events: list[int] = self._quotes.event_ms.tolist()
        self._index = 0

    def advance(self, now_ms: int) -> list[Quotes]:
        """Quotes pushed since the last call."""
        passed: list[Quotes] = []
        while True:
            start, self._index = self._index, bisect_right(self._events, now_ms, self._index)
            if self._index > start:
                at = slice(start, self._index)
                passed.append(Quotes(*(getattr(self._quotes, field.name)[at] for field in fields(Quotes))))
            if self._index < len(self._events) or now_ms < (self._hour + 1) * HOUR_MS:
                return passed
            self._hour += 1
            self._load()


class KlineMaker:
    """The running candle of one stream: folds trades in, tells what is to be pushed."""

    def __init__(self, instrument: Instrument, interval: str, start_ms: int, candle: Candle | None, last_price: int) -> None:
        self._instrument = instrument
        self._interval = interval
        self._length = INTERVALS[interval]
        self._candle = candle or _flat(start_ms, last_price)
        self._pushed_ms = 0
        self._changed = False

    def fold(self, trades: Trades, now_ms: int) -> list[str]:
        """Take in trades; returns the closing messages of candles that these end."""
        messages: list[str] = []
        columns = (trades.time_ms, trades.price, trades.qty, trades.first, trades.last, trades.maker)
        for time, price, qty, first, last, maker in zip(*(column.tolist() for column in columns), strict=True):
            while time >= self._candle.open_ms + self._length:
                messages.append(self._close(now_ms))
            candle = self._candle
            if candle.trades == 0:
                candle.open = candle.high = candle.low = price
                candle.first = first
            candle.high = max(candle.high, price)
            candle.low = min(candle.low, price)
            candle.close = price
            candle.last = last
            candle.volume += qty
            candle.quote += price * qty
            candle.trades += last - first + 1
            if not maker:
                candle.buy_volume += qty
                candle.buy_quote += price * qty
            self._changed = True
        return messages

    def due(self, now_ms: int) -> list[str]:
        """Messages that the time asks for: a changed candle every 250 ms, a closed one after its end."""
        messages: list[str] = []
        while now_ms >= self._candle.open_ms + self._length + _LATEST_MS:
            messages.append(self._close(now_ms))
        if self._changed and now_ms - self._pushed_ms >= _KLINE_EVERY_MS:
            messages.append(self._message(now_ms, closed=False))
            self._changed = False
            self._pushed_ms = now_ms
        return messages

    def _close(self, now_ms: int) -> str:
        message = self._message(now_ms, closed=True)
        self._candle = _flat(self._candle.open_ms + self._length, self._candle.close)
        self._changed = False
        return message

    def _message(self, now_ms: int, *, closed: bool) -> str:
        return frames.kline_frame(self._instrument, self._interval, self._length, self._candle, now_ms, closed=closed)


def _flat(open_ms: int, price: int) -> Candle:
    return Candle(open_ms, price, price, price, price, 0, 0, 0, 0, 0, -1, -1)


class Witness(Protocol):
    """Who is told of trades before anybody else hears of them."""

    def follow(self, symbol: str, passed_id: int) -> None:
        """The trades of a symbol are being heard, from the one after ``passed_id`` on; told again at every step."""

    def witness(self, now_ms: int) -> None:
        """Everything with a push time up to now is about to be sent."""


class LiveFeed:
    """Feeds a hub from the tape. Nothing is made for a symbol that nobody hears."""

    def __init__(
        self, tape: Tape, history: SyntheticHistory, hub: Hub, clock_ms: Callable[[], int], witness: Witness | None = None
    ) -> None:
        self._witness = witness
        self._tape = tape
        self._history = history
        self._hub = hub
        self._clock_ms = clock_ms
        self._trades: dict[str, TradeCursor] = {}
        self._quotes: dict[str, QuoteCursor] = {}
        self._klines: dict[str, KlineMaker] = {}
        self._last_ms = clock_ms()

    async def run(self) -> None:
        """Push for ever."""
        while True:
            self.step(self._clock_ms())
            self._hub.drop_hopeless()
            await asyncio.sleep(_TICK_S)

    def step(self, now_ms: int) -> None:
        """Push what has become due."""
        if now_ms - self._last_ms > _FORGIVEN_MS:
            # the machine slept: what was missed is to be had over REST, as on the venue
            self._trades.clear()
            self._quotes.clear()
            self._klines.clear()
        self._last_ms = now_ms
        wanted = [stream for name in self._hub.wanted() if (stream := parse_stream(name)) and stream.symbol in BY_SYMBOL]
        quoted = {stream.symbol: stream for stream in wanted if stream.kind is StreamKind.BOOK_TICKER}
        traded: dict[str, list[Stream]] = {}
        for stream in wanted:
            if stream.kind is not StreamKind.BOOK_TICKER:
                traded.setdefault(stream.symbol, []).append(stream)
        _forget(self._quotes, quoted)
        _forget(self._trades, traded)
        _forget(self._klines, {stream.name for stream in wanted})
        for symbol in traded:
            if symbol not in self._trades:
                self._trades[symbol] = TradeCursor(self._tape, symbol, now_ms)
        if self._witness is not None:
            self._tell(self._witness, traded, now_ms)
        for symbol, stream in quoted.items():
            self._push_quotes(symbol, stream, now_ms)
        for symbol, streams in traded.items():
            self._push_trades(symbol, streams, now_ms)

    def reload(self, symbol: str) -> None:
        """Take note that trades of a symbol that were still to come have ceased to exist."""
        if symbol in self._trades:
            self._trades[symbol].reload()

    def _tell(self, witness: Witness, traded: dict[str, list[Stream]], now_ms: int) -> None:
        for symbol, streams in traded.items():
            if any(stream.kind is not StreamKind.KLINE for stream in streams):
                witness.follow(symbol, self._trades[symbol].passed_id)
        witness.witness(now_ms)

    def _push_quotes(self, symbol: str, stream: Stream, now_ms: int) -> None:
        cursor = self._quotes.get(symbol)
        if cursor is None:
            cursor = self._quotes[symbol] = QuoteCursor(self._tape, symbol, now_ms)
        instrument = BY_SYMBOL[symbol].instrument
        for passed in cursor.advance(now_ms):
            for frame in frames.quote_frames(instrument, passed):
                self._hub.deliver(stream.name, frame)

    def _push_trades(self, symbol: str, streams: list[Stream], now_ms: int) -> None:
        cursor = self._trades[symbol]
        instrument = BY_SYMBOL[symbol].instrument
        for stream in streams:
            if stream.kind is StreamKind.KLINE and stream.name not in self._klines:
                self._klines[stream.name] = self._kline_maker(stream, cursor, now_ms)
        passed = cursor.advance(now_ms)
        for stream in streams:
            if stream.kind is StreamKind.KLINE:
                maker = self._klines[stream.name]
                for part in passed:
                    self._deliver(stream, maker.fold(part, now_ms))
                self._deliver(stream, maker.due(now_ms))
                continue
            for part in passed:
                if stream.kind is StreamKind.AGG_TRADE:
                    self._deliver(stream, frames.agg_trade_frames(instrument, part))
                else:
                    self._deliver(stream, [frame for fills in frames.raw_trade_frames(instrument, part) for frame in fills])

    def _deliver(self, stream: Stream, messages: list[str]) -> None:
        for message in messages:
            self._hub.deliver(stream.name, message)

    def _kline_maker(self, stream: Stream, cursor: TradeCursor, now_ms: int) -> KlineMaker:
        """A candle that holds what the cursor has passed."""
        length = INTERVALS[stream.interval]
        start = bucket_ms(now_ms, length)
        parts = [self._history.candles(stream.symbol, length, hour) for hour in range(start // HOUR_MS, cursor.hour)]
        parts.append(from_trades(cursor.trades.part(0, cursor.index), length))
        running = merged(parts, length)
        rows = [row for row in frames.rows_of(running) if row.open_ms == start]
        before = self._history.close_before(stream.symbol, start) or 0
        return KlineMaker(BY_SYMBOL[stream.symbol].instrument, stream.interval, start, rows[0] if rows else None, before)


def _forget(kept: dict[str, TradeCursor] | dict[str, QuoteCursor] | dict[str, KlineMaker], wanted: object) -> None:
    for name in [name for name in kept if name not in wanted]:  # type: ignore[operator]
        del kept[name]
