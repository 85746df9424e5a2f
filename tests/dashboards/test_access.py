"""The gate in front of every route, over real sockets: who gets in, what ends that, and what a viewer may not do."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import httpx
import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as open_socket

from dashboards.access.account import LOCAL
from dashboards.access.logins import Access
from dashboards.access.origins import own_origins
from dashboards.access.pages import Door
from dashboards.server import _tls, run
from pipeline.errors import NotAllowed, SettingsError, UsersError
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.users import UserFile, UserRole

_START = RequestStartLine("GET", "/", "HTTP/1.1")
PASSWORD = "correct horse battery"
PUBLIC = "desk.example.com"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A dashboard that others reach as https://desk.example.com, through a proxy: ann is an operator, vic a viewer."""
    data_dir = tmp_path_factory.mktemp("guarded")
    profile = create_profile(data_dir, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-11-29")
    users = UserFile(data_dir)
    for name, role in (("ann", UserRole.OPERATOR), ("vic", UserRole.VIEWER)):
        users.add(name, role, PASSWORD)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(data_dir=data_dir, dashboard_port=port, dashboard_origins=(f"https://{PUBLIC}",), proxies=("127.0.0.1",))
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(profile, settings, stop),))
    thread.start()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.05)
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}", users=users)
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=30)
    assert not thread.is_alive()
    loop.close()


class Browser(httpx.Client):
    """A client that keeps cookies and says where it comes from, as browsers do."""

    def __init__(self, url: str, address: str = "10.1.1.1") -> None:
        super().__init__(base_url=url, timeout=60, headers={"Origin": url, "X-Forwarded-For": address})

    def log_in(self, name: str, password: str = PASSWORD, next_: str = "/") -> httpx.Response:
        form = re.search(r'name="form" value="([^"]+)"', self.get("/login").text)[1]
        return self.post("/login", data={"form": form, "name": name, "password": password, "next": next_})

    @property
    def login(self) -> str:
        return next(value for name, value in self.cookies.items() if re.fullmatch(r"spreadwatch_\d+", name))

    def socket(self, token: str, **more):
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"origin": str(self.base_url).rstrip("/"), "additional_headers": {"Cookie": cookies}} | more
        return open_socket(str(self.base_url.join("/ws")).replace("http", "ws", 1), subprotocols=["bokeh", token], max_size=None, **given)


def token_of(page: httpx.Response) -> str:
    return re.search(r'"token":"([^"]+)"', page.text)[1]


def test_without_a_login_nothing_is_answered(guarded):
    with Browser(guarded.url) as browser:
        page = browser.get("/?view=pair&pair=ETHUSDT/BTCUSDT", headers=HTML)
        assert (page.status_code, page.headers["Location"]) == (302, "/login?next=%2F%3Fview%3Dpair%26pair%3DETHUSDT%2FBTCUSDT")
        for path in ("/", "/ws", "/metadata", "/autoload.js?bokeh-autoload-element=x", "/static/js/bokeh.min.js", "/static/extensions/x",
                     "/download?table=bars", "/reports/report-x.html", "/logout", "/anything"):  # fmt: skip
            answer = browser.get(path)
            assert (answer.status_code, answer.text) == (401, "log in first, at /login\n"), path
            assert browser.post(path, content=b"x" * 100_000).status_code == 401, path
        with pytest.raises(InvalidStatus, match="401"):
            browser.socket("x.y")
        form = browser.get("/login")
        assert "<script" not in form.text
        assert form.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert browser.get("/favicon.ico").status_code == 200
        for answer in (page, form):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_right_password_opens_the_page_and_a_wrong_one_says_no_more_than_that(guarded):
    with Browser(guarded.url) as browser:
        wrong, unknown = browser.log_in("ann", "wrong wrong wrong"), browser.log_in("nobody", "wrong wrong wrong")
        for answer in (wrong, unknown):
            assert answer.status_code == 403
            assert "Name or password is not right." in answer.text
        right = browser.log_in("Ann", next_="/?view=health")
        assert (right.status_code, right.headers["Location"]) == (303, "/?view=health")
        (cookie,) = [value for value in right.headers.get_list("Set-Cookie") if re.match(r"spreadwatch_\d+=", value)]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Secure" not in cookie
        page = browser.get("/", headers=HTML)
        assert page.status_code == 200
        assert browser.login not in page.text
        assert browser.get("/login", headers=HTML).headers["Location"] == "/"
        signed = browser.login
        browser.cookies.clear()
        browser.cookies.set(f"spreadwatch_{browser.base_url.port}", signed[:-1] + ("0" if signed[-1] != "0" else "1"))
        assert browser.get("/").status_code == 401
        for elsewhere in ("//evil.example/", "https://evil.example/", "/\\evil.example", "/logout", "/login"):
            browser.cookies.clear()
            assert browser.log_in("ann", next_=elsewhere).headers["Location"] == "/"


