"""One reader for all sessions: it watches the warehouse's commit number and reads only what somebody looks at.

Every session says which topics it shows. A thread asks five times a second whether anything has been
landed; when it has, each wanted topic whose time has come is read once, and those whose value changed are handed to
the sessions that want them. The number of queries depends on what is looked at, never on how many look.
Topics that ask somebody else than the warehouse run in a lane of their own, so that they never hold it up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from dashboards.link import Link
from pipeline.errors import SpreadwatchError, StoreError, WarehouseUnavailable
from pipeline.store import Warehouse
from pipeline.store.health import JournalClock, load_clock

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_RETRY_S = 1.0
_QUIET_S = 6.0
_KEEP_S = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What every read is given: when it happens, by the journal and by the machine."""

    clock: JournalClock
    now: datetime

    @property
    def time(self) -> datetime:
        """Journal time: what "now" is for data."""
        return self.clock.journal_time


class Topic(Hashable, Protocol):
    """Something that can be looked at. Equal topics are read once for everybody."""

    @property
    def every_s(self) -> float:
        """Least time between two reads."""
        ...

    @property
    def from_warehouse(self) -> bool:
        """Whether it is read from the warehouse, and so only changes with a commit."""
        ...

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The value now; ``before`` itself when nothing changed. ``warehouse`` and ``moment`` are given to topics of the warehouse."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    """How the dashboard stands to the warehouse.

    Attributes:
        state: ``connecting``, ``ok``, ``quiet`` (it answers, but lands nothing), ``ended`` (a recording is over) or ``down``.
        since: since when, by the clock of this machine.
        clock: where landing stood when last heard of.
        problem: what was said when it does not answer, or what could not be read.
    """

    state: str
    since: datetime
    clock: JournalClock | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StatusTopic:
    """The hub's own status."""

    every_s: float = 0.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """Never called: the hub tells its status itself."""
        return before


STATUS = StatusTopic()

Listener = Callable[[Topic, Any], None]


@dataclass(slots=True)
class _Entry:
    """What is known of one topic."""

    listeners: list[Listener] = field(default_factory=list)
    value: Any = None
    read_at: float = -1e9
    commit_no: int = -1
    failed: str = ""
    left_at: float = 0.0


