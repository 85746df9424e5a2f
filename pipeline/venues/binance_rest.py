"""Binance USD-M REST: requests to make, and their answers as events. Nothing here talks to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from pipeline.errors import MalformedMessage, UsageError
from pipeline.model.event import Kline, Trade, TradeKind
from pipeline.model.pair import parse_symbol
from pipeline.venues.binance_wire import Count
from pipeline.venues.plain import is_symbol, require_amount, require_price
from pipeline.venues.rest import ExchangeInfo, Request, SymbolSpec, header

AGG_TRADES_LIMIT: Final = 1_000
KLINES_LIMIT: Final = 1_500
HISTORY_MS: Final = 48 * 3_600_000
"""How far back ``aggTrades`` reaches."""
AGG_TRADES_SPAN_MS: Final = 3_600_000
"""A window of ``aggTrades`` must be shorter than this."""
WEIGHT_PER_MINUTE: Final = 2_400
"""Budget of one address, shared with coin-margined futures."""

_KLINE_WEIGHTS: Final = ((100, 1), (500, 2), (1_001, 5))


def ping() -> Request:
    """Is the venue there?"""
    return Request("/fapi/v1/ping")


def server_time() -> Request:
    """The venue's clock."""
    return Request("/fapi/v1/time")


def exchange_info() -> Request:
    """All symbols with their tick and lot sizes."""
    return Request("/fapi/v1/exchangeInfo")


def agg_trades_from(symbol: str, from_id: int, limit: int = AGG_TRADES_LIMIT) -> Request:
    """Aggregate trades from an id on (inclusive), of the past 48 h.

    Raises:
        UsageError: when an argument is not one that the venue accepts.
    """
    _in_range("limit", limit, 1, AGG_TRADES_LIMIT)
    _in_range("from_id", from_id, 0, None)
    return Request("/fapi/v1/aggTrades", (("symbol", parse_symbol(symbol)), ("fromId", str(from_id)), ("limit", str(limit))), 20)


def agg_trades_between(symbol: str, start_ms: int, end_ms: int, limit: int = AGG_TRADES_LIMIT) -> Request:
    """Aggregate trades of a window of less than an hour, both ends inclusive.

    Raises:
        UsageError: when an argument is not one that the venue accepts.
    """
    _in_range("limit", limit, 1, AGG_TRADES_LIMIT)
    _in_range("start_ms", start_ms, 0, None)
    _in_range("end_ms", end_ms, start_ms, start_ms + AGG_TRADES_SPAN_MS - 1)
    times = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(limit)))
    return Request("/fapi/v1/aggTrades", (("symbol", parse_symbol(symbol)), *times), 20)


def klines(symbol: str, interval: str, start_ms: int, end_ms: int | None = None, limit: int = KLINES_LIMIT) -> Request:
    """Candlesticks that open at or after ``start_ms`` and at or before ``end_ms``, oldest first. Intervals from ``1m``.

    Raises:
        UsageError: when an argument is not one that the venue accepts.
    """
    return _klines("/fapi/v1/klines", (("symbol", parse_symbol(symbol)),), interval=interval, start_ms=start_ms, end_ms=end_ms, limit=limit)


def continuous_klines(symbol: str, interval: str, start_ms: int, end_ms: int | None = None, limit: int = KLINES_LIMIT) -> Request:
    """As `klines`, of the perpetual contract of a pair; intervals from ``1s``.

    Raises:
        UsageError: when an argument is not one that the venue accepts.
    """
    names = (("pair", parse_symbol(symbol)), ("contractType", "PERPETUAL"))
    return _klines("/fapi/v1/continuousKlines", names, interval=interval, start_ms=start_ms, end_ms=end_ms, limit=limit)


def _klines(
    path: str,
    names: tuple[tuple[str, str], ...],
    *,
    interval: str,
    start_ms: int,
    end_ms: int | None,
    limit: int,
) -> Request:
    _in_range("limit", limit, 1, KLINES_LIMIT)
    _in_range("start_ms", start_ms, 0, None)
    params = [*names, ("interval", interval), ("startTime", str(start_ms))]
    if end_ms is not None:
        _in_range("end_ms", end_ms, start_ms, None)
        params.append(("endTime", str(end_ms)))
    params.append(("limit", str(limit)))
    weight = next((weight for below, weight in _KLINE_WEIGHTS if limit < below), 10)
    return Request(path, tuple(params), weight)


