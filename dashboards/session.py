"""What one browser tab looks at: its topics, and how their values reach it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

from bokeh.document import Document
from panel.io.document import hold

from dashboards.hub import Hub, Topic

P = ParamSpec("P")
Show = Callable[[Topic, Any], None]


class Session:
    """Values come from the hub's threads, wait for the document's event loop, and are shown there all at once.

    A value that is overtaken before it was shown is never sent, so that a slow browser cannot pile up work. Between the
    making of the page and its arrival in the browser nothing is changed: Panel may drop what changes then.
    """

    def __init__(self, hub: Hub, document: Document, loop: asyncio.AbstractEventLoop) -> None:
        self._hub = hub
        self._document = document
        self._loop = loop
        self._lock = threading.Lock()
        self._shows: dict[Topic, list[Show]] = {}
        self._waiting: dict[Topic, Any] = {}
        self._scheduled = True  # until the page has arrived
        self._deferred: list[Callable[[], None]] = []
        self._arrived = False
        self._open = True
        self._settled: Callable[[], None] | None = None
        self._unseen: set[Topic] = set()
        self._awaited = 0

    @property
    def open(self) -> bool:
        """Whether the tab is still there."""
        return self._open

    @property
    def live(self) -> bool:
        """Whether the page has arrived in the browser, so that what is done there is heard here."""
        return self._arrived

    @property
    def document(self) -> Document:
        """The tab's document."""
        return self._document

    def want(self, owner: Show, topics: Iterable[Topic]) -> None:
        """Show exactly these topics by ``owner``; those that it wanted before are dropped."""
        wanted = set(topics)
        had = {topic for topic, shows in self._shows.items() if owner in shows}
        self._unseen |= wanted - self._shows.keys()
        for topic in had - wanted:
            self._unseen.discard(topic)
            self._shows[topic].remove(owner)
            if not self._shows[topic]:
                del self._shows[topic]
                self._hub.unsubscribe(topic, self._take)
                with self._lock:
                    self._waiting.pop(topic, None)
        for topic in wanted - had:
            first = topic not in self._shows
            self._shows.setdefault(topic, []).append(owner)
            if first:
                self._hub.subscribe(topic, self._take)

    def when_settled(self, act: Callable[[], None]) -> None:
        """Run ``act`` once, as soon as the page has arrived and everything that is wanted or ``awaited`` by then has been shown."""
        self._settled = act

    def awaited(self, done: Callable[P, None]) -> Callable[P, None]:
        """``done`` for something that is worked out elsewhere and belongs to the first sight of the page.

        The page has not settled before it was called, which is to happen once, in the document's event loop.
        """
        self._awaited += 1

        def called(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                done(*args, **kwargs)
            finally:
                self._awaited -= 1
                self._settle()

        return called

    def show_now(self) -> None:
        """Show what is known already at once, while the page is being made: it then arrives with the page itself."""
        self._show_waiting()

    def arrived(self) -> None:
        """The page is in the browser: from now on whatever comes is shown."""
        with self._lock:
            self._arrived = True
            self._scheduled = False
            deferred, self._deferred = self._deferred, []
        self._deliver()
        for act in deferred:
            act()

    def later(self, act: Callable[[], None]) -> None:
        """Run something in the document's event loop, not before the page has arrived; safe from any thread."""
        with self._lock:
            if not self._open:
                return
            if not self._arrived:
                self._deferred.append(act)
                return
        self._loop.call_soon_threadsafe(self._tick, act)

    def _tick(self, act: Callable[[], None]) -> None:
        """In the event loop, which takes documents down: one that has been, before this session was told, takes no callback."""
        if self._document.session_context is not None:
            self._document.add_next_tick_callback(act)

    def close(self) -> None:
        """The tab has gone."""
        self._open = False
        for topic in list(self._shows):
            self._hub.unsubscribe(topic, self._take)
        self._shows.clear()
        with self._lock:
            self._waiting.clear()
            self._deferred.clear()

    def _take(self, topic: Topic, value: Any) -> None:
        with self._lock:
            if not self._open:
                return
            self._waiting[topic] = value
            if self._scheduled:
                return
            self._scheduled = True
        self._loop.call_soon_threadsafe(self._tick, self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            self._scheduled = False
        self._show_waiting()

    def _show_waiting(self) -> None:
        with self._lock:
            ready, self._waiting = self._waiting, {}
        if not self._open:
            return
        with hold(self._document):
            for topic, value in ready.items():
                for show in list(self._shows.get(topic, ())):
                    show(topic, value)
                self._unseen.discard(topic)
            self._settle()

    def _settle(self) -> None:
        if self._settled is not None and self._arrived and not self._unseen and not self._awaited:
            settled, self._settled = self._settled, None
            settled()
