"""What a venue message says, after decoding: the events that the rest of the platform works with.

Prices and quantities stay the exact decimal text that the venue sent; they become
``DECIMAL(18,8)`` in the store, never a float on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TradeKind(StrEnum):
    """Which of the venue's two trade streams an id belongs to; ids of the two never mix (one kind a profile)."""

    AGGREGATE = "aggTrade"
    RAW = "trade"


@dataclass(frozen=True, slots=True)
class Trade:
    """One aggregate trade, or one raw trade (then ``first_id == last_id == trade_id``).

    ``event_time_ms`` is the matching engine's time (``T``); ``market`` is False for
    insurance-fund and auto-deleveraging prints, which stay out of ticks and bars.
    """

    symbol: str
    trade_id: int
    price: str
    qty: str
    event_time_ms: int
    recv_ns: int
    buyer_is_maker: bool
    first_id: int
    last_id: int
    kind: TradeKind
    market: bool = True


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask after one order-book update (``bookTicker``)."""

    symbol: str
    update_id: int
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str
    event_time_ms: int
    recv_ns: int


@dataclass(frozen=True, slots=True)
class Kline:
    """One candlestick of the exchange's own making, open time first. Times in milliseconds, amounts exact text."""

    symbol: str
    interval: str
    open_time_ms: int
    close_time_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int
    taker_buy_volume: str
    taker_buy_quote_volume: str
    first_id: int
    last_id: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Trade ids of a symbol that are missing between two that came, both ends included. No single message says it; their ids do."""

    gap_id: str
    symbol: str
    first_missing: int
    last_missing: int


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """What capture has seen of one stream: messages since it started, and when the last one came (None: never)."""

    stream: str
    messages: int
    last_ns: int | None


@dataclass(frozen=True, slots=True)
class ConnectionSeen:
    """One connection of capture: its route, its state (``open``, ``connecting``, ``down``) and since when."""

    route: str
    state: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the venue's clock was ahead of ours when it was last asked for the time, at ``at_ns`` by our clock.

    ``offset_ms`` is positive when the venue is ahead; it is right to within half of ``rtt_ms``, the round trip of the question.
    A latency net of it is ``receive time - event time + offset_ms``. It describes; no time is ever altered by it.
    """

    offset_ms: float
    rtt_ms: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A line that capture writes once a second, so that journal time moves when no trade does.

    ``streams`` is the number of streams in ``seen``. ``offset`` is the last measurement of the venue's clock, None before the
    first. ``lost_lines`` were received and could not be kept since capture started, ``buffered_bytes`` wait in memory for the
    journal and ``waiting_frames`` to be taken at all, and ``journal_fault`` says why it cannot be written, None when it can.
    """

    recv_ns: int
    connected: bool
    streams: int
    seen: tuple[StreamSeen, ...] = ()
    connections: tuple[ConnectionSeen, ...] = ()
    reconnects: int = 0
    offset: ClockOffset | None = None
    lost_lines: int = 0
    buffered_bytes: int = 0
    waiting_frames: int = 0
    journal_fault: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The last line of a recording or replay: every bar up to here is complete."""

    recv_ns: int


@dataclass(frozen=True, slots=True)
class Own:
    """A line that Spreadwatch itself put into the journal (``{"e":"sw.<name>",...}``), the clock and end lines aside.

    ``name`` is without the ``sw.``; ``payload`` is the whole JSON text, for its owner to decode.
    """

    name: str
    payload: bytes
    recv_ns: int


@dataclass(frozen=True, slots=True)
class Control:
    """An answer of the venue to a command (subscribe, unsubscribe ...)."""

    request_id: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The venue announces that it will close this connection (``serverShutdown``)."""

    event_time_ms: int


@dataclass(frozen=True, slots=True)
class Unused:
    """A known message that nothing here uses (depth, mark price ...): counted by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed message of a type that we have never heard of: counted, a sample kept."""

    name: str


Event = Trade | Quote | Kline | Clock | End | Own | Control | Shutdown | Unused | Unknown