def _in_range(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        msg = f"{name} {value} is out of bounds; expected {low} to {'any' if high is None else high}"
        raise UsageError(msg)


class _Time(Struct, gc=False):
    server_time_ms: Count = msgspec.field(name="serverTime")


class _AggTradeRow(Struct, gc=False):
    a: Count
    p: str
    q: str
    f: Count
    l: Count  # noqa: E741 - the venue's name
    T: Count
    m: bool


class _KlineRow(Struct, array_like=True, gc=False):
    open_time_ms: Count
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time_ms: Count
    quote_volume: str
    trades: Count
    taker_buy_volume: str
    taker_buy_quote_volume: str


class _Symbol(Struct, gc=False):
    symbol: str
    status: str
    base: str = msgspec.field(name="baseAsset", default="")
    quote: str = msgspec.field(name="quoteAsset", default="")
    contract_type: str = msgspec.field(name="contractType", default="")
    filters: list[dict[str, object]] = []


class _ExchangeInfo(Struct, gc=False):
    server_time_ms: Count = msgspec.field(name="serverTime")
    symbols: list[_Symbol]


R = TypeVar("R")

_decode_time: Callable[[bytes], _Time] = msgspec.json.Decoder(_Time).decode
_decode_agg_trades: Callable[[bytes], list[_AggTradeRow]] = msgspec.json.Decoder(list[_AggTradeRow]).decode
_decode_klines: Callable[[bytes], list[_KlineRow]] = msgspec.json.Decoder(list[_KlineRow]).decode
_decode_exchange_info: Callable[[bytes], _ExchangeInfo] = msgspec.json.Decoder(_ExchangeInfo).decode


def parse_server_time(body: bytes) -> int:
    """The venue's clock in milliseconds since the epoch.

    Raises:
        MalformedMessage: when the answer is not of the documented form.
    """
    return _checked(_decode_time, body, "time").server_time_ms


def parse_agg_trades(body: bytes, symbol: str, recv_ns: int) -> list[Trade]:
    """The trades of an ``aggTrades`` answer, which does not name its symbol, in the venue's order.

    Raises:
        MalformedMessage: when the answer is not of the documented form or a value is out of bounds.
    """
    found = []
    for row in _checked(_decode_agg_trades, body, "aggTrades"):
        require_price(row.p, "price")
        require_price(row.q, "quantity")
        if row.l < row.f:
            msg = f"aggTrades answer: trade ids {row.f}..{row.l} of trade {row.a} run backwards"
            raise MalformedMessage(msg)
        found.append(Trade(symbol, row.a, row.p, row.q, row.T, recv_ns, row.m, row.f, row.l, TradeKind.AGGREGATE))
    return found


def parse_klines(body: bytes, symbol: str, interval: str, now_ms: int) -> list[Kline]:
    """The candlesticks of a ``klines`` or ``continuousKlines`` answer, oldest first.

    Ids are -1, since REST does not tell them. A candlestick is closed when it ended before ``now_ms``,
    the venue's time at the answer.

    Raises:
        MalformedMessage: when the answer is not of the documented form or a value is out of bounds.
    """
    found = []
    for row in _checked(_decode_klines, body, "klines"):
        for name in ("open", "high", "low", "close"):
            require_price(getattr(row, name), name)
        for name in ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"):
            require_amount(getattr(row, name), name)
        found.append(
            Kline(
                symbol=symbol,
                interval=interval,
                open_time_ms=row.open_time_ms,
                close_time_ms=row.close_time_ms,
                open=row.open,
                high=row.high,
                low=row.low,
                close=row.close,
                volume=row.volume,
                quote_volume=row.quote_volume,
                trades=row.trades,
                taker_buy_volume=row.taker_buy_volume,
                taker_buy_quote_volume=row.taker_buy_quote_volume,
                first_id=-1,
                last_id=-1,
                closed=row.close_time_ms < now_ms,
            ),
        )
    return found


def parse_exchange_info(body: bytes) -> ExchangeInfo:
    """The symbols of an ``exchangeInfo`` answer; those without a usable name, tick or lot size are only named.

    Raises:
        MalformedMessage: when the answer is not of the documented form.
    """
    answer = _checked(_decode_exchange_info, body, "exchangeInfo")
    specs, skipped = [], []
    for item in answer.symbols:
        tick = _filter(item, "PRICE_FILTER", "tickSize")
        lot = _filter(item, "LOT_SIZE", "stepSize")
        if tick is None or lot is None or not is_symbol(item.symbol):
            skipped.append(item.symbol)
        else:
            specs.append(SymbolSpec(item.symbol, item.base, item.quote, item.status, item.contract_type, tick, lot))
    return ExchangeInfo(answer.server_time_ms, tuple(specs), tuple(skipped))


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Weight used in the running minute by this address, as the venue counts it; None when it does not say."""
    text = header(headers, "X-MBX-USED-WEIGHT-1M")
    return int(text[:9]) if text is not None and text.isascii() and text.isdigit() else None


def _filter(item: _Symbol, kind: str, name: str) -> str | None:
    value = next((one.get(name) for one in item.filters if one.get("filterType") == kind), None)
    if not isinstance(value, str):
        return None
    try:
        require_price(value, name)
    except MalformedMessage:
        return None
    return value if value.strip("0.") else None


def _checked(decode: Callable[[bytes], R], body: bytes, what: str) -> R:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{what} answer is not of the documented form ({error}): {body[:80]!r}"
        raise MalformedMessage(msg) from None
