"""Binance USD-M Futures: everything the platform needs to know about this venue. The module is a `Venue`.

Market data comes over two connections: trades and klines on the route ``market``, book tickers on
``public``. The un-routed path acknowledges subscriptions and then stays silent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from pipeline.errors import UsageError
from pipeline.model.event import Trade, TradeKind
from pipeline.model.pair import parse_symbol
from pipeline.venues.binance_decode import decode
from pipeline.venues.binance_rest import (
    agg_trades_between,
    agg_trades_from,
    continuous_klines,
    exchange_info,
    klines,
    parse_agg_trades,
    parse_exchange_info,
    parse_klines,
    parse_server_time,
    ping,
    server_time,
    used_weight,
)
from pipeline.venues.bulk import decode_batch
from pipeline.venues.rest import classify_status

__all__ = [
    "MARKET",
    "NAME",
    "PUBLIC",
    "agg_trades_between",
    "agg_trades_from",
    "aggregate_trade_line",
    "aggtrade_stream",
    "classify_status",
    "continuous_klines",
    "decode",
    "decode_batch",
    "encode_trade",
    "exchange_info",
    "kline_stream",
    "klines",
    "list_subscriptions",
    "parse_agg_trades",
    "parse_exchange_info",
    "parse_klines",
    "parse_server_time",
    "ping",
    "quote_stream",
    "raw_trade_stream",
    "route",
    "server_time",
    "stream_of",
    "subscribe",
    "symbol_of",
    "trade_stream",
    "unsubscribe",
    "used_weight",
]

NAME: Final = "binance"
MARKET: Final = "market"
PUBLIC: Final = "public"

_PUBLIC_STREAMS: Final = re.compile(r"(?:!|[^@!]+@)(?:bookTicker|depth[0-9]*|rpiDepth)(?:@.*)?")
_STREAM: Final = re.compile(rb'\{"stream":"([^"\\]{1,80})"')
_EVENT: Final = re.compile(rb'\{"e":"(aggTrade|trade|bookTicker)".*?"s":"([A-Z0-9_]{2,30})"')


def aggtrade_stream(symbol: str) -> str:
    """Aggregate trades of a symbol, such as ``btcusdt@aggTrade``."""
    return f"{parse_symbol(symbol).lower()}@aggTrade"


def raw_trade_stream(symbol: str) -> str:
    """Single fills of a symbol, such as ``btcusdt@trade``."""
    return f"{parse_symbol(symbol).lower()}@trade"


def trade_stream(symbol: str, kind: TradeKind) -> str:
    """The trade stream of a symbol, of the given kind."""
    return aggtrade_stream(symbol) if kind is TradeKind.AGGREGATE else raw_trade_stream(symbol)


def quote_stream(symbol: str) -> str:
    """Best bid and ask of a symbol, such as ``btcusdt@bookTicker``."""
    return f"{parse_symbol(symbol).lower()}@bookTicker"


def kline_stream(symbol: str, interval: str) -> str:
    """Candlesticks of a symbol, such as ``btcusdt@kline_1m``."""
    return f"{parse_symbol(symbol).lower()}@kline_{interval}"


def route(stream: str) -> str:
    """Which connection carries a stream: ``market`` or ``public``."""
    return PUBLIC if _PUBLIC_STREAMS.fullmatch(stream) else MARKET


def symbol_of(stream: str) -> str | None:
    """The symbol that a stream is about, None for a stream of all symbols."""
    name, at, _ = stream.partition("@")
    return name.upper() if at and not name.startswith("!") else None


def stream_of(message: bytes) -> str | None:
    """The stream that a raw message came on, by a look at its beginning; None when that does not tell (not trade or quote, or odd).

    Cheap, for counting on the way into the journal: it judges nothing.
    """
    match = _STREAM.match(message)
    if match is not None:
        return match[1].decode(errors="replace")
    match = _EVENT.match(message)
    return None if match is None else f"{match[2].decode().lower()}@{match[1].decode()}"


def subscribe(streams: Sequence[str], request_id: int) -> str:
    """The message that asks for streams; the venue answers with a `Control` of the same id."""
    return _command("SUBSCRIBE", streams, request_id)


def unsubscribe(streams: Sequence[str], request_id: int) -> str:
    """The message that ends streams; the venue answers with a `Control` of the same id."""
    return _command("UNSUBSCRIBE", streams, request_id)


def list_subscriptions(request_id: int) -> str:
    """The message that asks which streams are subscribed."""
    return json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": request_id}, separators=(",", ":"))


def _command(method: str, streams: Sequence[str], request_id: int) -> str:
    if not streams:
        msg = f"{method} needs at least one stream"
        raise UsageError(msg)
    return json.dumps({"method": method, "params": list(streams), "id": request_id}, separators=(",", ":"))


def encode_trade(trade: Trade) -> bytes:
    """A trade as the bare stream message that decodes to it: how trades fetched by REST enter the journal."""
    if trade.kind is TradeKind.AGGREGATE:
        return aggregate_trade_line(
            trade.symbol,
            trade.trade_id,
            trade.price,
            trade.qty,
            first_id=trade.first_id,
            last_id=trade.last_id,
            time_ms=trade.event_time_ms,
            buyer_is_maker=trade.buyer_is_maker,
        )
    common = {"s": trade.symbol, "p": trade.price, "q": trade.qty, "T": trade.event_time_ms, "m": trade.buyer_is_maker}
    return msgspec.json.encode({"e": "trade", "t": trade.trade_id, "X": "MARKET" if trade.market else "NA", **common})


def aggregate_trade_line(
    symbol: str,
    trade_id: int,
    price: str,
    qty: str,
    *,
    first_id: int,
    last_id: int,
    time_ms: int,
    buyer_is_maker: bool,
) -> bytes:
    """One aggregate trade, as REST or an archive tells it, as the bare stream message that enters the journal.

    Written out, since an archive has millions of them: symbol and amounts must have been checked before (`plain.require_symbol`,
    `plain.require_price`). There is no push time (``E``) in it, for nobody pushed it.
    """
    maker = "true" if buyer_is_maker else "false"
    return (
        f'{{"e":"aggTrade","s":"{symbol}","a":{trade_id},"p":"{price}","q":"{qty}","f":{first_id},"l":{last_id},"T":{time_ms},"m":{maker}}}'
    ).encode()
