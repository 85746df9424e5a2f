"""A hub in which streams can be tapped and single connections silenced. Only made when faults are planned."""

from __future__ import annotations

import time
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection

from pipeline.simulator.faults.connection import BreakableConnection
from pipeline.simulator.faults.plan import Fault
from pipeline.simulator.faults.taps import Frame, Tap
from pipeline.simulator.frames import wrapped
from pipeline.simulator.hub import Hub
from pipeline.simulator.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One connection with what is known of it."""

    connection: BreakableConnection
    session: Session
    since_s: float

    @property
    def name(self) -> str:
        """How to call it in a log line: where it comes from, by which route."""
        address = self.connection.remote_address
        return f"{self.session.route.value}:{address[1] if address else '?'}"


class TappedHub(Hub):
    """Connections and streams as a plan of faults sees them."""

    def __init__(self) -> None:
        super().__init__()
        self._taps: dict[str, list[Tap]] = {}
        self._known: dict[ServerConnection, Client] = {}

    def join(self, connection: ServerConnection, session: Session) -> None:
        """Add a connection."""
        if isinstance(connection, BreakableConnection):
            self._known[connection] = Client(connection, session, time.monotonic())
        super().join(connection, session)

    def leave(self, connection: ServerConnection) -> None:
        """Remove a connection."""
        self._known.pop(connection, None)
        super().leave(connection)

    def clients(self, fault: Fault) -> list[Client]:
        """Connections that a fault is about, oldest first; with no narrowing, those too that have subscribed to nothing."""
        return [client for client in self._known.values() if self._concerns(fault, client)]

    def here(self, client: Client) -> bool:
        """Whether a connection is still open."""
        return client.connection in self._known

    def streams(self, fault: Fault, *, of_trades: bool = False) -> list[str]:
        """Streams that somebody hears and that a fault is about, by name."""
        found = {
            stream
            for client in self._known.values()
            if fault.route in {"", client.session.route.value}
            for stream in self._heard_by(client)
            if fault.hears(stream) and (not of_trades or stream.endswith(("@aggTrade", "@trade")))
        }
        return sorted(found)

    def heard(self, fault: Fault) -> list[tuple[Client, str]]:
        """Each stream of each connection that a fault is about."""
        return [
            (client, stream)
            for client in self._known.values()
            if fault.route in {"", client.session.route.value}
            for stream in sorted(self._heard_by(client))
            if fault.hears(stream)
        ]

    def _concerns(self, fault: Fault, client: Client) -> bool:
        if fault.route not in {"", client.session.route.value}:
            return False
        return not (fault.symbol or fault.stream) or any(fault.hears(stream) for stream in client.session.streams)

    @staticmethod
    def _heard_by(client: Client) -> list[str]:
        session = client.session
        return [stream for stream in session.streams if session.route.delivers(stream) and stream not in session.silent]

    def tap(self, stream: str, tap: Tap) -> None:
        """Do something to a stream from now on."""
        self._taps.setdefault(stream, []).append(tap)

    def deliver_both(self, stream: str, data: str | bytes, whole: str | bytes | None) -> None:
        """Send a message, or what the taps on its stream make of it."""
        taps = self._taps.get(stream)
        if taps is None or stream not in self._listeners:
            super().deliver_both(stream, data, whole)
        else:
            if whole is None:
                whole = wrapped(stream, str(data))
            self._pass(stream, taps, [Frame(data, whole)], time.monotonic())

    def release(self) -> None:
        """Send what taps have held back long enough, and take out those that are over."""
        if not self._taps:
            return
        now_s = time.monotonic()
        for stream, taps in list(self._taps.items()):
            for place, tap in enumerate(taps):
                if frames := tap.due(now_s):
                    self._pass(stream, taps[place + 1 :], frames, now_s)
            left = [tap for tap in taps if not tap.over]
            if left:
                self._taps[stream] = left
            else:
                del self._taps[stream]

    def _pass(self, stream: str, taps: list[Tap], frames: list[Frame], now_s: float) -> None:
        for tap in taps:
            frames = [out for frame in frames for out in tap.feed(frame, now_s)]
        for bare, whole, _ in frames:
            super().deliver_both(stream, bare, whole)