class Hub:
    """Started once a process; sessions subscribe and unsubscribe."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._entries: dict[Topic, _Entry] = {}
        self._status = Status("connecting", datetime.now(UTC))
        self._stop = threading.Event()
        self._wake = {True: threading.Event(), False: threading.Event()}
        self._threads: list[threading.Thread] = []
        self._changed_at = time.monotonic()
        self.queries = 0

    def start(self) -> None:
        """Start both lanes."""
        for own, name in ((True, "hub"), (False, "hub-outside")):
            thread = threading.Thread(target=self._run, args=(own,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop them, and let go of the warehouse."""
        self._stop.set()
        for event in self._wake.values():
            event.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._link.drop()

    @property
    def watched(self) -> tuple[Topic, ...]:
        """The topics that somebody looks at."""
        with self._lock:
            return tuple(topic for topic, entry in self._entries.items() if entry.listeners)

    @property
    def status(self) -> Status:
        """The newest status."""
        return self._status

    def subscribe(self, topic: Topic, listener: Listener) -> None:
        """Call ``listener`` (in a thread of the hub) with the value, now if it is known and whenever it changes."""
        with self._lock:
            entry = self._entries.setdefault(topic, _Entry())
            entry.listeners.append(listener)
            value = self._status if topic is STATUS else entry.value
        if value is not None:
            listener(topic, value)
        self._wake[topic.from_warehouse].set()

    def unsubscribe(self, topic: Topic, listener: Listener) -> None:
        """No more calls. A topic that nobody wants is read no more; what it was is kept a while, so that the next page starts with it."""
        with self._lock:
            entry = self._entries.get(topic)
            if entry is None:
                return
            entry.listeners = [other for other in entry.listeners if other != listener]
            entry.left_at, entry.failed = time.monotonic(), ""

    def refresh(self, topic: Topic) -> None:
        """Read the topic as soon as possible, whatever its interval: something was just asked for."""
        with self._lock:
            if topic in self._entries:
                self._entries[topic].read_at, self._entries[topic].commit_no = -1e9, -1
        self._wake[topic.from_warehouse].set()

    # ------------------------------------------------------------------------------------------------ lanes

    def _run(self, own: bool) -> None:  # noqa: FBT001  argument of a thread
        wake = self._wake[own]
        while not self._stop.is_set():
            pause = _POLL_S
            try:
                if own:
                    self._pass_warehouse()
                else:
                    self._pass_outside()
            except WarehouseUnavailable as error:
                self._say(Status("down", self._since("down"), self._status.clock, str(error)))
                pause = _RETRY_S
            except Exception as error:  # noqa: BLE001  a thread's boundary: the hub must outlive whatever one read does
                _log.exception("hub pass failed")
                self._say(Status("down", self._since("down"), self._status.clock, f"{type(error).__name__}: {error}"))
                pause = _RETRY_S
            wake.wait(pause)
            wake.clear()

    def _pass_warehouse(self) -> None:
        clock = self._ask(load_clock)
        if clock is None:
            self._say(Status("connecting", self._since("connecting"), None, "the warehouse has landed nothing yet"))
            return
        now = time.monotonic()
        known = self._status.clock
        if known is None or clock.commit_no != known.commit_no or self._status.state in ("down", "connecting"):
            self._changed_at = now
        moment = Moment(clock, datetime.now(UTC))
        for topic, entry in self._due(own=True, commit_no=clock.commit_no):
            self._read(topic, entry, moment)
        with self._lock:
            problem = next((entry.failed for entry in self._entries.values() if entry.failed), "")
        state = "ended" if clock.ended else "quiet" if now - self._changed_at > _QUIET_S else "ok"
        self._say(Status(state, self._since(state), clock, problem))

    def _pass_outside(self) -> None:
        for topic, entry in self._due(own=False, commit_no=0):
            self._read(topic, entry, None)

    def _due(self, *, own: bool, commit_no: int) -> list[tuple[Topic, _Entry]]:
        now = time.monotonic()
        with self._lock:
            gone = [topic for topic, entry in self._entries.items() if not entry.listeners and now - entry.left_at > _KEEP_S]
            for topic in gone:
                del self._entries[topic]
            return [
                (topic, entry)
                for topic, entry in self._entries.items()
                if topic is not STATUS
                and entry.listeners
                and topic.from_warehouse is own
                and now - entry.read_at >= topic.every_s
                and (entry.commit_no != commit_no or not own)
            ]

    def _read(self, topic: Topic, entry: _Entry, moment: Moment | None) -> None:
        """Read one topic and tell its listeners when it changed."""
        entry.read_at = time.monotonic()
        entry.commit_no = moment.clock.commit_no if moment else 0
        try:
            value = (
                self._ask(lambda warehouse: topic.read(warehouse, moment, entry.value)) if moment else topic.read(None, None, entry.value)
            )
        except WarehouseUnavailable:
            raise
        except SpreadwatchError as error:
            if entry.failed != str(error):
                _log.warning("topic cannot be read", extra={"topic": repr(topic), "error": str(error)})
            entry.failed = str(error)
            return
        entry.failed = ""
        if value is entry.value:
            return
        with self._lock:
            entry.value = value
            listeners = list(entry.listeners)
        for listener in listeners:
            listener(topic, value)

    def _ask(self, read: Callable[[Warehouse], Any]) -> Any:
        self.queries += 1
        try:
            return self._link.use(read)
        except WarehouseUnavailable:
            raise
        except StoreError as error:
            if "closed" in str(error).lower():
                self._link.drop()
            raise

    def _since(self, state: str) -> datetime:
        return self._status.since if self._status.state == state else datetime.now(UTC)

    def _say(self, status: Status) -> None:
        if status == self._status:
            return
        with self._lock:
            self._status = status
            entry = self._entries.get(STATUS)
            listeners = list(entry.listeners) if entry else []
        for listener in listeners:
            listener(STATUS, status)
