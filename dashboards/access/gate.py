"""The gate in front of every route: one of our own addresses, a page of ours, somebody who is logged in."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from bokeh.util.token import get_session_id
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import RequestHandler, stream_request_body

from dashboards.access.logins import Access

_log = logging.getLogger(__name__)

LOGIN = "/login"
_OPEN = frozenset({LOGIN, "/favicon.ico"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate(Matcher):
    """Matches what is not let through, and notes on what is whose it is (``request.account``)."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """None to let the request pass; else the arguments of ``Refuse``."""
        access = self._access
        host = (request.headers.get("Host") or "").lower()
        if host not in access.origins.schemes:
            _log.warning("request to a name that is not ours", extra={"host": host[:100], "address": request.remote_ip})
            return _refused(403, "this address is not one of the dashboard's own; add it to the setting dashboard_origins")
        request.secure = access.origins.secure(host)
        socket = request.headers.get("Upgrade", "").lower() == "websocket"
        origin = request.headers.get("Origin")
        # Browsers say where a socket and whatever changes something comes from; a program need not for a socket.
        changes = request.method not in _READING
        if (changes or (socket and origin is not None)) and not access.origins.own(origin or "", host):
            _log.warning("request from a foreign page", extra={"origin": str(origin)[:100], "address": request.remote_ip})
            return _refused(403, "only the dashboard's own pages may ask for this; add their address to the setting dashboard_origins")
        account = access.account(request)
        request.account = account
        if request.path in _OPEN:
            return None
        if account is None:
            if request.method == "GET" and not socket and "text/html" in request.headers.get("Accept", ""):
                return {"target_kwargs": {"status": 302, "text": "", "to": f"{LOGIN}?next={quote(request.uri or '/', safe='')}"}}
            return _refused(401, f"log in first, at {LOGIN}")
        if socket and not access.owns(account, _page_of(request)):
            return _refused(403, "this page was opened by somebody else; load it again")
        return None


@stream_request_body
class Refuse(RequestHandler):
    """Answers what was not let through, before its body is read."""

    def initialize(self, status: int, text: str, to: str = "") -> None:
        """What the gate said."""
        self._status, self._text, self._to = status, text, to

    def prepare(self) -> None:
        """Answer."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("Connection", "close")  # it is closed, for the body is not read
        if self._to:
            self.redirect(self._to)
            return
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self._text}\n")

    def data_received(self, chunk: bytes) -> None:
        """Nothing is taken."""


def _refused(status: int, text: str) -> dict[str, Any]:
    return {"target_kwargs": {"status": status, "text": text}}


def _page_of(request: HTTPServerRequest) -> str:
    """The page that a socket belongs to; empty when that cannot be told, which opens nothing."""
    words = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    try:
        return str(get_session_id(words[1].strip()))
    except (IndexError, ValueError, KeyError, UnicodeDecodeError):
        return ""
