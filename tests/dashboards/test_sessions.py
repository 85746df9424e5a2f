"""Many tabs in one process: what is asked of the warehouse does not grow with them, and nothing of a tab stays when it is closed."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import socket
import threading
import time
import weakref
from contextlib import ExitStack, closing, suppress
from types import SimpleNamespace

import httpx
import pytest
from bokeh.document import Document
from websockets.sync.client import connect as open_socket

from dashboards.access.logins import Access
from dashboards.access.pages import Door
from dashboards.app import Dashboard
from dashboards.hub import Hub
from dashboards.link import Link
from dashboards.server import make_context, make_server
from dashboards.session import Session
from dashboards.shell import SETTLED
from dashboards.tables.screens import ScreenTopic
from pipeline.settings import Settings
from pipeline.store import Role

pytestmark = pytest.mark.browser

TABS = 12
VIEWS = ("overview", "pair", "alerts", "health")


@pytest.fixture
def process(stage):
    """A dashboard in this process, so that one can look at what is alive in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    logging.disable(logging.CRITICAL)  # pytest would keep what is logged, and so whatever is told of
    settings = Settings(data_dir=stage.data_dir, dashboard_port=port)
    access = Access(settings)
    context = make_context(stage.profile, settings, access)
    hub, door = Hub(Link(stage.profile, Role.READER)), Door(access, stage.profile, ())
    loop, ready, made = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        server = make_server(context, hub, door)
        server.start()
        hub.start()
        stop = asyncio.Event()
        made.extend((server, stop))
        ready.set()
        await stop.wait()
        server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    server, stop = made

    def sweep() -> None:
        """What the server does by itself every few seconds: let go of the sessions that nobody holds."""
        (application,) = server._tornado.applications.values()
        asyncio.run_coroutine_threadsafe(application._cleanup_sessions(0), loop).result(120)

    yield SimpleNamespace(url=f"http://127.0.0.1:{port}", hub=hub, context=context, access=access, server=server, sweep=sweep)
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    hub.stop()
    door.close()
    context.link.drop()
    context.workers.shutdown()
    loop.close()
    logging.disable(logging.NOTSET)


READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
}


def open_tab(process, tabs: ExitStack, view: str):
    """A tab as the server sees it: the page, then its socket, by which it fetches the document and says that it is drawn."""
    page = httpx.get(f"{process.url}/?view={view}", timeout=120)
    token = re.search(r'"token":"([^"]+)"', page.text)[1]
    tab = tabs.enter_context(
        open_socket(process.url.replace("http", "ws") + "/ws", subprotocols=["bokeh", token], origin=process.url, max_size=None)
    )
    while "ACK" not in str(tab.recv(timeout=120)):
        pass
    for kind, content, answer in (("PULL-DOC-REQ", {}, "PULL-DOC-REPLY"), ("PATCH-DOC", {"events": [READY]}, '"OK"')):
        for part in ({"msgid": kind, "msgtype": kind}, {}, content):
            tab.send(json.dumps(part))
        while answer not in str(tab.recv(timeout=120)):
            pass
    return tab


def until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def ours() -> list[object]:
    return [one for one in gc.get_objects() if type(one) in (Dashboard, Session)]


def test_nothing_of_a_closed_tab_stays(process):
    with ExitStack() as tabs:
        open_tab(process, tabs, "overview")  # what is made once for all
    until(lambda: not process.server._tornado._clients)
    process.sweep()
    alive: list[weakref.ref] = []
    others = weakref.WeakSet(ours())  # of other tests in this process, and of the tab above
    for at in range(TABS):
        with ExitStack() as tabs:
            open_tab(process, tabs, VIEWS[at % len(VIEWS)])
            alive += [weakref.ref(one) for one in ours() if one not in others]
            (session,) = process.server.get_sessions("/")
            alive.append(weakref.ref(session.document))
            del session
        until(lambda: not process.server._tornado._clients)
        process.sweep()
    assert len(alive) >= 3 * TABS

    def left() -> list[object]:
        gc.collect()
        return [one() for one in alive if one() is not None]

    until(lambda: len(left()) == 0, 180)
    assert process.hub.watched == ()
    assert process.access._pages == {}
    assert process.server.get_sessions("/") == []


def test_twenty_tabs_ask_for_no_more_than_one(process):
    def rate() -> float:
        begun, before = time.monotonic(), process.hub.queries
        time.sleep(4)
        return (process.hub.queries - before) / (time.monotonic() - begun)

    with ExitStack() as tabs:
        open_tab(process, tabs, "overview")
        until(lambda: process.hub.status.state == "ok")
        time.sleep(1)
        watched, alone = process.hub.watched, rate()
        for _ in range(19):
            open_tab(process, tabs, "overview")
        assert len(process.server.get_sessions("/")) == 20
        assert set(process.hub.watched) == set(watched)
        assert rate() <= alone * 1.25


def test_the_screener_has_not_settled_before_its_rows_are_there(process):
    """Rows are chosen beside the event loop: a page that was shown before would move when they come."""
    gate = threading.Event()
    with ExitStack() as tabs:
        tabs.callback(gate.set)
        for _ in range(process.context.workers._max_workers):
            process.context.workers.submit(gate.wait)
        tab = open_tab(process, tabs, "screener")
        said = []
        until(lambda: any(isinstance(topic, ScreenTopic) for topic in process.hub.watched))
        end = time.monotonic() + 4
        while time.monotonic() < end:  # the screen itself is there long before that
            with suppress(TimeoutError):
                said.append(str(tab.recv(timeout=1)))
        assert not any(SETTLED in one for one in said)
        gate.set()
        then = []
        while not any(SETTLED in one for one in then):
            then.append(str(tab.recv(timeout=60)))
        assert any('"rows"' in one and "XRPUSDT/SOLUSDT" in one for one in then)
        assert any("shown of" in one for one in then)


def test_a_value_for_a_page_that_has_just_been_taken_down_is_dropped(stage):
    """The document goes first, and the session hears of it a moment later."""
    document, heard, done, problems = Document(), [], [], []
    document.on_change(heard.append)
    with closing(asyncio.new_event_loop()) as loop:
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        session = Session(Hub(Link(stage.profile, Role.READER)), document, loop)
        session.arrived()
        document.destroy(heard.append)
        session.later(lambda: done.append(1))
        loop.run_until_complete(asyncio.sleep(0))
    assert done == problems == []
