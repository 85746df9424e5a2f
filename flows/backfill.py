"""The exchange's candlesticks and trades of the past, where there are none yet."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from prefect import get_run_logger

from flows.batch import batch_flow
from flows.session import here, listed, progress, run_name, session, tell, universe, with_retries
from flows.uploading import take_file
from pipeline.cli.process import require_own_kind
from pipeline.jobs.choice import chosen_symbols, chosen_timeframes, parsed_time
from pipeline.profile import Kind

if TYPE_CHECKING:
    from pipeline.jobs.backfill import Order

_LOG_EVERY_S = 30.0
# A month from the archive may take long, and scheduled runs meanwhile have nothing better to do than to wait for it.
_PATIENCE_S = 5 * 3_600.0


@batch_flow(
    name="backfill",
    description="Fetches the exchange's candlesticks and trades that are missing, so that charts are full.",
    flow_run_name=run_name(
        lambda given: (
            f"backfill {' and '.join(given.get('what') or ['klines'])} {listed(given.get('timeframes'), 'every timeframe')} "
            f"of {listed(given.get('symbols'), 'every symbol')} from {given.get('source', 'rest')}"
        )
    ),
    timeout_seconds=6 * 3_600,
)
def backfill(
    *,
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    source: str = "rest",
    what: list[Literal["klines", "trades"]] | None = None,
    timeframes: list[str] | None = None,
    refetch: bool = False,
) -> int:
    """Fetch the days that are missing or not whole, newest first, candlesticks before trades.

    Args:
        symbols: which of the universe's; all of them when not given.
        start: first time; as far back as the setting backfill_hours and the models need when not given.
        end: before this time; now when not given.
        source: rest (the exchange's REST API; trades of the past 48 hours only) or archive (its daily and monthly files), or the path
            of your own CSV of bars or trades on this machine, which becomes the one symbol that is named.
        what: klines, trades, or both; klines when not given.
        timeframes: which of the configured ones that the exchange has; all of those when not given.
        refetch: fetch what is here already, too.

    Returns:
        Candlesticks and trades written.
    """
    from pipeline.jobs.backfill import Order, Source, What, legs_first, venue_timeframes

    if source not in set(Source):
        return take_file(source, symbols, timeframes, ranged=bool(start or end))
    profile, chosen = here()
    since, until = parsed_time(start, "start"), parsed_time(end, "end")
    if profile.kind is Kind.RECORDED and symbols is None and since is None:
        # What a replayed recording had before it began, nobody here can tell.
        get_run_logger().info("nothing to do: a recorded profile has no exchange to ask; name symbols or a start to ask nevertheless")
        return 0
    require_own_kind(profile, chosen)
    followed = universe()
    frames = chosen_timeframes(timeframes, chosen)
    # Made before the first try: a second one means the same days.
    order = Order(
        legs_first(chosen_symbols(symbols, followed), followed),
        frames if timeframes is not None else venue_timeframes(frames),
        until or datetime.now(UTC),
        what=tuple(dict.fromkeys(What(one) for one in what or ["klines"])),
        source=Source(source),
        start=since,
        refetch=refetch,
        hours=chosen.backfill_hours,
        lookback=chosen.lookback,
    )
    order.check(profile, datetime.now(UTC))
    # Candlesticks first and on their own: trades may take hours, and the scheduled run must not wait for them.
    rows = [row for one in What if one in order.what for row in with_retries(fetch, replace(order, what=(one,)))]
    written = sum(int(row["written"]) for row in rows)
    named = " and ".join(order.what)
    tell("backfill", f"{written} rows of {named} written for {len(order.symbols)} symbols from {source}", rows)
    return written


def fetch(order: "Order") -> list[dict[str, Any]]:
    """The work: one row for each symbol and timeframe, and for each symbol's trades."""
    import time

    from pipeline.jobs.backfill import Place, turn_of
    from pipeline.jobs.backfill import backfill as fetch_missing
    from pipeline.jobs.venue_archive import VenueArchive
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.journal import open_journal

    with (
        session(turn_of(order), patience_s=_PATIENCE_S) as at,
        VenueRest(at.settings.rest_url) as rest,
        VenueArchive(at.settings.archive_url) as archive,
    ):
        logger = get_run_logger()
        bar = progress(f"backfill of {' and '.join(order.what)} from {order.source}")
        began = told = time.monotonic()

        def moved(done: int, of: int, rows: int) -> None:
            nonlocal told
            bar(done, of)
            now = time.monotonic()
            if now - told >= _LOG_EVERY_S:
                told = now
                left_s = (now - began) / done * (of - done) if done else 0.0
                logger.info("%d of %d steps, %d rows, %.0f rows/s, about %.0f s left", done, of, rows, rows / (now - began), left_s)

        place = Place(at.profile, at.warehouse, open_journal(at.profile, at.settings), rest, archive, at.run)
        found = fetch_missing(place, order, moved)
        for row in found:
            for note in row.notes:
                logger.warning("%s %s: %s", row.symbol, row.timeframe or "trades", note)
    return [_shown(row) for row in found]


def _shown(row: Any) -> dict[str, Any]:
    told = asdict(row)
    times = {name: str(told[name] or "") for name in ("first_ts", "last_ts")}
    return {**told, **times, "timeframe": row.timeframe or "trades", "notes": "; ".join(row.notes)}
