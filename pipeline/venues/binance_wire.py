"""Binance USD-M stream messages as typed structures: the first half of decoding, shared by one-by-one and bulk decoding.

A message is *wrapped* when it has a text ``stream`` and a ``data`` (combined streams), and *bare*
otherwise. ``e`` names its type. Fields that are not listed here are skipped, though the whole text must
be JSON. Numbers and names are judged when a structure becomes an event, see `pipeline.venues.plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct
from msgspec.json import Decoder

from pipeline.errors import MalformedMessage
from pipeline.model.event import Kline, Quote, Trade, TradeKind, Unused
from pipeline.venues.plain import require_amount, require_price, require_symbol

INT64_MAX: Final = 2**63 - 1

Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""An id, a count or a time: an integer from 0 to the largest int64."""
OptionalId = Annotated[int, Meta(ge=-1, le=INT64_MAX)]
"""An id, or -1 where a kline has no trade."""

USD_MARGINED: Final = 1
"""``st`` of USD-M contracts; streams of all symbols merge in the coin-margined ones, which have 2."""


def other_market(name: str, st: int) -> Unused:
    """What a message of another market than USD-M becomes."""
    return Unused(f"{name} (st {st})")


class AggTrade(
    Struct,
    frozen=True,
    gc=False,
    tag_field="e",
    tag="aggTrade",
    rename={
        "symbol": "s",
        "trade_id": "a",
        "price": "p",
        "qty": "q",
        "first_id": "f",
        "last_id": "l",
        "event_time_ms": "T",
        "buyer_is_maker": "m",
    },
):
    """Fills of one taking order at one price, merged by the venue."""

    symbol: str
    trade_id: Count
    price: str
    qty: str
    first_id: Count
    last_id: Count
    event_time_ms: Count
    buyer_is_maker: bool
    st: int = USD_MARGINED

    def event(self, recv_ns: int) -> Trade | Unused:
        """The event.

        Raises:
            MalformedMessage: when a value is out of bounds.
        """
        if self.st != USD_MARGINED:
            return other_market("aggTrade", self.st)
        require_symbol(self.symbol)
        require_price(self.price, "price")
        require_price(self.qty, "quantity")
        if self.last_id < self.first_id:
            msg = f"trade ids {self.first_id}..{self.last_id} run backwards"
            raise MalformedMessage(msg)
        return Trade(
            self.symbol,
            self.trade_id,
            self.price,
            self.qty,
            self.event_time_ms,
            recv_ns,
            self.buyer_is_maker,
            self.first_id,
            self.last_id,
            TradeKind.AGGREGATE,
        )


class RawTrade(
    Struct,
    frozen=True,
    gc=False,
    tag_field="e",
    tag="trade",
    rename={
        "symbol": "s",
        "trade_id": "t",
        "price": "p",
        "qty": "q",
        "event_time_ms": "T",
        "buyer_is_maker": "m",
        "origin": "X",
    },
):
    """One fill. ``origin`` is MARKET, or INSURANCE_FUND, ADL, NA for prints that are not market trades."""

    symbol: str
    trade_id: Count
    price: str
    qty: str
    event_time_ms: Count
    buyer_is_maker: bool
    origin: str = "MARKET"
    st: int = USD_MARGINED

    def event(self, recv_ns: int) -> Trade | Unused:
        """The event.

        Raises:
            MalformedMessage: when a value is out of bounds.
        """
        if self.st != USD_MARGINED:
            return other_market("trade", self.st)
        require_symbol(self.symbol)
        require_price(self.price, "price")
        require_price(self.qty, "quantity")
        return Trade(
            self.symbol,
            self.trade_id,
            self.price,
            self.qty,
            self.event_time_ms,
            recv_ns,
            self.buyer_is_maker,
            self.trade_id,
            self.trade_id,
            TradeKind.RAW,
            market=self.origin == "MARKET",
        )


