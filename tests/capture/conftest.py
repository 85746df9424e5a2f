"""A tiny scripted venue on loopback, and what the capture tests share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter, defaultdict
from http import HTTPStatus

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from pipeline.journal import START, JournalReader
from pipeline.model.event import TradeKind
from pipeline.model.universe import Universe
from pipeline.profile import Kind, create_profile, publish_universe
from pipeline.settings import Settings


class Session:
    """One connection to the scripted venue."""

    def __init__(self, socket):
        self.socket = socket
        self.path = socket.request.path
        self.streams = set()
        self.commands = []
        self.times = []  # of the commands
        self.sent = 0


class ScriptedVenue:
    """Speaks just enough of the protocol; what goes wrong is decided by the test."""

    def __init__(self):
        self.sessions = []
        self.ever = []
        self.ids = Counter()
        self.mute = set()  # acknowledged, never delivered
        self.deaf_sessions = 0  # so many next connections acknowledge and deliver nothing
        self.status = None  # answer to a handshake instead of accepting it
        self.headers = {}  # of that answer
        self.ahead_ms = 0  # how far the venue's clock is ahead of ours
        self.time_status = None  # answer to the question for it
        self.asked = Counter()  # requests by path
        self.handshakes = []  # when connections were asked for, accepted or not
        self.silent_about = set()  # sessions by number whose commands are never answered
        self.refuse_subscriptions = False
        self.period_s = 0.005
        self.sent = defaultdict(list)
        self._deaf = set()

    async def start(self, port=0):
        self._server = await serve(self._serve, "127.0.0.1", port, process_request=self._request, compression=None)
        self.port = self._server.sockets[0].getsockname()[1]
        self._pump = asyncio.create_task(self._deliver())

    async def stop(self):
        self._pump.cancel()
        self._server.close()
        await self._server.wait_closed()

    def _request(self, connection, request):
        self.asked[request.path] += 1
        if request.path == "/fapi/v1/time":
            if self.time_status is not None:
                return self._answer(connection, self.time_status, "no\n")
            return self._answer(connection, 200, json.dumps({"serverTime": time.time_ns() // 1_000_000 + self.ahead_ms}))
        assert request.path in ("/market/stream", "/public/stream"), request.path
        self.handshakes.append(time.monotonic())
        return None if self.status is None else self._answer(connection, self.status, "no\n")

    def _answer(self, connection, status, text):
        answer = connection.respond(status, text)
        for name, value in self.headers.items():
            answer.headers[name] = value
        return answer

    async def _serve(self, socket):
        session = Session(socket)
        if self.deaf_sessions:
            self.deaf_sessions -= 1
            self._deaf.add(session)
        self.sessions.append(session)
        number = len(self.ever)
        self.ever.append(session)
        try:
            async for text in socket:
                command = json.loads(text)
                session.commands.append(command)
                session.times.append(time.monotonic())
                if self.refuse_subscriptions:
                    await socket.send(json.dumps({"error": {"code": 2, "msg": "Invalid request"}, "id": command["id"]}))
                    continue
                if command["method"] == "SUBSCRIBE":
                    session.streams.update(command["params"])
                else:
                    session.streams.difference_update(command["params"])
                if number not in self.silent_about:
                    await socket.send(json.dumps({"result": None, "id": command["id"]}))
        except ConnectionClosed:
            pass
        finally:
            self.sessions.remove(session)

    def message(self, stream):
        self.ids[stream] += 1
        symbol, _, kind = stream.partition("@")
        number = self.ids[stream]
        if kind == "bookTicker":
            data = {"e": "bookTicker", "u": number, "s": symbol.upper(), "b": "1", "B": "1", "a": "2", "A": "1", "T": number, "E": number}
        else:
            data = {
                "e": kind,
                "E": number,
                "a": number,
                "t": number,
                "s": symbol.upper(),
                "p": "1",
                "q": "1",
                "f": 1,
                "l": 1,
                "T": 1,
                "m": False,
            }
        return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))

    def freeze(self, session):
        """From now on this connection is half open: nothing is read, answered or sent, and nobody says so."""
        self._deaf.add(session)
        session.socket.transport.pause_reading()

    async def _deliver(self):
        while True:
            await asyncio.sleep(self.period_s)
            wanted = sorted({stream for session in self.sessions for stream in session.streams} - self.mute)
            for stream in wanted:
                text = self.message(stream)
                for session in list(self.sessions):
                    if stream in session.streams and session not in self._deaf:
                        with contextlib.suppress(ConnectionClosed):
                            await session.socket.send(text)
                            session.sent += 1


@contextlib.asynccontextmanager
async def scripted_venue(**options):
    made = ScriptedVenue()
    for name, value in options.items():
        setattr(made, name, value)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def settings_for(venue, data_dir, **options):
    base = f"ws://127.0.0.1:{venue.port}"
    defaults = {"fsync_ms": 20, "reconnect_max_s": 0.3, "stale_after_s": 30.0, "symbols": ("BTCUSDT", "ETHUSDT")}
    addresses = {"ws_market_url": f"{base}/market", "ws_public_url": f"{base}/public", "rest_url": f"http://127.0.0.1:{venue.port}"}
    return Settings(data_dir=data_dir, **(defaults | addresses | options))


@contextlib.asynccontextmanager
async def capturing(profile, settings):
    from pipeline.capture import run

    stop = asyncio.Event()
    task = asyncio.create_task(run(profile, settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


def lines_of(profile, source="capture"):
    """Every durable line of a source as (recv_ns, message)."""
    position, found = START, []
    with JournalReader(profile.journal / source) as reader:
        while True:
            block, position = reader.read(position, 10_000)
            if not block:
                return found
            for line in block.splitlines():
                head, _, raw = line.partition(b" ")
                found.append((int(head), json.loads(raw)))


def ids_of(profile, stream):
    """Trade ids (or update ids) of a stream, in the order of the journal."""
    key = "u" if stream.endswith("bookTicker") else "a"
    return [message["data"][key] for _, message in lines_of(profile) if message.get("stream") == stream]


def clocks_of(profile):
    return [message for _, message in lines_of(profile) if message.get("e") == "sw.clock"]


async def until(condition, timeout_s=60.0):
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 what is waited for is another program
            await asyncio.sleep(0.02)


class Kit:
    """The helpers as one fixture."""

    scripted_venue = staticmethod(scripted_venue)
    settings_for = staticmethod(settings_for)
    capturing = staticmethod(capturing)
    lines_of = staticmethod(lines_of)
    ids_of = staticmethod(ids_of)
    clocks_of = staticmethod(clocks_of)
    until = staticmethod(until)
    FORBIDDEN = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS


@pytest.fixture(scope="session")
def kit():
    return Kit


@pytest.fixture
def profile(tmp_path):
    return create_profile(tmp_path, "test", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00Z")


@pytest.fixture
def publish(profile):
    def now(*symbols, version=1):
        publish_universe(profile, Universe(symbols, (), version))

    return now