def test_under_a_public_https_name_cookies_are_secure(guarded):
    with Browser(guarded.url) as browser:
        browser.headers.update({"Host": PUBLIC, "Origin": f"https://{PUBLIC}"})
        form = browser.get("/login")
        kept = form.headers["Set-Cookie"]
        assert {"Secure", "HttpOnly", "SameSite=Strict"} <= {part.strip() for part in kept.split(";")}
        assert form.headers["Strict-Transport-Security"] == "max-age=31536000"
        value = re.search(r'name="form" value="([^"]+)"', form.text)[1]
        right = browser.post(
            "/login", data={"form": value, "name": "ann", "password": PASSWORD, "next": "/"}, headers={"Cookie": kept.partition(";")[0]}
        )
        assert right.status_code == 303
        assert "Secure" in right.headers["Set-Cookie"]


def test_other_names_and_foreign_pages_are_refused(guarded):
    with Browser(guarded.url) as browser:
        browser.log_in("ann")
        token = token_of(browser.get("/", headers=HTML))
        for host in ("evil.example", f"evil.example:{browser.base_url.port}", f"{PUBLIC}.evil.example", ""):
            assert browser.get("/", headers={"Host": host}).status_code in {400, 403}, host
        for origin in ("https://evil.example", "null", guarded.url.replace("http", "https"), f"https://{PUBLIC}"):
            assert browser.post("/logout", headers={"Origin": origin}).status_code == 403, origin
            with pytest.raises(InvalidStatus, match="403"):
                browser.socket(token, origin=origin)
        del browser.headers["Origin"]
        assert browser.post("/logout").status_code == 403
        with Browser(guarded.url) as other:
            other.get("/login")
            answer = other.post("/login", data={"form": "made up", "name": "ann", "password": PASSWORD, "next": "/"})
            assert (answer.status_code, "too old" in answer.text) == (403, True)


def test_tries_are_slowed_down_by_address_as_the_proxy_tells_it(guarded):
    with Browser(guarded.url, "10.2.2.2") as browser:
        slowed = browser.log_in("vic", "wrong wrong wrong")
        while slowed.status_code == 403:  # three are free; where hashing takes longer than the next pause, a longer one comes
            slowed = browser.log_in("vic", "wrong wrong wrong")
        assert slowed.status_code == 429
        assert 1 <= int(slowed.headers["Retry-After"]) <= 60
        assert re.search(r"Too many tries\. Wait \d+ s", slowed.text)
        with Browser(guarded.url, "10.3.3.3") as other:
            assert other.log_in("vic").status_code == 303
        time.sleep(int(slowed.headers["Retry-After"]))
        assert browser.log_in("vic").status_code == 303


def test_what_ends_a_login_ends_its_pages_within_seconds(guarded):
    users = guarded.users
    users.add("eve", UserRole.OPERATOR, PASSWORD)
    ends = {
        "role": lambda browser: users.set_role("eve", UserRole.VIEWER),
        "password": lambda browser: users.set_password("eve", PASSWORD),
        "logout": lambda browser: browser.post("/logout"),
        "removal": lambda browser: users.remove("eve"),
    }
    for name, end in ends.items():
        with Browser(guarded.url) as browser, Browser(guarded.url) as other:
            browser.log_in("eve")
            other.log_in("vic")
            token = token_of(browser.get("/", headers=HTML))
            with pytest.raises(InvalidStatus, match="403"):
                other.socket(token)
            with browser.socket(token) as page:
                kept = browser.login
                end(browser)
                begun = time.monotonic()
                browser.cookies.set(f"spreadwatch_{browser.base_url.port}", kept)
                assert browser.get("/").status_code == 401, name
                with pytest.raises(ConnectionClosed):
                    listen(page)
                assert time.monotonic() - begun < 10, name
            assert other.get("/login", headers=HTML).status_code == 302  # who has nothing to do with it stays


