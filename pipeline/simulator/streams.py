"""Addresses and stream names of the venue's WebSocket: what a path asks for, and which route delivers which stream."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from pipeline.simulator.candles import INTERVALS

_NAME = re.compile(r"!?[A-Za-z0-9_.]{1,40}(@[A-Za-z0-9_@.]{1,40})?")
_STREAM = re.compile(r"([a-z0-9_]{2,30})@(aggTrade|trade|bookTicker|kline_([0-9a-zA-Z]{2,3}))")
_PUBLIC = re.compile(r"(!bookTicker|.*@(bookTicker|depth|rpiDepth).*)")


class Route(StrEnum):
    """The part of the venue that a connection was made to. Addresses without a route still work, without market streams.

    ``private`` is for the events of an account; nobody has one here, so it accepts connections and stays silent.
    """

    MARKET = "market"
    PUBLIC = "public"
    PRIVATE = "private"
    UNROUTED = "unrouted"

    def delivers(self, stream: str) -> bool:
        """Whether a stream subscribed here ever sends anything. The venue acknowledges it either way."""
        if self is Route.PRIVATE:
            return False
        if self is Route.PUBLIC and stream.endswith("@trade"):
            return True  # the venue's documents do not name single fills; clients listen for them on either route
        return (self is not Route.MARKET) is (_PUBLIC.fullmatch(stream) is not None)


class StreamKind(StrEnum):
    """Streams that the simulated market can fill."""

    AGG_TRADE = "aggTrade"
    TRADE = "trade"
    BOOK_TICKER = "bookTicker"
    KLINE = "kline"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream name, taken apart. ``interval`` is set for klines."""

    name: str
    symbol: str
    kind: StreamKind
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """What the path of a connection says."""

    route: Route
    combined: bool
    streams: tuple[str, ...]


def well_formed(name: str) -> bool:
    """Whether the venue would acknowledge a subscription to this name."""
    return _NAME.fullmatch(name) is not None and ("@" in name or name.startswith("!"))


@lru_cache(maxsize=4096)
def parse_stream(name: str) -> Stream | None:
    """Take apart the name of a stream that we can fill; None for every other."""
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    symbol, kind, interval = match[1].upper(), match[2], match[3]
    if interval is None:
        return Stream(name, symbol, StreamKind(kind))
    return Stream(name, symbol, StreamKind.KLINE, interval) if interval in INTERVALS and interval != "1s" else None


def parse_address(target: str) -> Address | None:
    """Read ``/market/ws[/<stream>...]`` and ``/market/stream[?streams=a/b]``, the same for the other routes and without one.

    Returns:
        None when the venue has no such path.
    """
    parts = urlsplit(target)
    steps = [step for step in parts.path.split("/") if step]
    route = Route.UNROUTED
    if steps and steps[0] in {Route.MARKET, Route.PUBLIC, Route.PRIVATE}:
        route = Route(steps.pop(0))
    if not steps:
        return None
    if steps[0] == "ws":
        return Address(route, combined=False, streams=tuple(steps[1:]))
    if steps == ["stream"]:
        wanted = dict(parse_qsl(parts.query)).get("streams", "")
        return Address(route, combined=True, streams=tuple(name for name in wanted.split("/") if name))
    return None
