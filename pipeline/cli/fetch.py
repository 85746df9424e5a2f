"""`spreadwatch backfill --source rest|archive`: the exchange's past, with a line that says how it goes."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pipeline.cli.process import effective_settings, existing_profile, require_own_kind

if TYPE_CHECKING:
    from pipeline.jobs.backfill import Backfilled

_TERMINAL_EVERY_S = 0.2
_PLAIN_EVERY_S = 10.0


def fetch(
    profile_name: str | None,
    symbols: tuple[str, ...],
    timeframes: tuple[str, ...],
    *,
    what: tuple[str, ...],
    start: str | None,
    end: str | None,
    source: str,
    refetch: bool,
) -> None:
    """Fetch what is missing, and say what it came to.

    Raises:
        UsageError: when it cannot be fetched.
        VenueError: when the venue does not answer as needed.
        DataError: when files of the archive cannot be used.
    """
    from pipeline.jobs.backfill import Order, Source, What, backfill, legs_first, turn_of, venue_timeframes
    from pipeline.jobs.choice import chosen_symbols, chosen_timeframes, parsed_time, published_universe
    from pipeline.jobs.turn import turn
    from pipeline.logs import configure
    from pipeline.warehouse.backfill import backfill_place

    profile = existing_profile(profile_name)
    chosen = effective_settings(profile)
    require_own_kind(profile, chosen)
    configure("WARNING")
    universe = published_universe(profile)
    named = chosen_timeframes(timeframes or None, chosen, shortest_s=1 if timeframes else 60)
    order = Order(
        legs_first(chosen_symbols(symbols or None, universe), universe),
        named if timeframes else venue_timeframes(named),
        parsed_time(end, "--to") or datetime.now(UTC),
        what=tuple(What(one) for one in what),
        source=Source(source),
        start=parsed_time(start, "--from"),
        refetch=refetch,
        hours=chosen.backfill_hours,
        lookback=chosen.lookback,
    )
    began = time.monotonic()
    done: list[Backfilled] = []
    for one in What:
        if one in order.what:
            part = replace(order, what=(one,))
            line = ProgressLine(one)
            with turn(profile, turn_of(part)), backfill_place(profile, chosen, run="cli:backfill") as place:
                try:
                    done += backfill(place, part, line)
                finally:
                    line.end()
    _say(done, time.monotonic() - began)


class ProgressLine:
    """How far it is: one line that is written anew on a terminal, now and then a plain line elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._open = False

    def __call__(self, done: int, of: int, rows: int) -> None:
        """Show it, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_EVERY_S if self._terminal else _PLAIN_EVERY_S):
            return
        self._shown = now
        spent = now - self._began
        left = spent / done * (of - done) if done else 0.0
        text = (
            f"{self._what}: {done} of {of} steps, {100 * done // max(of, 1)} %, {rows:,} rows at {rows / spent:,.0f}/s, {_clock(left)} left"
        )
        if self._terminal:
            click.echo(f"\r{text}\x1b[K", nl=False, err=True)
            self._open = True
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the terminal a clean line."""
        if self._open:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._open = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(done: list[Backfilled], seconds: float) -> None:
    klines = [row for row in done if row.timeframe]
    trades = [row for row in done if not row.timeframe]
    parts = [
        f"{sum(row.written for row in rows)} {name} of {len({row.symbol for row in rows})} symbols written"
        for name, rows in (("klines", klines), ("trades", trades))
        if rows
    ]
    click.echo(f"{', '.join(parts)} ({seconds:.1f} s)")
    for row in done:
        for note in row.notes:
            click.echo(f"  {row.symbol} {row.timeframe or 'trades'}: {note}", err=True)