class BookTicker(
    Struct,
    frozen=True,
    gc=False,
    tag_field="e",
    tag="bookTicker",
    rename={
        "symbol": "s",
        "update_id": "u",
        "bid": "b",
        "bid_qty": "B",
        "ask": "a",
        "ask_qty": "A",
        "event_time_ms": "T",
    },
):
    """Best bid and ask."""

    symbol: str
    update_id: Count
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str
    event_time_ms: Count
    st: int = USD_MARGINED

    def event(self, recv_ns: int) -> Quote | Unused:
        """The event.

        Raises:
            MalformedMessage: when a value is out of bounds.
        """
        if self.st != USD_MARGINED:
            return other_market("bookTicker", self.st)
        require_symbol(self.symbol)
        require_price(self.bid, "bid")
        require_price(self.bid_qty, "bid quantity")
        require_price(self.ask, "ask")
        require_price(self.ask_qty, "ask quantity")
        return Quote(self.symbol, self.update_id, self.bid, self.bid_qty, self.ask, self.ask_qty, self.event_time_ms, recv_ns)


class Candle(
    Struct,
    frozen=True,
    gc=False,
    rename={
        "symbol": "s",
        "interval": "i",
        "open_time_ms": "t",
        "close_time_ms": "T",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "quote_volume": "q",
        "trades": "n",
        "taker_buy_volume": "V",
        "taker_buy_quote_volume": "Q",
        "first_id": "f",
        "last_id": "L",
        "closed": "x",
    },
):
    """The ``k`` of a kline message."""

    symbol: str
    interval: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}[smhdwM]\Z")]
    open_time_ms: Count
    close_time_ms: Count
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: Count
    taker_buy_volume: str
    taker_buy_quote_volume: str
    first_id: OptionalId
    last_id: OptionalId
    closed: bool


class KlineMessage(Struct, frozen=True, gc=False, tag_field="e", tag="kline", rename={"candle": "k"}):
    """A candlestick of the venue's own making."""

    candle: Candle
    st: int = USD_MARGINED

    def event(self, _recv_ns: int) -> Kline | Unused:
        """The event.

        Raises:
            MalformedMessage: when a value is out of bounds.
        """
        if self.st != USD_MARGINED:
            return other_market("kline", self.st)
        k = self.candle
        require_symbol(k.symbol)
        for name in ("open", "high", "low", "close"):
            require_price(getattr(k, name), name)
        for name in ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"):
            require_amount(getattr(k, name), name)
        return Kline(
            symbol=k.symbol,
            interval=k.interval,
            open_time_ms=k.open_time_ms,
            close_time_ms=k.close_time_ms,
            open=k.open,
            high=k.high,
            low=k.low,
            close=k.close,
            volume=k.volume,
            quote_volume=k.quote_volume,
            trades=k.trades,
            taker_buy_volume=k.taker_buy_volume,
            taker_buy_quote_volume=k.taker_buy_quote_volume,
            first_id=k.first_id,
            last_id=k.last_id,
            closed=k.closed,
        )


class DepthUpdate(Struct, frozen=True, gc=False, tag_field="e", tag="depthUpdate"):
    """An order-book difference, which nothing here uses; frequent, hence recognised without a second look."""

    def event(self, _recv_ns: int) -> Unused:
        """The event."""
        return _DEPTH_UPDATE


_DEPTH_UPDATE: Final = Unused("depthUpdate")

Wire: TypeAlias = AggTrade | RawTrade | BookTicker | KlineMessage | DepthUpdate
"""Every message type that has a structure of its own."""

STRUCTURED: Final = frozenset({"aggTrade", "trade", "bookTicker", "kline", "depthUpdate"})
UNUSED: Final = frozenset(
    {
        "markPriceUpdate",
        "24hrTicker",
        "24hrMiniTicker",
        "forceOrder",
        "continuous_kline",
        "indexPriceUpdate",
        "indexPrice_kline",
        "markPrice_kline",
        "compositeIndex",
        "contractInfo",
        "assetIndexUpdate",
        "tradingSession",
        # streams of all symbols, whose data is a list
        "!ticker@arr",
        "!miniTicker@arr",
        "!markPrice@arr",
        "!markPrice@arr@1s",
        "!forceOrder@arr",
    },
)
"""Known types that nothing here uses."""


class Wrapped(Struct, frozen=True, gc=False):
    """A message of a combined stream. A text in ``e`` beside them means that the message is bare after all."""

    stream: str
    data: Wire
    e: None = None


decode_bare: Final[Callable[[bytes], Wire]] = Decoder(Wire).decode
decode_wrapped: Final[Callable[[bytes], Wrapped]] = Decoder(Wrapped).decode
