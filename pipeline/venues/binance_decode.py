"""One raw Binance message in, one event out.

`parse` goes as far as a typed structure where there is one (bulk decoding turns those into columns);
`decode` goes on to the event.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pipeline.errors import MalformedMessage
from pipeline.model.event import (
    Clock,
    ClockOffset,
    ConnectionSeen,
    Control,
    End,
    Event,
    Own,
    Shutdown,
    StreamSeen,
    Unknown,
    Unused,
)
from pipeline.venues.binance_wire import STRUCTURED, UNUSED, Count, Wire, decode_bare, decode_wrapped

_OWN: Final = re.compile(r"sw\.([a-z][a-z0-9_.-]{0,60})")
_EXCERPT: Final = 120
_NAME_LENGTH: Final = 60

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for text that is not the JSON expected."""


class _Envelope(Struct, gc=False):
    """The members that tell what a message is, whatever their types."""

    e: object = UNSET
    stream: object = UNSET
    data: Raw | UnsetType = UNSET
    id: object = UNSET
    result: object = UNSET
    error: object = UNSET
    code: object = UNSET
    msg: object = UNSET
    last_update_id: object = msgspec.field(default=UNSET, name="lastUpdateId")
    open_interest: object = msgspec.field(default=UNSET, name="openInterest")


class _Seen(Struct, gc=False):
    n: Count
    last_ns: Count | None = None


class _Connection(Struct, gc=False):
    route: str
    state: str
    since_ns: Count


class _Offset(Struct, gc=False):
    offset_ms: Annotated[float, Meta(ge=-1e15, le=1e15)]
    rtt_ms: Annotated[float, Meta(ge=0, le=1e15)]
    at_ns: Count


class _Lost(Struct, gc=False):
    lines: Count


class _ClockLine(Struct, gc=False):
    connected: bool
    streams: dict[str, _Seen] = {}
    conns: list[_Connection] = []
    reconnects: Count = 0
    clock: _Offset | None = None
    lost: _Lost | None = None
    buffered: Count = 0
    waiting: Count = 0
    journal: str | None = None


class _ShutdownMessage(Struct, gc=False):
    event_time_ms: Count = msgspec.field(name="E")


# msgspec copies an empty default, so that the two above are not shared.
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_clock = msgspec.json.Decoder(_ClockLine).decode
_decode_shutdown = msgspec.json.Decoder(_ShutdownMessage).decode


def decode(text: bytes | str, recv_ns: int) -> Event:
    """Decode one raw JSON message, wrapped in a combined stream's envelope or bare.

    ``recv_ns`` is the time of receipt in nanoseconds since the epoch; it is passed on, never used in
    place of the venue's own time.

    Raises:
        MalformedMessage: when the text is not JSON, or a value of a known type is missing, of the
            wrong type or out of bounds.
    """
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    try:
        message = parse(raw, recv_ns)
        return message.event(recv_ns) if isinstance(message, Wire) else message
    except MalformedMessage as error:
        msg = f"malformed message: {error}; in {raw[:_EXCERPT]!r}"
        raise MalformedMessage(msg) from None


def parse(raw: bytes, recv_ns: int) -> Wire | Event:
    """The structure of a trade, quote, kline or depth message; of any other the event itself.

    Raises:
        MalformedMessage: as `decode` does, save that the values inside a structure are not judged yet.
    """
    try:
        if not raw.isascii():
            raw.decode()  # the decoders do not look at the encoding of what they skip
        return decode_bare(raw) if raw.startswith(b'{"e"') else decode_wrapped(raw).data
    except UNDECODABLE:
        # Rare messages end here as well as broken ones.
        return _parse_rare(raw, recv_ns)


def _parse_rare(raw: bytes, recv_ns: int) -> Wire | Event:
    try:
        raw.decode()
        envelope = _decode_envelope(raw)
        if isinstance(envelope.e, str):
            own = envelope.e.startswith("sw.")
            return _own(envelope.e, raw, recv_ns) if own else _by_type(envelope.e, raw, recv_ns)
        if isinstance(envelope.stream, str) and not isinstance(envelope.data, UnsetType):
            return _wrapped(envelope.stream, bytes(envelope.data), recv_ns)
        return _without_type(envelope)
    except UNDECODABLE as error:
        msg = f"not a JSON object of the expected form ({error})"
        raise MalformedMessage(msg) from None


def _wrapped(stream: str, raw: bytes, recv_ns: int) -> Wire | Event:
    if raw.startswith(b"["):
        return _named(stream)
    envelope = _decode_envelope(raw)
    if not isinstance(envelope.e, str):
        return _without_type(envelope)
    # A line of our own never comes wrapped, so a venue's "sw." here is only an unknown type.
    return _by_type(envelope.e, raw, recv_ns)


def _by_type(name: str, raw: bytes, recv_ns: int) -> Wire | Event:
    if name in STRUCTURED:
        return decode_bare(raw)
    if name == "replayEnd":
        return End(recv_ns)
    if name == "serverShutdown":
        return Shutdown(_decode_shutdown(raw).event_time_ms)
    return _named(name)


def _named(name: str) -> Event:
    return Unused(name) if name in UNUSED else Unknown(name[:_NAME_LENGTH])


def _own(name: str, raw: bytes, recv_ns: int) -> Event:
    match = _OWN.fullmatch(name)
    if match is None:
        msg = f"{name[:_NAME_LENGTH]!r} is not a name of our own lines"
        raise MalformedMessage(msg)
    if name == "sw.clock":
        line = _decode_clock(raw)
        return Clock(
            recv_ns=recv_ns,
            connected=line.connected,
            streams=len(line.streams),
            seen=tuple(StreamSeen(stream, seen.n, seen.last_ns) for stream, seen in line.streams.items()),
            connections=tuple(ConnectionSeen(item.route, item.state, item.since_ns) for item in line.conns),
            reconnects=line.reconnects,
            offset=None if (clock := line.clock) is None else ClockOffset(clock.offset_ms, clock.rtt_ms, clock.at_ns),
            lost_lines=0 if line.lost is None else line.lost.lines,
            buffered_bytes=line.buffered,
            waiting_frames=line.waiting,
            journal_fault=line.journal,
        )
    return End(recv_ns) if name == "sw.end" else Own(match[1], raw, recv_ns)


def _without_type(envelope: _Envelope) -> Event:
    """Answers to commands, and REST answers that recordings have between the messages."""
    request_id = envelope.id if isinstance(envelope.id, int) and not isinstance(envelope.id, bool) else None
    if isinstance(envelope.error, dict):
        return Control(request_id, _refusal(envelope.error.get("code"), envelope.error.get("msg")))
    if isinstance(envelope.code, int) and isinstance(envelope.msg, str):
        return Control(request_id, _refusal(envelope.code, envelope.msg))
    if envelope.result is not UNSET and envelope.id is not UNSET:
        return Control(request_id, None)
    if envelope.last_update_id is not UNSET:
        return Unused("depthSnapshot")
    if envelope.open_interest is not UNSET:
        return Unused("openInterest")
    return Unknown("(no type)")


def _refusal(code: object, text: object) -> str:
    return f"{code}: {str(text)[:200]}"
