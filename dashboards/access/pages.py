"""The login page, and logging out: plain HTML of ours, without a script."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, stream_request_body

from dashboards.access.gate import LOGIN
from dashboards.access.logins import Access
from dashboards.access.tries import Tries
from dashboards.assets import asset
from dashboards.format import escape
from dashboards.preferences import COOKIE, preferences_of
from dashboards.theme import BADGES, DARK, LIGHT, Palette
from pipeline.profile import Profile
from pipeline.users import User, verify_password

_log = logging.getLogger(__name__)

LOGOUT = "/logout"

_FORM_COOKIE = "spreadwatch_form"
_LONGEST_BODY = 8_192
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


class Door:
    """What the handlers share: who is counted, and one thread that hashes, so that tries cannot take the machine's memory."""

    def __init__(self, access: Access, profile: Profile, proxies: tuple[str, ...]) -> None:
        self.access = access
        self.profile = profile
        self.tries = Tries()
        self._proxies = frozenset(proxies)
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="login")

    def address(self, request: HTTPServerRequest) -> str:
        """Where a request comes from; what a proxy of ours says of it is believed."""
        address = request.remote_ip or ""
        said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        while address in self._proxies and said:
            address = said.pop()
        return address

    async def judge(self, user: User | None, password: str) -> bool:
        """Whether the password is right, found out beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._hashing, verify_password, user, password)

    def close(self) -> None:
        """End the thread."""
        self._hashing.shutdown(wait=False, cancel_futures=True)


class _DoorHandler(RequestHandler):
    """What both pages do: small bodies, nothing kept, a policy that allows no script."""

    def initialize(self, door: Door) -> None:
        """What the server passes on."""
        self._door = door
        self._body = b""

    def prepare(self) -> None:
        """Take a short body only."""
        self.request.connection.set_max_body_size(_LONGEST_BODY)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", _POLICY)

    def data_received(self, chunk: bytes) -> None:
        """Collect the body."""
        self._body += chunk

    def _field(self, name: str) -> str:
        fields = parse_qs(self._body.decode(errors="replace"), keep_blank_values=True, max_num_fields=10)
        return fields.get(name, [""])[0]

    @property
    def _secure(self) -> bool:
        return self._door.access.origins.secure((self.request.headers.get("Host") or "").lower())


@stream_request_body
class LoginHandler(_DoorHandler):
    """``GET`` shows the form, ``POST`` answers with the cookie and the page that was asked for."""

    def get(self) -> None:
        """The form; whoever is logged in goes on."""
        account = self.request.account
        if account is not None and account.login:
            self.redirect(_own_path(self.get_query_argument("next", "/")))
            return
        self._show(200, "", next_=self.get_query_argument("next", "/"), name="")

    async def post(self) -> None:
        """Judge a try."""
        name, next_ = self._field("name").strip().lower()[:100], self._field("next")
        token, kept = self._field("form"), self.get_cookie(_FORM_COOKIE) or ""
        if not kept or not hmac.compare_digest(token.encode(), kept.encode()):
            self._show(403, "This form is too old, or the browser keeps no cookies. Try again.", next_=next_, name=name)
            return
        door, address = self._door, self._door.address(self.request)
        wait = door.tries.begin(name, address, time.monotonic())
        if wait > 0:
            seconds = math.ceil(wait)
            self.set_header("Retry-After", str(seconds))
            self._show(429, f"Too many tries. Wait {seconds} s, then try again.", next_=next_, name=name)
            return
        user = door.access.users().get(name)
        if not await door.judge(user, self._field("password")) or user is None:
            _log.warning("login refused", extra={"user": name, "address": address})
            self._show(403, "Name or password is not right.", next_=next_, name=name)
            return
        door.tries.succeeded(name, address)
        _log.info("logged in", extra={"user": user.name, "role": user.role.value, "address": address})
        self.set_cookie(
            door.access.cookie, door.access.begin(user), httponly=True, secure=self._secure, samesite="Lax", path="/",
            max_age=round(door.access.lifetime_s),
        )  # fmt: skip
        self.clear_cookie(_FORM_COOKIE, path=LOGIN)
        self.redirect(_own_path(next_), status=303)

    def _show(self, status: int, problem: str, *, next_: str, name: str) -> None:
        token = secrets.token_urlsafe(24)
        self.set_cookie(_FORM_COOKIE, token, httponly=True, secure=self._secure, samesite="Strict", path=LOGIN)
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        chosen = self.get_cookie(COOKIE)
        colours = preferences_of({}, chosen).palette if chosen else None
        self.finish(login_page(self._door.profile, problem, next_=_own_path(next_), name=name, token=token, colours=colours))


@stream_request_body
class LogoutHandler(_DoorHandler):
    """``POST`` ends the login and goes to the form."""

    def post(self) -> None:
        """End it."""
        self._door.access.end(self.request.account)
        self.clear_cookie(self._door.access.cookie, path="/")
        self.redirect(LOGIN, status=303)


def login_page(profile: Profile, problem: str, *, next_: str, name: str, token: str, colours: Palette | None = None) -> str:
    """The whole page; ``problem`` is shown above the form when there is one. Without ``colours`` those that the machine prefers."""
    word, back, ink = BADGES[profile.kind.value]
    said = f'<p class="problem" role="alert" id="problem">{escape(problem)}</p>' if problem else ""
    light = f"@media (prefers-color-scheme: light){{:root{{{_variables(LIGHT)}}}}}" if colours is None else ""
    style = f":root{{{_variables(colours or DARK)}}}{light}\n{asset('login.css')}"
    return asset("login.html").format_map(
        {
            "style": style,
            "badge": f'<span class="badge" style="background:{back};color:{ink}">{word}</span>',
            "profile": escape(profile.name),
            "problem": said,
            "described": ' aria-describedby="problem"' if problem else "",
            "next": escape(next_),
            "name": escape(name),
            "token": token,
            "focus_name": "" if name else " autofocus",
            "focus_password": " autofocus" if name else "",
        }
    )


def _variables(colours: Palette) -> str:
    return ";".join(f"--sw-{name}:{getattr(colours, name)}" for name in Palette.__slots__)


def _own_path(path: str) -> str:
    """Only a path of this server: nobody is sent elsewhere after logging in."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain and not path.startswith((LOGIN, LOGOUT)) else "/"
