"""The life of one connection as pure logic: what to send and when to give up, with the time passed in.

Capture owns the socket. It creates a `Session` for every connection, tells it what happens, and does
what `Session.poll` says. Time is any number of seconds that never runs backwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.model.event import Control
from pipeline.venues.watchdog import Watchdog

MAX_STREAMS: Final = 200
"""Most streams of one connection."""
ROTATE_AFTER_S: Final = 23 * 3_600.0
"""Default age at which a connection is replaced, before the venue ends it at 24 h."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The streams of one connection. ``route`` is the venue's name of the address that carries them."""

    route: str
    streams: tuple[str, ...]


def plan_connections(
    streams: Iterable[str],
    route: Callable[[str], str],
    *,
    current: Sequence[Plan] = (),
    max_streams: int = MAX_STREAMS,
) -> tuple[Plan, ...]:
    """Spread streams over connections, routes apart, at most ``max_streams`` each.

    A stream that ``current`` has stays where it is, so that a change of the universe disturbs no other
    stream; a plan that has lost all its streams keeps its place, empty (its connection can be closed).
    """
    wanted = dict.fromkeys(streams)
    plans = [Plan(plan.route, tuple(stream for stream in plan.streams if stream in wanted)) for plan in current]
    placed = {stream for plan in plans for stream in plan.streams}
    for stream in wanted:
        if stream in placed:
            continue
        to = route(stream)
        at = next((at for at, plan in enumerate(plans) if plan.route == to and len(plan.streams) < max_streams), None)
        if at is None:
            plans.append(Plan(to, (stream,)))
        else:
            plans[at] = Plan(to, (*plans[at].streams, stream))
    return tuple(plans)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send a subscription for these streams under this id."""

    request_id: int
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Send an end of subscription for these streams under this id."""

    request_id: int
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """These streams are too silent and will be subscribed anew: for the log and the health table, nothing to send."""

    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused these streams; they are not asked for again on this connection."""

    streams: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close this connection and open another: it does not deliver."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rotate:
    """Open another connection, and close this one when the other is `Session.live`. Said once."""

    reason: str


Action: TypeAlias = Subscribe | Unsubscribe | Resubscribe | Rejected | Reconnect | Rotate


class Session:
    """One connection from its opening to its end.

    Args:
        streams: what the connection shall carry.
        request_ids: gives ids that no other session of the process uses, so that an answer on an old
            connection can never confirm a request on a new one; ``itertools.count(1)`` shared by all.
        watchdog: silence of the streams. Pass the same one on to the session that replaces this one, and
            from then on poll only the new one.
        now: the time of opening.
        ack_timeout_s: a request without an answer for this long ends the connection.
        rotate_after_s: age at which the connection is replaced.
        batch: most streams in one request.
        per_second: most requests in any second; venues count pongs too, so stay below their limit.
    """

    def __init__(
        self,
        streams: Iterable[str],
        *,
        request_ids: Iterator[int],
        watchdog: Watchdog,
        now: float,
        ack_timeout_s: float = 10.0,
        rotate_after_s: float = ROTATE_AFTER_S,
        batch: int = 50,
        per_second: int = 5,
    ) -> None:
        self._ids = request_ids
        self._watchdog = watchdog
        self._ack_timeout_s = ack_timeout_s
        self._rotate_at = now + rotate_after_s
        self._rotate_reason: str | None = None
        self._rotated = False
        self._batch = batch
        self._per_second = per_second
        self._wanted: dict[str, None] = {}
        self._confirmed: set[str] = set()
        self._to_end: dict[str, None] = {}
        self._to_ask: dict[str, None] = {}
        self._pending: dict[int, tuple[Subscribe | Unsubscribe, float]] = {}
        self._sent: deque[float] = deque(maxlen=per_second)
        self._rejected: list[Rejected] = []
        self._parts: deque[tuple[str, ...]] = deque()
        streams = tuple(streams)
        watchdog.forget(set(watchdog.streams).difference(streams))
        self.want(streams, now)

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the connection shall carry."""
        return tuple(self._wanted)

    @property
    def live(self) -> bool:
        """Every wanted stream is confirmed, and a message has come on at least one of them (or none is wanted).

        Where the connection that this one replaces still reports to the same watchdog, the message may be from there.
        """
        if not self._confirmed.issuperset(self._wanted):
            return False
        return not self._wanted or len(self._watchdog.waiting()) < len(self._wanted)

    def want(self, streams: Iterable[str], now: float) -> None:
        """Change what the connection shall carry; only the differences are asked for."""
        new = dict.fromkeys(streams)
        gone = [stream for stream in self._wanted if stream not in new]
        added = [stream for stream in new if stream not in self._wanted]
        self._wanted = new
        for stream in gone:
            if stream in self._to_ask:
                del self._to_ask[stream]
            else:
                self._to_end[stream] = None
            self._confirmed.discard(stream)
        for stream in added:
            self._to_ask[stream] = None
        self._watchdog.forget(gone)
        self._watchdog.watch(added, now)

    def seen(self, stream: str, now: float) -> None:
        """A message of a stream came. Called for every message."""
        self._watchdog.seen(stream, now)

    def answered(self, control: Control) -> bool:
        """An answer came; False when it answers no open request of this connection, and is then ignored.

        A refused request is asked again in two halves, so that one stream that the venue does not have takes no other with it.
        """
        entry = self._pending.pop(control.request_id, None) if control.request_id is not None else None
        if entry is None:
            return False
        request, _ = entry
        if isinstance(request, Unsubscribe):
            return True
        if control.error is None:
            self._confirmed.update(stream for stream in request.streams if stream in self._wanted)
            return True
        half = len(request.streams) // 2
        if half:
            self._parts += (request.streams[:half], request.streams[half:])
            return True
        for stream in request.streams:
            self._wanted.pop(stream, None)
        self._watchdog.forget(request.streams)
        self._rejected.append(Rejected(request.streams, control.error))
        return True

    def shutdown_announced(self) -> None:
        """The venue said that it will close this connection."""
        self._rotate_reason = "the venue announced that it will close the connection"

    def poll(self, now: float) -> list[Action]:
        """What to do now, in order. Call it a few times a second, and after every change."""
        overdue = next((entry for entry in self._pending.items() if now - entry[1][1] >= self._ack_timeout_s), None)
        if overdue is not None:
            return [Reconnect(f"request {overdue[0]} was not answered within {self._ack_timeout_s:g} s")]
        dead = self._watchdog.dead(now)
        if dead:
            return [Reconnect(f"{len(dead)} of {len(self._wanted)} streams stay silent, such as {dead[0]}")]
        actions: list[Action] = list(self._rejected)
        self._rejected.clear()
        stale = self._watchdog.stale(now)
        if stale:
            actions.append(Resubscribe(stale))
            for stream in stale:
                self._to_end[stream] = None
                self._to_ask[stream] = None
        actions += self._requests(now)
        if now >= self._rotate_at and self._rotate_reason is None:
            self._rotate_reason = "the connection is old enough to be replaced"
        if self._rotate_reason is not None and not self._rotated:
            self._rotated = True
            actions.append(Rotate(self._rotate_reason))
        return actions

    def _requests(self, now: float) -> Iterator[Action]:
        """Requests that the limit allows now. Ends go before beginnings: a stream subscribed anew has both."""
        while self._to_end or self._parts or self._to_ask:
            if len(self._sent) == self._per_second and now - self._sent[0] < 1.0:
                return
            kind, streams = self._next_request()
            if not streams:
                continue
            request = kind(next(self._ids), streams)
            self._sent.append(now)
            self._pending[request.request_id] = (request, now)
            yield request

    def _next_request(self) -> tuple[type[Unsubscribe | Subscribe], tuple[str, ...]]:
        if self._parts and not self._to_end:
            return Subscribe, tuple(stream for stream in self._parts.popleft() if stream in self._wanted and stream not in self._to_ask)
        queue, kind = (self._to_end, Unsubscribe) if self._to_end else (self._to_ask, Subscribe)
        streams = tuple(queue)[: self._batch]
        for stream in streams:
            del queue[stream]
        return kind, streams
