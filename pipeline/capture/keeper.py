"""Keeps one connection to the venue alive, for ever."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.capture.dialling import dial
from pipeline.capture.intake import Intake
from pipeline.capture.link import Link
from pipeline.errors import RateLimited, VenueError
from pipeline.venues import Venue
from pipeline.venues.admission import Admission
from pipeline.venues.backoff import backoff, pause_s
from pipeline.venues.rotation import rotate_after_s
from pipeline.venues.session import Session
from pipeline.venues.watchdog import Watchdog

_log = logging.getLogger(__name__)

_PROVEN_S = 30.0
"""A connection that lived this long and delivered is replaced at once when it is lost; before that, with growing pauses."""
_PROOF_S = 10.0
_PROOF_STEP_S = 0.05
_SAID_EVERY_S = 30.0
_CLOSING_S = 5.0

_request_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Policy:
    """How connections are kept: longest pause between attempts, silence that is too long, and planned life; in seconds.

    ``rotate_at_s`` is the time of day, in seconds after midnight UTC, at which connections are best replaced; None: whenever.
    """

    reconnect_max_s: float
    stale_after_s: float
    life_s: float
    rotate_at_s: float | None = None


class Keeper:
    """One place in the pool: at any time one connection, or two while one takes over from the other."""

    def __init__(
        self, route: str, url: str, venue: Venue, intake: Intake, policy: Policy, *, admission: Admission | None = None, place: int = 0
    ) -> None:
        self.route = route
        self._admission = admission or Admission()
        self._place = place
        self.streams: tuple[str, ...] = ()
        self.reconnects = 0
        self._since_ns = time.time_ns()
        self._url = url
        self._venue = venue
        self._intake = intake
        self._policy = policy
        self._watchdog = Watchdog(policy.stale_after_s)
        self._current: Link | None = None
        self._links: list[Link] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._delays = self._fresh_delays()
        self._failures = 0
        self._said_at = 0.0

    def _fresh_delays(self) -> Iterator[float]:
        return backoff(max_s=self._policy.reconnect_max_s)

    @property
    def open(self) -> bool:
        """Whether a connection is open."""
        return self._current is not None and not self._current.closed

    @property
    def waiting(self) -> int:
        """Frames that have been received and not yet been taken."""
        return sum(link.waiting for link in self._links)

    @property
    def since_ns(self) -> int:
        """Since when the connection has been open, or down."""
        lost_ns = self._current.closed_ns if self._current is not None else None
        return lost_ns or self._since_ns

    def want(self, streams: Iterable[str]) -> None:
        """Follow exactly these streams; only the differences are asked for."""
        self.streams = tuple(streams)
        for link in self._links:
            link.want(self.streams)

    async def run(self) -> None:
        """Keep a connection until cancelled; then close what is open."""
        try:
            while True:
                link: Link | None = await self._connect()
                while link is not None:
                    self._take_over(link)
                    link = await self._serve(link)
        finally:
            await self._close_all()

    async def _serve(self, link: Link) -> Link | None:
        """Wait until the connection is lost (None) or another one has taken its place (that one)."""
        await link.attention.wait()
        if not link.closed:
            successor = await self._replace(link)
            if successor is not None:
                return successor
        await self._lost(link)
        return None

    async def _replace(self, old: Link) -> Link | None:
        """Open another connection while this one goes on delivering; None when this one was lost before."""
        _log.info("changing connection", extra={"route": self.route, "why": old.why_retired})
        while True:
            new = await self._connect()
            old.superseded = True
            if await self._proves(new, old):
                if old.closed:
                    self.reconnects += 1
                self._let_go(old)
                return new
            old.superseded = False
            self._let_go(new)
            if old.closed:
                return None
            pause = next(self._delays)
            why = new.why_closed or "it delivers nothing while the old one does"
            _log.warning(
                "new connection is no better, keeping the old one", extra={"route": self.route, "why": why, "retry_in_s": round(pause, 1)}
            )
            await asyncio.sleep(pause)

    async def _proves(self, new: Link, old: Link) -> bool:
        """Whether the new connection answers and delivers, or at least does no worse than the old one."""
        before = old.messages
        deadline = time.monotonic() + _PROOF_S
        while time.monotonic() < deadline and not new.closed:
            if new.proven:
                return True
            if old.closed:
                break
            await asyncio.sleep(_PROOF_STEP_S)
        return not new.closed and (old.closed or old.messages == before)

    async def _connect(self) -> Link:
        while True:
            await self._admitted()
            try:
                socket = await dial(self._url, self._venue)
            except VenueError as error:
                if isinstance(error, RateLimited):
                    self._admission.hold(time.monotonic(), error.retry_after_s)
                pause = pause_s(error, self._delays)
                self._say_unreachable(error, pause)
                await asyncio.sleep(pause)
                continue
            self._failures = 0
            _log.info("connected", extra={"route": self.route, "url": self._url, "streams": len(self.streams)})
            session = Session(
                self.streams,
                request_ids=_request_ids,
                watchdog=self._watchdog,
                now=time.monotonic(),
                rotate_after_s=rotate_after_s(time.time(), life_s=self._policy.life_s, at_s=self._policy.rotate_at_s, place=self._place),
            )
            link = Link(socket, self.route, self._venue, self._intake, session)
            self._links.append(link)
            return link

    async def _admitted(self) -> None:
        """Wait until this address may connect; the attempt is counted."""
        said = False
        while (wait_s := self._admission.wait_s(time.monotonic())) > 0:
            if not said:
                _log.warning("waiting before connecting", extra={"route": self.route, "wait_s": round(wait_s, 1)})
                said = True
            await asyncio.sleep(wait_s + random.random())  # noqa: S311 -- jitter: what waited together shall not come back together
        self._admission.attempt(time.monotonic())

    def _say_unreachable(self, error: VenueError, pause: float) -> None:
        self._failures += 1
        now = time.monotonic()
        if self._failures == 1 or now - self._said_at >= _SAID_EVERY_S:
            facts = {"route": self.route, "why": str(error), "attempts": self._failures, "retry_in_s": round(pause, 1)}
            _log.error("venue cannot be reached, trying again", extra=facts)
            self._said_at = now

    def _take_over(self, link: Link) -> None:
        if not self.open:
            self._since_ns = link.opened_ns
        self._current = link

    async def _lost(self, link: Link) -> None:
        self._since_ns = self.since_ns
        self._current = None
        self._links.remove(link)
        await link.ended()
        self.reconnects += 1
        proven = link.messages > 0 and self._since_ns - link.opened_ns >= _PROVEN_S * 1e9
        if proven:
            self._delays = self._fresh_delays()
        pause = 0.0 if proven else next(self._delays)
        _log.warning("connection lost", extra={"route": self.route, "why": link.why_closed, "retry_in_s": round(pause, 1)})
        await asyncio.sleep(pause)

    def _let_go(self, link: Link) -> None:
        self._links.remove(link)
        task = asyncio.create_task(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_all(self) -> None:
        for link in list(self._links):
            self._let_go(link)
        self._since_ns = time.time_ns()
        self._current = None
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSING_S)
