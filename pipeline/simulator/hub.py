"""Who listens to what: the connections of a simulator and the delivery of frames to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import ServerConnection

from pipeline.simulator.frames import wrapped
from pipeline.simulator.session import Session
from pipeline.simulator.streams import Route

_log = logging.getLogger(__name__)

_FULL = 1 << 20
_HOPELESS = 1 << 26


class Hub:
    """Connections, indexed by the streams that they hear."""

    def __init__(self) -> None:
        self._clients: dict[ServerConnection, Session] = {}
        self._listeners: dict[str, list[tuple[ServerConnection, Session]]] = {}
        self.changed_s = 0.0
        """When subscriptions last changed, by the monotonic clock."""
        self.ended: str | None = None
        """What every connection is told when it subscribes after the end of a replay."""

    def join(self, connection: ServerConnection, session: Session) -> None:
        """Add a connection."""
        self._clients[connection] = session
        self.reindex()

    def leave(self, connection: ServerConnection) -> None:
        """Remove a connection."""
        self._clients.pop(connection, None)
        self.reindex()

    def reindex(self) -> None:
        """Take note of changed subscriptions."""
        self.changed_s = time.monotonic()
        self._listeners = {}
        for connection, session in self._clients.items():
            for stream in session.streams:
                if session.route.delivers(stream) and stream not in session.silent:
                    self._listeners.setdefault(stream, []).append((connection, session))

    def wanted(self) -> Iterable[str]:
        """Names of the streams that somebody hears."""
        return self._listeners.keys()

    def routes(self) -> set[Route]:
        """Routes on which somebody has subscribed to something."""
        return {session.route for session in self._clients.values() if session.streams}

    def deliver(self, stream: str, data: str) -> None:
        """Send a message, given in its bare form, to everyone who hears its stream, each in the form of its connection."""
        self.deliver_both(stream, data, None)

    def deliver_both(self, stream: str, data: str | bytes, whole: str | bytes | None) -> None:
        """The same, with the combined form at hand (as recorded)."""
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        bare = [connection for connection, session in listeners if not session.combined]
        combined = [connection for connection, session in listeners if session.combined]
        if bare:
            broadcast(bare, data, text=True)
        if combined:
            broadcast(combined, whole if whole is not None else wrapped(stream, str(data)), text=True)

    def deliver_all(self, text: str) -> None:
        """Send a text to every connection."""
        broadcast(list(self._clients), text)

    async def room(self) -> None:
        """Wait until no connection has more than a megabyte waiting to be read; a closed one does not count."""
        while any(  # noqa: ASYNC110  buffers have no event
            connection.transport.get_write_buffer_size() > _FULL for connection in self._clients
        ):
            await asyncio.sleep(0.002)

    def drop_hopeless(self) -> None:
        """Cut connections that have stopped reading, as the venue does."""
        for connection in list(self._clients):
            if connection.transport.get_write_buffer_size() > _HOPELESS:
                _log.warning("simulator.slow_client_cut", extra={"client": str(connection.remote_address)})
                connection.transport.abort()
