"""Opening a WebSocket to the venue, and saying in one clear line why it cannot be opened."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from functools import cache
from urllib.parse import urlsplit

import certifi
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from pipeline.errors import VenueError, VenueUnavailable
from pipeline.venues import Venue

_OPEN_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 3.0
_PING_EVERY_S = 20.0
_PONG_WITHIN_S = 20.0
"""A connection whose other end is gone without a word is noticed after the two together; the venue's own pings are answered by itself."""
_MAX_FRAMES = 1 << 16
"""Frames that wait when the event loop is busy; beyond it the socket is not read, and TCP holds the venue back."""
_MAX_BYTES = 4 << 20
_HELP = "check the internet connection, a proxy or firewall, and the ws_*_url settings; `make demo` runs without the venue"


async def dial(url: str, venue: Venue) -> ClientConnection:
    """Open a WebSocket.

    Raises:
        RegionBlocked: HTTP 403 or 451.
        RateLimited: HTTP 429 or 418.
        VenueError: when the venue cannot be reached or refuses otherwise.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    try:
        return await connect(
            url,
            compression=None,
            max_queue=_MAX_FRAMES,
            max_size=_MAX_BYTES,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=_PING_EVERY_S,
            ping_timeout=_PONG_WITHIN_S,
            proxy=None if is_loopback(host) else True,
            ssl=tls_context() if secure else None,
        )
    except InvalidStatus as error:
        response = error.response
        said = venue.classify_status(response.status_code, dict(response.headers.raw_items()), bytes(response.body or b""))
        raise said or _unavailable(host, f"it answered HTTP {response.status_code}") from error
    except InvalidURI as error:
        msg = f"{url} is not a WebSocket address; correct the ws_*_url settings"
        raise VenueError(msg) from error
    except (ssl.SSLCertVerificationError, InvalidHandshake, TimeoutError, OSError) as error:
        raise _unavailable(host, _reason(error)) from error


def _unavailable(host: str, why: str) -> VenueUnavailable:
    return VenueUnavailable(f"{host} cannot be reached: {why}; {_HELP}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_OPEN_TIMEOUT_S:.0f} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


@cache
def tls_context() -> ssl.SSLContext:
    """Whom connections to the venue trust."""
    context = ssl.create_default_context()  # what the system trusts, a company's proxy among it, and what certifi brings
    context.load_verify_locations(certifi.where())
    return context


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy leads to."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