def test_logins_outlive_a_restart_and_so_does_their_end(tmp_path):
    users = UserFile(tmp_path)
    users.add("ann", UserRole.OPERATOR, PASSWORD)
    settings = Settings(data_dir=tmp_path, login="always")
    first, second = Access(settings), Access(settings)
    ann = as_logged_in(first, users, "ann")
    assert second.valid(ann)
    assert second.account(request_with(second, first.begin(users.users()["ann"]))).name == "ann"
    assert second.account(request_with(second, "2|1:0|10:1|1:a|4:eDEy|00")) is None
    first.end(ann)
    assert not Access(settings).valid(ann)
    assert (tmp_path / "access" / "ended.json").stat().st_mode & 0o777 == 0o600
    short = Access(Settings(data_dir=tmp_path, login="always", login_hours=1e-9))
    assert short.account(request_with(short, short.begin(users.users()["ann"]))) is None
    again = as_logged_in(first, users, "ann")
    assert first.valid(again)
    users.path.write_text("{")
    assert not first.valid(again)


def test_on_this_machine_a_login_is_there_for_who_wants_one(tmp_path):
    users = UserFile(tmp_path)
    users.add("vic", UserRole.VIEWER, PASSWORD)
    access = Access(Settings(data_dir=tmp_path))
    assert access.account(request_with(access, None)) is LOCAL
    assert access.account(request_with(access, access.begin(users.users()["vic"]))).role is UserRole.VIEWER
    access.permit(LOCAL, "change rules")
    guarded = Access(Settings(data_dir=tmp_path, host="0.0.0.0"))
    with pytest.raises(NotAllowed, match="no longer logged in"):
        guarded.permit(LOCAL, "change rules")


def test_addresses_of_ours_are_named_and_never_everything(tmp_path):
    local = own_origins(Settings(data_dir=tmp_path, dashboard_port=5006))
    assert local.schemes == {"127.0.0.1:5006": "http", "localhost:5006": "http"}
    public = own_origins(Settings(data_dir=tmp_path, host="10.0.0.5", dashboard_origins=("https://Desk.Example.com:443", "http://a:8080")))
    assert public.schemes["10.0.0.5:5006"] == "http"
    assert public.schemes["desk.example.com"] == "https"
    assert public.own("https://desk.example.com", "desk.example.com")
    assert not public.own("http://desk.example.com", "desk.example.com")
    assert not public.own("http://a:8080", "desk.example.com")
    everywhere = own_origins(Settings(data_dir=tmp_path, host="0.0.0.0"))
    assert "127.0.0.1:5006" in everywhere.schemes
    assert not any("*" in host for host in everywhere.hosts)
    secure = own_origins(Settings(data_dir=tmp_path, tls_certificate=tmp_path / "c", tls_key=tmp_path / "k", dashboard_port=443))
    assert secure.schemes == {"127.0.0.1": "https", "localhost": "https"}


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [("10.0.0.9", "1.1.1.1", "10.0.0.9"), ("127.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"), ("127.0.0.1", "1.1.1.1, 10.0.0.2", "1.1.1.1"),
     ("127.0.0.1", "", "127.0.0.1")],
)  # fmt: skip
def test_only_a_proxy_of_ours_is_believed(tmp_path, peer, said, address):
    door = Door(Access(Settings(data_dir=tmp_path)), None, ("127.0.0.1", "10.0.0.2"))
    request = HTTPServerRequest(start_line=_START, headers=HTTPHeaders({"Host": "here", **({"X-Forwarded-For": said} if said else {})}))
    request.remote_ip = peer
    assert door.address(request) == address
    door.close()


def test_it_does_not_start_where_nobody_could_log_in_or_the_certificate_is_none(tmp_path):
    profile = create_profile(tmp_path, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-11-29")
    with pytest.raises(UsersError, match="spreadwatch user add NAME --role operator"):
        asyncio.run(run(profile, Settings(data_dir=tmp_path, host="0.0.0.0"), asyncio.Event()))
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(SettingsError, match="belong together"):
        _tls(Settings(data_dir=tmp_path, tls_key=tmp_path / "key.pem"))
    with pytest.raises(SettingsError, match="cannot be used"):
        _tls(Settings(data_dir=tmp_path, tls_certificate=tmp_path / "none.pem", tls_key=tmp_path / "key.pem"))


def listen(page):
    while True:
        page.recv(timeout=60)


def as_logged_in(access, users, name):
    return access.account(request_with(access, access.begin(users.users()[name])))


def request_with(access, cookie):
    headers = HTTPHeaders({"Host": "127.0.0.1"} | ({"Cookie": f'{access.cookie}="{cookie}"'} if cookie else {}))
    return HTTPServerRequest(start_line=_START, headers=headers)
