"""The venue's REST answers: paths, parameters, limits, weights and error bodies of ``/fapi/v1``.

Pure but for the clock that it is given. A request costs its weight even when it is refused for its parameters; the
budget is one for all clients, as everything here comes from one address.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from pipeline.simulator import frames, tickers
from pipeline.simulator.candles import INTERVALS, Candles, bucket_ms, filled, from_trades, merged
from pipeline.simulator.exchange_info import exchange_info
from pipeline.simulator.history import History
from pipeline.simulator.trades import HOUR_MS
from pipeline.simulator.universe import Instrument

PREFIX = "/fapi/v1/"
WEIGHT_LIMIT = 2_400
AGG_TRADES_WEIGHT = 20
AGG_TRADES_LIMIT = 1_000
TRADES_WEIGHT = 5
TRADES_LIMIT = 1_000
KLINES_LIMIT = 1_500
_DEFAULT_LIMIT = 500
_AGG_TRADES_KEPT_MS = 48 * HOUR_MS
_TICKER_WEIGHTS = {  # of one symbol, of all
    "ticker/price": (1, 2),
    "/fapi/v2/ticker/price": (1, 2),
    "ticker/bookTicker": (2, 5),
    "ticker/24hr": (1, 40),
}
_LARGEST = 1 << 53  # a later time and a higher id than there will ever be
_INTEGER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: JSON body and headers beside the usual ones."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An error answer of the venue."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.answer = Answer(status, f'{{"code":{code},"msg":"{message}"}}')


class Weights:
    """Request weight used in the running minute of the wall clock."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._minute = -1
        self.used = 0

    def spend(self, weight: int) -> float | None:
        """Count a request. Returns the seconds to wait when the budget is spent, else None."""
        now = self._clock_ms()
        minute = now // 60_000
        if minute != self._minute:
            self._minute, self.used = minute, 0
        self.used += weight
        return (60_000 - now % 60_000) / 1_000 if self.used > WEIGHT_LIMIT else None


