"""What a venue is to the platform, and the list of venues.

A venue is any object, a module as well, that has these names. To add one: write it, and call
`register` before the platform starts; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline.errors import UsageError, VenueError
from pipeline.model.event import Event, Kline, Trade, TradeKind
from pipeline.venues import binance
from pipeline.venues.batch import Batch
from pipeline.venues.rest import ExchangeInfo, Request


class Venue(Protocol):
    """Protocol of one exchange: text in, events out. Pure: no clock, no network."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of a module
        """The name by which the venue is chosen."""

    def decode(self, text: bytes | str, recv_ns: int) -> Event:
        """One raw message to one event; raises MalformedMessage."""

    def decode_batch(self, block: bytes) -> Batch:
        """Journal lines to columns; `pipeline.venues.batch.decode_lines` does it for any ``decode``."""

    def encode_trade(self, trade: Trade) -> bytes:
        """A message that ``decode`` turns back into the trade."""

    def trade_stream(self, symbol: str, kind: TradeKind) -> str:
        """Name of the stream of a symbol's trades."""

    def quote_stream(self, symbol: str) -> str:
        """Name of the stream of a symbol's best bid and ask."""

    def route(self, stream: str) -> str:
        """Which of the venue's connections carries a stream."""

    def symbol_of(self, stream: str) -> str | None:
        """The symbol that a stream is about."""

    def stream_of(self, message: bytes) -> str | None:
        """The stream that a raw message came on, where that is cheap to tell."""

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The message that asks for streams."""

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The message that ends streams."""

    def classify_status(self, status: int, headers: Mapping[str, str], body: bytes | str) -> VenueError | None:
        """What an HTTP answer means; None when it is good."""

    def used_weight(self, headers: Mapping[str, str]) -> int | None:
        """Request weight used in the running minute."""

    def ping(self) -> Request:
        """Is the venue there?"""

    def server_time(self) -> Request:
        """Ask for the venue's clock."""

    def parse_server_time(self, body: bytes) -> int:
        """The venue's clock in milliseconds since the epoch."""

    def exchange_info(self) -> Request:
        """Ask for the symbols."""

    def parse_exchange_info(self, body: bytes) -> ExchangeInfo:
        """The symbols."""

    def agg_trades_from(self, symbol: str, from_id: int, limit: int = ...) -> Request:
        """Ask for trades from an id on."""

    def agg_trades_between(self, symbol: str, start_ms: int, end_ms: int, limit: int = ...) -> Request:
        """Ask for trades of a window, both ends inclusive."""

    def parse_agg_trades(self, body: bytes, symbol: str, recv_ns: int) -> list[Trade]:
        """The trades."""

    def klines(self, symbol: str, interval: str, start_ms: int, end_ms: int | None = None, limit: int = ...) -> Request:
        """Ask for candlesticks."""

    def parse_klines(self, body: bytes, symbol: str, interval: str, now_ms: int) -> list[Kline]:
        """The candlesticks."""


_VENUES: dict[str, Venue] = {binance.NAME: binance}


def register(venue: Venue) -> None:
    """Add a venue under its name, or replace the one of that name."""
    _VENUES[venue.NAME] = venue


def venues() -> tuple[str, ...]:
    """The names of all venues."""
    return tuple(sorted(_VENUES))


def venue(name: str = binance.NAME) -> Venue:
    """The venue of that name.

    Raises:
        UsageError: when there is none.
    """
    try:
        return _VENUES[name]
    except KeyError:
        msg = f"venue {name!r} is not known; expected one of {', '.join(venues())}"
        raise UsageError(msg) from None
