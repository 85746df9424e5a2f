"""Files over HTTP, through the very gate and handler of the dashboard: what is kept, and who and what is turned away."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import Rule
from tornado.web import Application

from dashboards.access.gate import Gate, Refuse
from dashboards.access.logins import Access
from dashboards.link import Link
from dashboards.spool import Spool
from dashboards.uploads import ROUTE, UploadHandler
from dashboards.views.view import Context
from pipeline.errors import UsageError
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.store import Role
from pipeline.users import UserFile, UserRole

TRADES = "time,price,qty\n1704067200,100.5,1\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The route behind the gate, with a login required, and the cookies of a viewer and of an operator."""
    data_dir = tmp_path_factory.mktemp("uploads")
    profile = create_profile(data_dir, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01")
    users = UserFile(data_dir)
    people = {role: users.add(role.value, role, "correct horse battery") for role in UserRole}
    sockets = bind_sockets(0, "127.0.0.1")
    settings = Settings(data_dir=data_dir, login="always", upload_max_mb=1, dashboard_port=sockets[0].getsockname()[1])
    access = Access(settings)
    workers = ThreadPoolExecutor(1)
    context = Context(profile, settings, Link(profile, Role.READER), workers, access, prefect_url="http://127.0.0.1:9")
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        server = HTTPServer(Application([Rule(Gate(access), Refuse), (ROUTE, UploadHandler, {"context": context})]))
        server.add_sockets(sockets)
        house.stop = asyncio.Event()
        ready.set()
        await house.stop.wait()
        server.stop()
        await server.close_all_connections()

    cookies = {role: f"{access.cookie}={access.begin(user)}" for role, user in people.items()}
    house = SimpleNamespace(url=f"http://127.0.0.1:{settings.dashboard_port}", spool=Spool(profile.uploads), cookies=cookies)
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    yield house
    loop.call_soon_threadsafe(house.stop.set)
    thread.join(20)
    loop.close()
    workers.shutdown()


def post(house, name: str, content: bytes, *, cookie: str | None, origin: str | None = None) -> tuple[int, str]:
    headers = {"Origin": origin or house.url, "Content-Length": str(len(content))} | ({"Cookie": cookie} if cookie else {})
    # What is too long is refused by its length: an answer that comes while one still writes may be lost with the connection.
    data = content if len(content) <= 1_000_000 else iter([content[:1_000]])
    request = Request(f"{house.url}/upload?{urlencode({'name': name})}", data=data, headers=headers)
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_an_operator_s_file_is_kept_under_a_plain_name(house):
    status, answer = post(house, "../../my trades.csv", TRADES.encode(), cookie=house.cookies[UserRole.OPERATOR])
    told = json.loads(answer)
    assert (status, told["name"], told["bytes"]) == (200, "my_trades.csv", len(TRADES))
    kept = house.spool.find(told["id"])
    assert kept.read_text() == TRADES
    house.spool.remove(told["id"])
    assert not kept.exists()
    with pytest.raises(UsageError, match="no longer here"):
        house.spool.find(told["id"])


def test_what_may_not_come_in_is_refused_in_words(house):
    viewer, operator = house.cookies[UserRole.VIEWER], house.cookies[UserRole.OPERATOR]
    own, foreign = house.url, "http://elsewhere.example"
    for cookie, name, content, origin, status, said in (
        (viewer, "own.csv", TRADES.encode(), own, 403, "viewer is a viewer; only an operator may upload files"),
        (None, "own.csv", TRADES.encode(), own, 401, "log in first"),
        (operator, "own.csv", TRADES.encode(), foreign, 403, "only the dashboard's own pages"),
        (operator, "own.exe", TRADES.encode(), own, 400, "no file of a known kind"),
        (operator, "own.csv", b"", own, 400, "the file is empty"),
        (operator, "own.csv", bytes(1_000_001), own, 413, "the file has 1.0 MB and the limit is 1 MB"),
    ):
        answer = post(house, name, content, cookie=cookie, origin=origin)
        assert answer[0] == status, name
        assert said in answer[1]
        assert not house.spool.directory.is_dir() or not any(house.spool.directory.iterdir())


def test_what_nobody_took_for_a_day_goes_and_what_is_no_file_of_ours_stays(tmp_path):
    spool = Spool(tmp_path)
    old_id, old = spool.open("old.csv.gz")
    old.write_text(TRADES)
    (tmp_path / "something else").mkdir()
    for place in (old.parent, tmp_path / "something else"):
        os.utime(place, (time.time() - 90_000,) * 2)
    new_id, new = spool.open("new.csv")
    new.write_text(TRADES)
    assert spool.find(new_id) == new
    with pytest.raises(UsageError):
        spool.find(old_id)
    assert (tmp_path / "something else").is_dir()
    with pytest.raises(UsageError, match="no file that was brought here"):
        spool.find("../demo")
