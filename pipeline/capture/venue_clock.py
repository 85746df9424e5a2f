"""How far the venue's clock is ahead of ours: asked over REST every few minutes, told in the clock line, never used to alter a time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import logging
import time
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pipeline.capture.dialling import is_loopback, tls_context
from pipeline.errors import MalformedMessage, RateLimited, RegionBlocked, VenueError, VenueUnavailable
from pipeline.model.event import ClockOffset
from pipeline.venues import Venue
from pipeline.venues.admission import Admission
from pipeline.venues.backoff import BLOCKED_S

_log = logging.getLogger(__name__)

_EVERY_S = 180.0
_AGAIN_S = 30.0
"""After a failure, doubling up to ``_EVERY_S``."""
_SOON_S = 15.0
"""After the first measurement, which is made while everything starts at once."""
_SAMPLES = 5
_PAUSE_S = 0.03
"""Between samples, so that one busy moment does not spoil them all."""
_TIMEOUT_S = 3.0
_LOOK_S = 1.0
_STEPPED_NS = 20_000_000
"""A step of our own clock (NTP, a laptop that slept) after which what was measured is no longer true."""
_SAID_EVERY_S = 3_600.0
_MOST_BYTES = 1 << 16


class VenueClock:
    """Asks for the venue's time in a thread, now and then; a failure harms nothing and is said rarely."""

    def __init__(
        self, rest_url: str, venue: Venue, *, admission: Admission | None = None, every_s: float = _EVERY_S, again_s: float = _AGAIN_S
    ) -> None:
        self._rest_url = rest_url
        self._admission = admission or Admission()
        self._venue = venue
        self._every_s = every_s
        self._again_s = again_s
        self._said_at: float | None = None
        self.offset: ClockOffset | None = None

    async def run(self) -> None:
        """Measure for ever, until cancelled."""
        pause_s = self._again_s
        measured = False
        while True:
            if (held_s := self._admission.held_s(time.monotonic())) > 0:  # a ban is for the whole address
                await asyncio.sleep(held_s)
                continue
            try:
                self.offset = await asyncio.to_thread(measure, self._rest_url, self._venue)
            except (VenueError, MalformedMessage) as error:
                self._failed(error)
                if isinstance(error, RateLimited):
                    self._admission.hold(time.monotonic(), error.retry_after_s)
                pause_s = min(2 * pause_s, self._every_s)
                await asyncio.sleep(max(pause_s, BLOCKED_S) if isinstance(error, RegionBlocked) else pause_s)
            else:
                self._said_at = None
                pause_s = self._again_s
                await self._until_due(self._every_s if measured else min(_SOON_S, self._every_s))
                measured = True

    async def _until_due(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        lead_ns = _lead_ns()
        while time.monotonic() < due and abs(_lead_ns() - lead_ns) < _STEPPED_NS:  # noqa: ASYNC110 -- the clocks are looked at
            await asyncio.sleep(min(_LOOK_S, self._every_s))

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= _SAID_EVERY_S:
            _log.warning("venue clock not measured, latency is told with what was known", extra={"why": str(error)})
            self._said_at = now


def measure(rest_url: str, venue: Venue, *, samples: int = _SAMPLES) -> ClockOffset:
    """The best of some samples: the one with the shortest round trip, which bounds its error by half of that.

    Blocks for as long as the venue takes, a few seconds at most for each sample.

    Raises:
        VenueError: when the venue cannot be asked, or does not want to be.
        MalformedMessage: when its answer is not of the documented form.
    """
    target = urlsplit(rest_url)
    request = venue.server_time()
    path = target.path.rstrip("/") + request.path
    best: ClockOffset | None = None
    with contextlib.closing(_connection(target)) as connection:
        for number in range(samples):
            if number:
                time.sleep(_PAUSE_S)
            try:
                found = _sample(connection, path, venue)
            except (OSError, http.client.HTTPException) as error:
                if best is not None:
                    break
                msg = (
                    f"{target.hostname} cannot be asked for its time: {str(error) or type(error).__name__}; check rest_url and the network"
                )
                raise VenueUnavailable(msg) from error
            if best is None or found.rtt_ms < best.rtt_ms:
                best = found
    if best is None:
        msg = f"no sample of the clock of {target.hostname} was asked for; expected at least one"
        raise VenueUnavailable(msg)
    return best


def _sample(connection: http.client.HTTPConnection, path: str, venue: Venue) -> ClockOffset:
    if connection.sock is None:
        connection.connect()  # a venue that closes after each answer must not have its handshake counted as a round trip
    began_ns, began = time.time_ns(), time.perf_counter_ns()
    connection.request("GET", path, headers={"User-Agent": "spreadwatch"})
    answer = connection.getresponse()
    took_ns = time.perf_counter_ns() - began
    body = answer.read(_MOST_BYTES)
    problem = venue.classify_status(answer.status, dict(answer.getheaders()), body)
    if problem is not None:
        raise problem
    # The venue's milliseconds are cut, like those of its events: the half millisecond cancels in a latency.
    middle_ns = began_ns + took_ns // 2
    return ClockOffset(venue.parse_server_time(body) - middle_ns / 1e6, took_ns / 1e6, middle_ns)


def _connection(target: SplitResult) -> http.client.HTTPConnection:
    host = target.hostname or ""
    if target.scheme not in ("http", "https") or not host:
        msg = f"rest_url {target.geturl()!r} is not an address; expected such as https://fapi.binance.com"
        raise VenueUnavailable(msg)
    if target.scheme == "http":
        return http.client.HTTPConnection(host, target.port or 80, timeout=_TIMEOUT_S)
    port = target.port or 443
    proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get("https")
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=tls_context())
    through = urlsplit(proxy)
    if through.scheme != "http":
        msg = f"the clock of {host} cannot be asked for through a {through.scheme} proxy; expected an http proxy"
        raise VenueUnavailable(msg)
    connection = http.client.HTTPSConnection(through.hostname or "", through.port or 3128, timeout=_TIMEOUT_S, context=tls_context())
    connection.set_tunnel(host, port, headers=_credentials(through))
    return connection


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _lead_ns() -> int:
    """By how much the wall clock leads the monotonic one; constant unless the former is set."""
    return time.time_ns() - time.monotonic_ns()