class Rest:
    """Answers GET requests out of a history.

    Args:
        history: the market, with its own idea of the time.
        wall_ms: wall clock in milliseconds, for the request budget.
        told_off_ms: what the time that is told is off by.
    """

    def __init__(self, history: History, wall_ms: Callable[[], int], told_off_ms: Callable[[], int] = lambda: 0) -> None:
        self._history = history
        self._told_off_ms = told_off_ms
        self.weights = Weights(wall_ms)

    async def answer(self, target: str) -> Answer:
        """Answer one request target, such as ``/fapi/v1/klines?symbol=BTCUSDT&interval=1m``."""
        parts = urlsplit(target)
        name = parts.path.removeprefix(PREFIX)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        wait = self.weights.spend(_weight(name, query))
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.weights.used)}
        if wait is not None:
            body = (
                '{"code":-1003,"msg":"Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute. '
                'Please use the websocket for live updates to avoid polling the API."}'
            )
            return Answer(429, body, {**headers, "Retry-After": str(max(1, round(wait + 0.5)))})
        try:
            return Answer(200, await self._body(name, query), headers)
        except Refusal as refusal:
            return Answer(refusal.answer.status, refusal.answer.body, headers)

    async def _body(self, name: str, query: Mapping[str, str]) -> str:
        match name:
            case "ping":
                return "{}"
            case "time":
                return f'{{"serverTime":{self._history.now_ms() + self._told_off_ms()}}}'
            case "exchangeInfo":
                return exchange_info(self._history.instruments(), self._history.now_ms() + self._told_off_ms())
            case "aggTrades":
                return self._agg_trades(query)
            case "klines":
                return await self._klines(query, self._instrument(query, "symbol"), shortest_ms=INTERVALS["1m"])
            case "continuousKlines":
                instrument = self._instrument(query, "pair")
                if _mandatory(query, "contractType") != "PERPETUAL":
                    raise Refusal(-4039, "Invalid contract type.")
                return await self._klines(query, instrument, shortest_ms=INTERVALS["1s"])
            case "trades":
                return self._recent_trades(query)
            case _ if name in _TICKER_WEIGHTS:
                return await self._ticker(name, query)
        raise Refusal(-5000, f"Path {name if name.startswith('/') else PREFIX + name}, Method GET is invalid", status=404)

    async def _ticker(self, name: str, query: Mapping[str, str]) -> str:
        """About one symbol, or a list of all about which there is anything to tell."""
        tell = self._day if name == "ticker/24hr" else self._quote if name == "ticker/bookTicker" else self._price
        if "symbol" in query:
            told = await tell(self._instrument(query, "symbol"))
            if told is None:
                raise Refusal(-1121, "Invalid symbol.")
            return told
        return f"[{','.join([told for one in self._history.instruments() if (told := await tell(one)) is not None])}]"

    async def _price(self, instrument: Instrument) -> str | None:
        last = self._history.newest(instrument.symbol, self._history.now_ms(), 1)
        return tickers.price(instrument, last) if len(last) else None

    async def _quote(self, instrument: Instrument) -> str | None:
        last = self._history.quote(instrument.symbol)
        return None if last is None else tickers.quote(instrument, last)

    async def _day(self, instrument: Instrument) -> str | None:
        now, minute = self._history.now_ms(), INTERVALS["1m"]
        start, hour = tickers.day_start_ms(now), now // HOUR_MS
        # of the running hour what had been traded by `now`, however long the rest takes
        running = self._history.oldest(instrument.symbol, hour * HOUR_MS, now, _LARGEST)
        last = self._history.newest(instrument.symbol, now, 1)
        parts = []
        for whole in range(start // HOUR_MS, hour):
            await asyncio.sleep(0)
            parts.append(self._history.candles(instrument.symbol, minute, whole))
        minutes = merged([*parts, from_trades(running, minute)], minute)
        minutes = minutes.where(minutes.open_ms >= start)
        return tickers.day(instrument, minutes, last) if len(minutes) and len(last) else None

    def _recent_trades(self, query: Mapping[str, str]) -> str:
        instrument = self._instrument(query, "symbol")
        limit = _limit(query, TRADES_LIMIT)
        # each aggregate trade is at least one fill
        return tickers.recent_trades(instrument, self._history.newest(instrument.symbol, self._history.now_ms(), limit), limit)

    def _instrument(self, query: Mapping[str, str], name: str) -> Instrument:
        instrument = self._history.instrument(_mandatory(query, name))
        if instrument is None:
            raise Refusal(-1121, "Invalid symbol.")
        return instrument

    def _agg_trades(self, query: Mapping[str, str]) -> str:
        instrument = self._instrument(query, "symbol")
        symbol = instrument.symbol
        limit = _limit(query, AGG_TRADES_LIMIT)
        start, end, from_id = (_integer(query, name) for name in ("startTime", "endTime", "fromId"))
        now = self._history.now_ms()
        if from_id is not None:
            if start is not None or end is not None:
                raise Refusal(-1128, "Combination of optional parameters invalid.")
            trades = self._history.from_id(symbol, from_id, limit)
            if len(trades) and trades.time_ms[0] < now - _AGG_TRADES_KEPT_MS:
                raise Refusal(-4166, "Search window is restricted to recent 2 days only.")
        elif start is not None:
            _check_order(start, end)
            if end is not None and end - start >= HOUR_MS:
                raise Refusal(-1127, "Lookup interval is too big. More than 1 hours between startTime and endTime.")
            if start < now - _AGG_TRADES_KEPT_MS:
                raise Refusal(-4166, "Search window is restricted to recent 2 days only.")
            trades = self._history.oldest(symbol, start, start + HOUR_MS - 1 if end is None else end, limit)
        else:
            trades = self._history.newest(symbol, now if end is None else end, limit)
        return frames.agg_trade_rows(instrument, trades)

    async def _klines(self, query: Mapping[str, str], instrument: Instrument, *, shortest_ms: int) -> str:
        interval_ms = INTERVALS.get(_mandatory(query, "interval"))
        if interval_ms is None or interval_ms < shortest_ms:
            raise Refusal(-1120, "Invalid interval.")
        limit = _limit(query, KLINES_LIMIT)
        start, end = _integer(query, "startTime"), _integer(query, "endTime")
        _check_order(start, end)
        last = bucket_ms(min(self._history.now_ms(), self._history.now_ms() if end is None else end), interval_ms)
        earliest = bucket_ms(self._history.first_hour(instrument.symbol) * HOUR_MS, interval_ms)
        if start is None:
            first = max(last - (limit - 1) * interval_ms, earliest)
        else:
            first = max(bucket_ms(start + interval_ms - 1, interval_ms), earliest)
            last = min(last, first + (limit - 1) * interval_ms)
        return frames.kline_rows(instrument, interval_ms, await candles(self._history, instrument.symbol, interval_ms, first, last))


async def candles(history: History, symbol: str, interval_ms: int, first_ms: int, last_ms: int) -> Candles:
    """Candles that open from ``first_ms`` to ``last_ms``, without holes, as far as the market's time has come.

    Gives way to other work after every hour of trades.
    """
    parts = [history.candles(symbol, interval_ms, first_ms // HOUR_MS)]
    for hour in range(first_ms // HOUR_MS + 1, (last_ms + interval_ms - 1) // HOUR_MS + 1):
        if hour * HOUR_MS > history.now_ms():
            break
        await asyncio.sleep(0)
        parts.append(history.candles(symbol, interval_ms, hour))
    found = merged(parts, interval_ms)
    found = found.where((found.open_ms >= first_ms) & (found.open_ms <= last_ms))
    if last_ms < first_ms or len(found) == (last_ms - first_ms) // interval_ms + 1:
        return found
    return filled(found, interval_ms, first_ms, last_ms, history.close_before(symbol, first_ms))


def _weight(name: str, query: Mapping[str, str]) -> int:
    if name == "aggTrades":
        return AGG_TRADES_WEIGHT
    if name in {"klines", "continuousKlines"}:
        text = query.get("limit", str(_DEFAULT_LIMIT))
        limit = int(text) if _INTEGER.fullmatch(text) else _DEFAULT_LIMIT
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10
    if name == "trades":
        return TRADES_WEIGHT
    one, every = _TICKER_WEIGHTS.get(name, (1, 1))
    return one if "symbol" in query else every


def _mandatory(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "")
    if not value:
        raise Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def _integer(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if _INTEGER.fullmatch(text) is None:
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return min(int(text), _LARGEST)


def _limit(query: Mapping[str, str], most: int) -> int:
    limit = _integer(query, "limit")
    if limit is None:
        return _DEFAULT_LIMIT
    if not 1 <= limit <= most:
        raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    return limit


def _check_order(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and start > end:
        raise Refusal(-1023, "Start time is greater than end time.")
