"""What every long-running command does: find its profile, set up logging, run until a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from pipeline.errors import ProvenanceError
from pipeline.profile import Kind, Profile, list_profiles, load_profile, open_profile
from pipeline.settings import Settings, settings

F = TypeVar("F", bound=Callable[..., object])

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})

DEFAULT_PROFILES = {Kind.LIVE: "live", Kind.SIMULATED: "demo", Kind.RECORDED: "replay"}


def profile_option(command: F) -> F:
    """Add ``--profile NAME``."""
    shown = "Profile to work on; the setting `profile` when left out."
    return click.option("--profile", "profile_name", metavar="NAME", help=shown)(command)


def existing_profile(name: str | None) -> Profile:
    """The named profile, or the one that the settings name.

    Raises:
        ProfileError: when there is none of that name.
    """
    chosen = settings()
    return load_profile(chosen.data_dir, name or chosen.profile)


def ensured_profile(name: str, kind: Kind, chosen: Settings) -> Profile:
    """The named profile, made when it is not there.

    Raises:
        ProfileError: when it is there and of another kind.
    """
    return open_profile(chosen.data_dir, name, kind, chosen.trade_stream, created_at=datetime.now(UTC).isoformat(timespec="seconds"))


def process_profile(name: str | None) -> Profile:
    """The profile of a process that is started alone: made, as a live one, when nothing of that name is there."""
    chosen = settings()
    name = name or chosen.profile
    if name in {profile.name for profile in list_profiles(chosen.data_dir)}:
        return load_profile(chosen.data_dir, name)
    return ensured_profile(name, Kind.LIVE, chosen)


def run_until_stopped(process: Callable[[asyncio.Event], Coroutine[Any, Any, object]]) -> None:
    """Run ``process(stop)`` with logging set up; SIGINT, SIGTERM and SIGHUP set ``stop``."""
    from pipeline.logs import configure

    configure(settings().log_level)

    async def body() -> None:
        stop = asyncio.Event()
        on_signals(stop.set)
        await process(stop)

    asyncio.run(body())


def on_signals(act: Callable[[], object]) -> None:
    """Call ``act`` in the running event loop at each signal that asks for the end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, act)


def effective_settings(profile: Profile) -> Settings:
    """The settings as they hold for a profile: one that is not live talks to the simulator unless told otherwise."""
    from pipeline.supervisor.plan import simulator_overrides

    chosen = settings()
    if profile.kind is Kind.LIVE:
        return chosen
    overrides = {name: value for name, value in simulator_overrides(chosen).items() if name not in chosen.model_fields_set}
    return chosen.model_copy(update=overrides)


def require_own_kind(profile: Profile, chosen: Settings) -> None:
    """Simulated data never enters a live profile, nor the other way round.

    Raises:
        ProvenanceError: when the venue's addresses do not fit the profile's kind.
    """
    for name in ("ws_market_url", "ws_public_url", "rest_url", "archive_url"):
        url: str = getattr(chosen, name)
        real = (urlsplit(url).hostname or "").endswith(("binance.com", "binance.vision"))
        local = urlsplit(url).hostname in _LOCAL
        if (profile.kind is Kind.LIVE and local) or (profile.kind is not Kind.LIVE and real):
            msg = f"profile {profile.name!r} is {profile.kind}, but {name} is {url}; name a profile of the other kind or change {name}"
            raise ProvenanceError(msg)
