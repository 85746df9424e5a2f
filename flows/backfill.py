"""The exchange's candlesticks, where there are none yet."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from prefect import flow, get_run_logger

from flows.session import here, listed, run_name, session, tell, universe, with_retries
from pipeline.cli.process import require_own_kind
from pipeline.errors import UsageError
from pipeline.jobs.choice import chosen_symbols, chosen_timeframes, parsed_time
from pipeline.profile import Kind


@flow(
    name="backfill",
    description="Fetches the exchange's candlesticks that are missing, so that charts are full.",
    flow_run_name=run_name(
        lambda given: f"backfill {listed(given.get('timeframes'), 'every timeframe')} of {listed(given.get('symbols'), 'every symbol')}"
    ),
    timeout_seconds=7_200,
)
def backfill(
    *,
    symbols: list[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    source: Literal["rest"] = "rest",
    timeframes: list[str] | None = None,
    refetch: bool = False,
) -> int:
    """Fetch closed candlesticks by REST.

    Args:
        symbols: which of the universe's; all of them when not given.
        start: first open time; as far back as the setting backfill_hours and the models need when not given.
        end: candlesticks that open before it; now when not given.
        source: rest, the exchange's REST API.
        timeframes: which of the configured ones that the exchange has; all of those when not given.
        refetch: fetch what is here already, too.

    Returns:
        Candlesticks written.
    """
    profile, chosen = here()
    del source  # the only one so far; Prefect has checked it
    since, until = parsed_time(start, "start"), parsed_time(end, "end")
    if profile.kind is Kind.RECORDED and symbols is None and since is None:
        # What a replayed recording had before it began, nobody here can tell.
        get_run_logger().info("nothing to do: a recorded profile has no exchange to ask; name symbols or a start to ask nevertheless")
        return 0
    require_own_kind(profile, chosen)
    wanted = list(chosen_symbols(symbols, universe()))
    names = _offered([timeframe.name for timeframe in chosen_timeframes(timeframes, chosen)], asked=timeframes is not None)
    rows = with_retries(fetch_klines, wanted, names, since, until, refetch)
    written = sum(int(row["written"]) for row in rows)
    tell("backfill", f"{written} candlesticks written for {len(wanted)} symbols on {listed(names, 'no timeframe')}", rows)
    return written


def fetch_klines(
    symbols: list[str],
    timeframes: list[str],
    start: datetime | None,
    end: datetime | None,
    refetch: bool,  # noqa: FBT001
) -> list[dict[str, Any]]:
    """The work: one row for each symbol and timeframe."""
    from pipeline.jobs.backfill import backfill_klines, default_start
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.model.timeframe import Timeframe

    with session("backfill") as at, VenueRest(at.settings.rest_url) as rest:
        logger = get_run_logger()

        def begin(timeframe: Timeframe, until: datetime) -> datetime:
            return start or default_start(timeframe, until, hours=at.settings.backfill_hours, lookback=at.settings.lookback)

        def progress(done: int, of: int) -> None:
            if done % 50 == 0 or done == of:
                logger.info("page %d of %d", done, of)

        found = backfill_klines(
            at.warehouse,
            rest,
            symbols,
            [Timeframe.parse(name) for name in timeframes],
            start=begin,
            end=end,
            refetch=refetch,
            progress=progress,
        )
    times = ("first_ts", "last_ts")
    return [{name: str(value or "") if name in times else value for name, value in asdict(row).items()} for row in found]


def _offered(names: list[str], *, asked: bool) -> list[str]:
    """Those that the exchange has; the first that it has not is refused when it was asked for by name."""
    from pipeline.jobs.backfill import INTERVALS

    missing = [name for name in names if name not in INTERVALS]
    if missing and asked:
        msg = f"the exchange has no candlesticks of {missing[0]}; expected one of {', '.join(INTERVALS)}"
        raise UsageError(msg)
    return [name for name in names if name in INTERVALS]
