"""Trades that were missed, asked for again."""

from dataclasses import asdict
from typing import Annotated, Any

from prefect import get_run_logger
from pydantic import Field

from flows.batch import batch_flow
from flows.session import here, listed, progress, run_name, session, tell, universe, with_retries
from pipeline.cli.process import require_own_kind
from pipeline.jobs.choice import chosen_symbols
from pipeline.profile import Kind


@batch_flow(
    name="repair_gaps",
    description="Fetches the trades that are missing, through the journal, and settles the gaps that nobody can fill.",
    flow_run_name=run_name(lambda given: f"repair gaps of {listed(given.get('symbols'), 'every symbol')}"),
    timeout_seconds=3_600,
)
def repair_gaps(*, symbols: list[str] | None = None, most_requests: Annotated[int, Field(ge=1, le=10_000)] = 150) -> int:
    """Refill the gaps by REST, within the request budget that all of this address share.

    Args:
        symbols: which of the universe's; everything that is missing when not given.
        most_requests: most requests of 1,000 trades in this run; the next one goes on.

    Returns:
        Trades that were missing and are there now.
    """
    profile, chosen = here()
    if profile.kind is Kind.RECORDED:
        get_run_logger().info("nothing to do: a recorded profile has no exchange to ask")
        return 0
    require_own_kind(profile, chosen)
    wanted = list(chosen_symbols(symbols, universe())) if symbols else None
    rows = with_retries(refill, wanted, most_requests)
    filled = sum(int(row["missing"]) - int(row["left"]) for row in rows)
    still = sum(1 for row in rows if row["state"] == "open")
    tell("repair-gaps", f"{filled} missing trades refilled in {len(rows)} gaps, {still} of them still open", rows)
    return filled


def refill(symbols: list[str] | None, most_requests: int) -> list[dict[str, Any]]:
    """The work: one row for each gap."""
    from pipeline.jobs.choice import published_universe
    from pipeline.jobs.landed import wait_until_landed
    from pipeline.jobs.repair_gaps import SOURCE, Place
    from pipeline.jobs.repair_gaps import repair_gaps as repair
    from pipeline.jobs.turn import turn
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.journal import open_journal

    with session("repair_gaps") as at, VenueRest(at.settings.rest_url) as rest:
        journal = open_journal(at.profile, at.settings)
        place = Place(
            at.warehouse,
            journal,
            rest,
            at.profile.trade_stream,
            at.settings.parsed_timeframes,
            landed=lambda: wait_until_landed(at.warehouse, journal, SOURCE),
            klines_turn=lambda: turn(at.profile, "backfill", patience_s=20),
        )
        uploaded = published_universe(at.profile).uploaded
        found = repair(
            place, symbols=symbols, uploaded=uploaded, most_requests=most_requests, progress=progress("missing trades asked for")
        )
    return [asdict(row) for row in found]
