"""The simulated venue on one port: REST, WebSocket and the data archive, as the shell around the pure parts."""

from __future__ import annotations

import asyncio
import http
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pipeline.simulator import archive
from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.door import Door
from pipeline.simulator.faults import Plan
from pipeline.simulator.faults.answers import Answers
from pipeline.simulator.faults.clock import VenueClock
from pipeline.simulator.faults.connection import BreakableConnection
from pipeline.simulator.faults.hub import TappedHub
from pipeline.simulator.faults.runner import FaultRunner
from pipeline.simulator.hub import Hub
from pipeline.simulator.market import Market, open_market
from pipeline.simulator.rest import Answer, Rest
from pipeline.simulator.session import Session
from pipeline.simulator.streams import parse_address

_log = logging.getLogger(__name__)

_PING_INTERVAL_S = 180.0
_PING_TIMEOUT_S = 600.0
_COMMANDS_A_SECOND = 10
_SLOWEST_ANSWER_S = 300.0
_STATUSES = frozenset(http.HTTPStatus)


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
    stage = _Stage.of(config.faults, clock_ms)
    market = await open_market(config, stage.hub, stage.clock_ms)
    shell = _Shell(stage.hub, Rest(market.history, wall_ms, stage.told_off_ms), archive.Archive(market.history), stage.answers)
    door = Door(partial(_listen, shell, stage.connection), config.host, config.port)
    try:
        await door.open()
    except BaseException:
        market.close()
        raise
    _log.info("simulator.listening", extra={"host": config.host, "port": door.port, "replay": len(config.replay)})
    tasks = [asyncio.create_task(stop.wait(), name="simulator-stop"), asyncio.create_task(market.run(), name="simulator-feed")]
    if stage.broken is not None:
        tasks.append(asyncio.create_task(stage.broken(market).run(door), name="simulator-faults"))
    try:
        if ready is not None:
            ready(door.port)
        await _until_stopped(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        market.close()
        await door.close()


async def _until_stopped(tasks: list[asyncio.Task[Any]]) -> None:
    """Wait for the first task; the others may end before it, but not fail."""
    stopping, *others = tasks
    while not stopping.done():
        await asyncio.wait({stopping, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in [task for task in others if task.done()]:
            task.result()
            others.remove(task)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The parts that are others when faults are planned."""

    hub: Hub
    clock_ms: Callable[[], int]
    told_off_ms: Callable[[], int]
    connection: type[ServerConnection]
    answers: Answers | None = None
    broken: Callable[[Market], FaultRunner] | None = None

    @classmethod
    def of(cls, plan: Plan | None, clock_ms: Callable[[], int]) -> _Stage:
        if plan is None:
            return cls(Hub(), clock_ms, lambda: 0, ServerConnection)
        hub, clock, answers = TappedHub(), VenueClock(clock_ms), Answers()
        return cls(
            hub,
            clock,
            lambda: clock.told_off_ms,
            BreakableConnection,
            answers,
            lambda market: FaultRunner(plan, hub, market, clock, answers),
        )


async def _listen(shell: _Shell, connection: type[ServerConnection], host: str, port: int) -> Server:
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
        create_connection=connection,
    )


class _Shell:
    """Connects the WebSocket server to hub, sessions, REST and archive."""

    def __init__(self, hub: Hub, rest: Rest, files: archive.Archive, answers: Answers | None) -> None:
        self._hub = hub
        self._rest = rest
        self._files = files
        self._answers = answers

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain GETs; None lets a WebSocket handshake go on."""
        del connection
        if request.path.startswith("/fapi/"):
            error = None if self._answers is None else self._answers.rest(request.path)
            return _response(error or await self._rest.answer(request.path))
        if request.path.startswith(archive.PREFIX):
            return _file(await self._files.file(request.path))
        if parse_address(request.path) is None:
            return _response(Answer(404, '{"code":-5000,"msg":"Path is invalid"}'))
        if self._answers is not None and (error := self._answers.handshake(request.path)) is not None:
            return _response(error)
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
    phrase = http.HTTPStatus(status).phrase if status in _STATUSES else "Error"
    return Response(status, phrase, headers, body)


def _quiet_logger() -> logging.Logger:
    """Opened and closed connections are no news here, and each REST answer counts as a refused handshake."""
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.ERROR)
    return logger
