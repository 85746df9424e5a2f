"""The simulated venue on one port: REST, WebSocket and the data archive, as the shell around the pure parts."""

from __future__ import annotations

import asyncio
import errno
import http
import logging
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pipeline.errors import PortInUse
from pipeline.simulator import archive
from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.hub import Hub
from pipeline.simulator.market import open_market
from pipeline.simulator.rest import Answer, Rest
from pipeline.simulator.session import Session
from pipeline.simulator.streams import parse_address

_log = logging.getLogger(__name__)

_PING_INTERVAL_S = 180.0
_PING_TIMEOUT_S = 600.0
_COMMANDS_A_SECOND = 10
_SLOWEST_ANSWER_S = 300.0


def wall_ms() -> int:
    """Wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


async def serve(
    config: SimulatorConfig,
    stop: asyncio.Event,
    *,
    ready: Callable[[int], None] | None = None,
    clock_ms: Callable[[], int] = wall_ms,
) -> None:
    """Run the simulated venue until ``stop`` is set.

    Args:
        config: where to listen and what to play.
        stop: set it to end.
        ready: called with the port once connections are accepted.
        clock_ms: the time of the synthetic market, in milliseconds; must not run backwards.

    Raises:
        PortInUse: when the port is taken.
        RecordingError: when a recording cannot be read.
        UsageError: when the ledger cannot be used.
        RunError: when the ledger cannot be written any more.
    """
    hub = Hub()
    market = await open_market(config, hub, clock_ms)
    try:
        server = await _listen(_Shell(hub, Rest(market.history, wall_ms), archive.Archive(market.history)), config.host, config.port)
    except BaseException:
        market.close()
        raise
    port = server.sockets[0].getsockname()[1]
    _log.info("simulator.listening", extra={"host": config.host, "port": port, "replay": len(config.replay)})
    feeding = asyncio.create_task(market.run(), name="simulator-feed")
    stopping = asyncio.create_task(stop.wait(), name="simulator-stop")
    try:
        if ready is not None:
            ready(port)
        await asyncio.wait({feeding, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
            await stopping
    finally:
        for task in (feeding, stopping):
            task.cancel()
        await asyncio.gather(feeding, stopping, return_exceptions=True)
        market.close()
        server.close()
        await server.wait_closed()


async def _listen(shell: _Shell, host: str, port: int) -> Server:
    try:
        return await serve_websocket(
            shell.converse,
            host,
            port,
            process_request=shell.process_request,
            compression=None,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            open_timeout=_SLOWEST_ANSWER_S,
            close_timeout=1,
            server_header=None,
            logger=_quiet_logger(),
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        msg = f"port {port} of {host} is in use; stop what uses it or choose another simulator_port"
        raise PortInUse(msg) from error


class _Shell:
    """Connects the WebSocket server to hub, sessions, REST and archive."""

    def __init__(self, hub: Hub, rest: Rest, files: archive.Archive) -> None:
        self._hub = hub
        self._rest = rest
        self._files = files

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain GETs; None lets a WebSocket handshake go on."""
        del connection
        if request.path.startswith("/fapi/"):
            return _response(await self._rest.answer(request.path))
        if request.path.startswith(archive.PREFIX):
            return _file(await self._files.file(request.path))
        if parse_address(request.path) is None:
            return _response(Answer(404, '{"code":-5000,"msg":"Path is invalid"}'))
        return None

    async def converse(self, connection: ServerConnection) -> None:
        """Serve one WebSocket connection until it closes."""
        address = parse_address(connection.request.path) if connection.request else None
        if address is None:
            return
        session = Session.opened(address)
        self._hub.join(connection, session)
        commands: deque[float] = deque(maxlen=_COMMANDS_A_SECOND)
        try:
            await self._tell_end(connection, session)
            async for text in connection:
                now = time.monotonic()
                if len(commands) == _COMMANDS_A_SECOND and now - commands[0] < 1:
                    await connection.close(1008, "Too many requests")
                    return
                commands.append(now)
                answer = session.answer(text)
                self._hub.reindex()
                await connection.send(answer)
                await self._tell_end(connection, session)
        except ConnectionClosed:
            pass  # the client has gone: nothing is owed to it
        finally:
            self._hub.leave(connection)

    async def _tell_end(self, connection: ServerConnection, session: Session) -> None:
        if self._hub.ended is not None and session.streams:
            await connection.send(self._hub.ended)


def _response(answer: Answer) -> Response:
    return _answered(answer.status, answer.body.encode(), "application/json;charset=UTF-8", answer.headers)


def _file(body: bytes | None) -> Response:
    if body is None:
        return _answered(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml", {})
    return _answered(200, body, "application/octet-stream", {})


def _answered(status: int, body: bytes, kind: str, more: dict[str, str]) -> Response:
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **more,
        }
    )
    return Response(status, http.HTTPStatus(status).phrase, headers, body)


def _quiet_logger() -> logging.Logger:
    """Opened and closed connections are no news here, and each REST answer counts as a refused handshake."""
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.ERROR)
    return logger
