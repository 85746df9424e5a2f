"""What every view has: a panel that is built when first shown, topics while it is shown, a part in the address."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from panel.viewable import Viewable

from dashboards.clock import Clock
from dashboards.link import Link
from dashboards.session import Session
from dashboards.theme import Palette
from pipeline.errors import SpreadwatchError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Profile, read_universe
from pipeline.settings import Settings

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What the process has, for every view of every session.

    ``link`` is the connection for what a user asks for: one query at a time, beside the hub's own. ``workers`` run what must not
    hold up the event loop.
    """

    profile: Profile
    settings: Settings
    link: Link
    workers: ThreadPoolExecutor
    prefect_url: str
    prefect_auth: tuple[str, str] | None = field(default=None, repr=False)
    channels: tuple[str, ...] | None = None
    """Names of the alert channels; None when they cannot be read here."""

    @property
    def universe(self) -> Universe:
        """The universe as last published; what the settings say before the warehouse has run."""
        published = read_universe(self.profile)
        if published is not None:
            return published
        specs = tuple(PairSpec(Pair.parse(text), self.settings.primary_method, self.settings.lookback) for text in self.settings.pairs)
        return Universe(self.settings.symbols, specs)

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """The configured timeframes, shortest first."""
        return self.settings.parsed_timeframes


@dataclass(slots=True)
class Desk:
    """What one session gives its views."""

    context: Context
    session: Session
    colours: Palette
    remember: Callable[[dict[str, str]], None]
    """Puts parts of a view's state into the address."""
    go: Callable[[str, dict[str, str]], None]
    """Opens another view with parts of its state."""
    toast: Callable[[str, str], None]
    """Shows a short message: kind (``success``, ``error``, ``info``) and text."""
    query: dict[str, str] = field(default_factory=dict)
    """What the address said when the page was opened."""
    clock: Clock = field(default_factory=Clock)
    """How times are told."""
    user: str = "dashboard"
    """Whose session it is, for what is written under a name."""
    operator: bool = True
    """Whether the user may change rules and universe, start flows and upload; who may not sees that, and is refused by the server too."""

    def work(self, do: Callable[[], T], done: Callable[[T | None, str], None]) -> None:
        """Run ``do`` beside the event loop, then ``done`` in it, with its value, or with None and what went wrong in words."""
        session = self.session

        def finished(future: Future[T]) -> None:
            error = future.exception()
            if error is None:
                session.later(lambda: done(future.result(), ""))
                return
            if not isinstance(error, SpreadwatchError):
                _log.error("work for a page failed", exc_info=error)
            text = str(error) or type(error).__name__
            session.later(lambda: done(None, text))

        self.context.workers.submit(do).add_done_callback(finished)


class View(Protocol):
    """One tab."""

    def panel(self) -> Viewable:
        """The view's contents; the same object every time."""
        ...

    def shown(self) -> None:
        """The tab was opened: want topics."""
        ...

    def hidden(self) -> None:
        """The tab was left: want none."""
        ...

    def restyle(self, colours: Palette) -> None:
        """The theme changed."""
        ...

    def opened(self, query: dict[str, str]) -> None:
        """The view was asked for with parts of its state."""
        ...

    def state(self) -> dict[str, str]:
        """The parts of its state that belong into the address."""
        ...


ViewFactory = Callable[[Desk], Any]
