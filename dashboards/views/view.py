"""What every view has: a panel that is built when first shown, topics while it is shown, a part in the address."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from panel.viewable import Viewable

from dashboards.access.account import LOCAL, Account
from dashboards.access.logins import Access
from dashboards.asking import ask_for
from dashboards.clock import Clock
from dashboards.link import Link
from dashboards.prefect import Prefect
from dashboards.session import Session
from dashboards.theme import Palette
from pipeline.errors import SpreadwatchError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Profile, read_universe
from pipeline.settings import Settings
from pipeline.store.requests import Change

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What the process has, for every view of every session.

    ``link`` is the connection for what a user asks for: one query at a time, beside the hub's own. ``workers`` run what must not
    hold up the event loop. Sessions of viewers have a context of their own, whose link reads only.
    """

    profile: Profile
    settings: Settings
    link: Link
    workers: ThreadPoolExecutor
    access: Access
    prefect_url: str
    prefect_auth: tuple[str, str] | None = field(default=None, repr=False)
    channels: tuple[str, ...] | None = None
    """Names of the alert channels; None when they cannot be read here."""

    @property
    def prefect(self) -> Prefect:
        """The Prefect server of the platform."""
        return Prefect(f"{self.prefect_url}/api", self.prefect_auth)

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
    account: Account = LOCAL
    """Whose session it is."""

    @property
    def user(self) -> str:
        """What is written as who did something."""
        return self.account.name

    @property
    def operator(self) -> bool:
        """Whether the user may change rules and universe, start flows and upload; who may not sees that, and is refused by ``permit``."""
        return self.account.operator

    def permit(self, what: str) -> None:
        """The gate in front of whatever changes something: call it right before, with words that follow "may".

        Raises:
            NotAllowed: when the user is a viewer, or is no longer logged in.
        """
        self.context.access.permit(self.account, what)

    def ask(self, change: Change) -> str | None:
        """Ask the warehouse for a change and wait a few seconds for what becomes of it; None when it has not said. Beside the event loop.

        Raises:
            NotAllowed: see ``permit``.
            StoreError: when the warehouse does not take the request.
        """
        self.permit("change rules, alerts and the universe")
        return ask_for(self.context.link, change)

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

    def follow(self, universe: Universe) -> None:
        """Symbols or pairs were added or removed: offer those that there are now, keep what is chosen as far as it is still there."""
        ...

    def opened(self, query: dict[str, str]) -> None:
        """The view was asked for with parts of its state."""
        ...

    def state(self) -> dict[str, str]:
        """The parts of its state that belong into the address."""
        ...


ViewFactory = Callable[[Desk], Any]
