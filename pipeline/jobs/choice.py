"""What a batch job is to work on: names that a user gave, checked, or what is configured when none are given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.errors import UsageError, WarehouseUnavailable
from pipeline.model.pair import Pair, parse_symbol
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Profile, read_universe
from pipeline.settings import Settings


def chosen_timeframes(names: Sequence[str] | None, settings: Settings, *, shortest_s: int = 1) -> tuple[Timeframe, ...]:
    """The configured timeframes of at least ``shortest_s`` seconds, or those named, which must be among them; shortest first.

    Raises:
        UsageError: when a name is no timeframe, or is not configured.
    """
    configured = tuple(timeframe for timeframe in settings.parsed_timeframes if timeframe.seconds >= shortest_s)
    if names is None:
        return configured
    wanted = sorted({Timeframe.parse(name) for name in names})
    missing = [timeframe.name for timeframe in wanted if timeframe not in configured]
    if missing:
        there = ", ".join(timeframe.name for timeframe in configured)
        msg = f"timeframe {missing[0]!r} is not made here; expected one of {there}; add it to the setting timeframes"
        raise UsageError(msg)
    return tuple(wanted)


def published_universe(profile: Profile) -> Universe:
    """The profile's universe.

    Raises:
        WarehouseUnavailable: when the warehouse has not published it yet.
    """
    universe = read_universe(profile)
    if universe is None:
        msg = f"profile {profile.name!r} has no universe yet; the warehouse publishes it when it first starts: start it or wait"
        raise WarehouseUnavailable(msg)
    return universe


def chosen_symbols(names: Sequence[str] | None, universe: Universe, *, uploaded: bool = False) -> tuple[str, ...]:
    """The universe's symbols, or those named, which must be among them; ``uploaded``: those that a user brought as well.

    Raises:
        UsageError: when a name is no symbol, or is not in the universe.
    """
    there = universe.known if uploaded else universe.symbols
    if names is None:
        return there
    wanted = tuple(dict.fromkeys(parse_symbol(name) for name in names))
    missing = [symbol for symbol in wanted if symbol not in there]
    if missing and missing[0] in universe.uploaded:
        msg = f"symbol {missing[0]} holds uploaded data, which the exchange does not have; upload a file of it instead"
        raise UsageError(msg)
    if missing:
        msg = f"symbol {missing[0]} is not in the universe; add it first: `spreadwatch universe add {missing[0]}`"
        raise UsageError(msg)
    return wanted


def chosen_pairs(names: Sequence[str] | None, universe: Universe) -> tuple[PairSpec, ...]:
    """The universe's pairs, or those named, which must be among them.

    Raises:
        UsageError: when a name is no pair, or is not in the universe.
    """
    if names is None:
        return universe.pairs
    specs = {spec.pair: spec for spec in universe.pairs}
    wanted = tuple(dict.fromkeys(Pair.parse(name) for name in names))
    missing = [pair for pair in wanted if pair not in specs]
    if missing:
        msg = f"pair {missing[0]} is not in the universe; add it first: `spreadwatch universe add {missing[0]}`"
        raise UsageError(msg)
    return tuple(specs[pair] for pair in wanted)


def parsed_time(text: str | datetime | None, name: str) -> datetime | None:
    """A time that a user gave in ISO 8601, in UTC; without a zone it is taken as UTC.

    Raises:
        UsageError: when it is not understood.
    """
    if text is None:
        return None
    try:
        given = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        msg = f"{name} {text!r} is not understood; expected an ISO time such as 2026-11-22T14:00:00Z"
        raise UsageError(msg) from None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
