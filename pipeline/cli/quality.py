"""Commands about the quality of the data: repair what is missing, and say what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option, require_own_kind
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.jobs.repair_gaps import Repaired


@click.command()
@profile_option
@click.option("--symbol", "symbols", multiple=True, metavar="S", help="Symbol, several times if need be; all when left out.")
@click.option("--most-requests", type=click.IntRange(min=1), default=2_000, show_default=True, help="Requests of 1,000 trades at most.")
@click.option(
    "--settled-after",
    "settled_after_s",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="Age at which ids that the venue does not have are taken as never given.",
)
def repair(*, profile_name: str | None, symbols: tuple[str, ...], most_requests: int, settled_after_s: float) -> None:
    """Fetch the trades that are missing; exit code 1 when gaps stay open."""
    from pipeline.jobs.choice import chosen_symbols, published_universe
    from pipeline.jobs.repair_gaps import OPEN

    profile = existing_profile(profile_name)
    chosen = effective_settings(profile)
    if profile.kind is Kind.RECORDED:
        click.echo(f"Profile {profile.name} is recorded: there is no exchange to ask for what is missing.")
        return
    require_own_kind(profile, chosen)
    universe = published_universe(profile)
    wanted = chosen_symbols(symbols, universe) if symbols else None
    found = _repaired(profile, chosen, wanted, universe.uploaded, most_requests, settled=timedelta(seconds=settled_after_s))
    for row in found:
        note = f": {row.note}" if row.note else ""
        click.echo(f"{row.symbol} {row.first}..{row.last} {row.state}, {row.fetched} of {row.missing} missing trades fetched{note}")
    still = sum(1 for row in found if row.state == OPEN)
    click.echo(f"{len(found)} gaps looked at, {sum(row.missing - row.left for row in found)} trades refilled, {still} gaps still open")
    sys.exit(1 if still else 0)


def _repaired(
    profile: Profile, chosen: Settings, symbols: Sequence[str] | None, uploaded: Sequence[str], most_requests: int, *, settled: timedelta
) -> list[Repaired]:
    """Beside a running warehouse, which lands; without one this process does, and holds the file only while it lands or reads."""
    from pipeline.jobs.repair_gaps import SOURCE, Place, repair_gaps
    from pipeline.jobs.turn import turn
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.journal import open_journal
    from pipeline.warehouse.either import EitherWarehouse

    journal = open_journal(profile, chosen)
    with (
        turn(profile, "repair_gaps"),
        VenueRest(chosen.rest_url) as rest,
        EitherWarehouse(profile, chosen, journal) as warehouse,
    ):
        place = Place(
            warehouse,
            journal,
            rest,
            profile.trade_stream,
            chosen.parsed_timeframes,
            landed=lambda: warehouse.land(SOURCE),
            klines_turn=lambda: turn(profile, "backfill", patience_s=20),
        )
        return repair_gaps(
            place, symbols=symbols, uploaded=uploaded, most_requests=most_requests, settled_after=settled, progress=_progress
        )


@click.command()
@profile_option
@click.option("--run", "now", is_flag=True, help="Run the checks now, rather than showing what the last run found.")
@click.option("--all", "everything", is_flag=True, help="Show what is well, too.")
def quality(*, profile_name: str | None, now: bool, everything: bool) -> None:
    """What is wrong with the data; exit code 1 when a check of severity error fails."""
    from pipeline.store import Role, open_warehouse
    from pipeline.store.quality import newest_checks

    profile = existing_profile(profile_name)
    if now:
        _check(profile)
    with open_warehouse(profile, Role.READER) as warehouse:
        found = newest_checks(warehouse)
    if found.is_empty():
        click.echo(f"Nothing has been checked in profile {profile.name} yet; `spreadwatch quality --run` does it.")
        return
    counts = {state: int((found["state"] == state).sum()) for state in ("error", "warn", "unknown", "ok")}
    shown = [row for row in found.iter_rows(named=True) if everything or row["state"] in ("error", "warn")]
    for row in shown:
        where = f"{row['subject']} {row['timeframe']}".strip()
        blocks = "; no models and screens with it" if row["blocking"] and row["state"] == "error" else ""
        click.echo(
            f"{row['state']:<8} {row['name']:<11} {where:<24} since {row['since']:%Y-%m-%d %H:%M:%S} UTC  {row['detail']}{blocks}".rstrip()
        )
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    newest = max(found["checked_at"].to_list())
    click.echo(f"{found.height} checks at {newest:%Y-%m-%d %H:%M:%S} UTC: {told}")
    sys.exit(1 if counts["error"] else 0)


def _check(profile: Profile) -> None:
    from pipeline.jobs.check_quality import check_quality, scope_of, venue_offset
    from pipeline.jobs.choice import published_universe
    from pipeline.jobs.turn import turn
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.store import Role, open_warehouse

    chosen = effective_settings(profile)
    scope = scope_of(profile, chosen, published_universe(profile), None, chosen.parsed_timeframes, everything=True)
    with (
        turn(profile, "check_quality"),
        open_warehouse(profile, Role.WRITER) as warehouse,
        VenueRest(chosen.rest_url, patience_s=0, timeout_s=5) as rest,
    ):
        ask = None if profile.kind is Kind.RECORDED else venue_offset(rest)
        check_quality(warehouse, scope, now=datetime.now(UTC), run="cli:quality", ask_offset=ask)


def _progress(done: int, of: int) -> None:
    """A counter on one line of the terminal; nothing when standard error is not one."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of} missing trades asked for\x1b[K", nl=False, err=True)
        if done >= of:
            click.echo("\r\x1b[K", nl=False, err=True)
