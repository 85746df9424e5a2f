"""One open connection: its receive loop, and the task that does what its session says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from pipeline.capture.intake import Intake
from pipeline.errors import MalformedMessage
from pipeline.model.event import Control, End, Shutdown
from pipeline.venues import Venue
from pipeline.venues.session import Reconnect, Rejected, Resubscribe, Rotate, Session, Subscribe, Unsubscribe

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_SHOWN = 5


class Link:
    """One WebSocket and its session.

    ``attention`` is set when the connection is closed or asks for another one in its place.
    """

    def __init__(self, socket: ClientConnection, route: str, venue: Venue, intake: Intake, session: Session) -> None:
        self.opened_ns = time.time_ns()
        self.closed_ns: int | None = None
        self.messages = 0
        self.superseded = False  # nothing is asked of the venue any more: another connection takes over, or a replay has ended
        self.why_closed = ""
        self.why_retired = ""
        self.attention = asyncio.Event()
        self._route = route
        self._socket = socket
        self._venue = venue
        self._intake = intake
        self._session = session
        self._wake = asyncio.Event()
        # What came before this connection says nothing about it: counting from nought would calm the watchdog of a stream that is silent.
        self._counted = {name: seen.n for name, seen in intake.seen().items()}
        self._driver = asyncio.create_task(self._drive())
        self._receiver = asyncio.create_task(self._receive())

    @property
    def closed(self) -> bool:
        """Whether nothing more can come."""
        return self.closed_ns is not None

    @property
    def proven(self) -> bool:
        """Whether the venue has confirmed every stream, and this connection has delivered."""
        return self.messages > 0 and self._session.live

    @property
    def waiting(self) -> int:
        """Frames received and not yet taken, because the event loop is busy."""
        return len(self._socket.recv_messages.frames)

    def want(self, streams: Iterable[str]) -> None:
        """Carry exactly these streams."""
        self._session.want(streams, time.monotonic())
        self._wake.set()

    def retire(self, why: str) -> None:
        """Ask the keeper for another connection in place of this one."""
        self.why_retired = self.why_retired or why
        self.attention.set()

    async def close(self) -> None:
        """Close; messages that arrive before the venue has confirmed it are still taken."""
        await self._socket.close()
        await self.ended()

    async def ended(self) -> None:
        """Wait for the end of the connection; an error of ours in its tasks comes out here instead of passing for a lost connection."""
        await self._receiver
        with contextlib.suppress(asyncio.CancelledError):
            await self._driver

    async def _receive(self) -> None:
        recv, take = self._socket.recv, self._intake.take
        try:
            while True:
                raw = await recv(decode=False)
                if take(raw):
                    self.messages += 1
                else:
                    self._rare(raw)
        except ConnectionClosed as error:
            self.why_closed = str(error)
        finally:
            self.closed_ns = time.time_ns()
            self._driver.cancel()
            self.attention.set()

    def _rare(self, raw: bytes) -> None:
        """An answer to a command, a notice, a late or an odd message."""
        try:
            event = self._venue.decode(raw, 0)
        except MalformedMessage:
            return  # it is in the journal, and landing counts it
        if isinstance(event, Control):
            self._session.answered(event)
            self._wake.set()
        elif isinstance(event, Shutdown):
            self._session.shutdown_announced()
            self._wake.set()
        elif isinstance(event, End):  # of a replay: silence is what follows, and nothing is to be done about it
            _log.info("the replay has ended", extra={"route": self._route})
            self.superseded = True

    async def _drive(self) -> None:
        """Let the session say what to do, a few times a second and whenever something has changed.

        While another connection is taking over, this one only receives: the two share what is known of silent streams.
        """
        try:
            while True:
                if not self.superseded:
                    await self._act()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _POLL_S)
                self._wake.clear()
        except ConnectionClosed:
            return  # the receive loop says why

    async def _act(self) -> None:
        now = time.monotonic()
        for name, seen in self._intake.seen().items():
            if self._counted.get(name, 0) != seen.n:
                self._counted[name] = seen.n
                self._session.seen(name, now)
        for action in self._session.poll(now):
            match action:
                case Subscribe(request_id, streams):
                    await self._socket.send(self._venue.subscribe(streams, request_id))
                case Unsubscribe(request_id, streams):
                    await self._socket.send(self._venue.unsubscribe(streams, request_id))
                case Resubscribe(streams):
                    _log.info("silent streams subscribed anew", extra=self._facts(streams))
                case Rejected(streams, error):
                    _log.error("venue refused streams", extra=self._facts(streams) | {"why": error})
                case Reconnect(reason) | Rotate(reason):
                    self.retire(reason)

    def _facts(self, streams: tuple[str, ...]) -> dict[str, object]:
        return {"route": self._route, "count": len(streams), "streams": ",".join(streams[:_SHOWN])}
