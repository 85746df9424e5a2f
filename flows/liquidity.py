"""How easily each symbol trades."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from flows.batch import batch_flow
from flows.session import here, listed, progress, run_name, session, tell, universe, with_retries
from pipeline.jobs.choice import chosen_timeframes


@batch_flow(
    name="liquidity",
    description="Measures spread, price impact and volume of each symbol over its last complete bars.",
    flow_run_name=run_name(lambda given: f"measure liquidity on {listed(given.get('timeframes'), 'every timeframe')}"),
    timeout_seconds=900,
)
def liquidity(timeframes: list[str] | None = None, window: Annotated[int, Field(ge=3, le=10_000)] = 50) -> int:
    """Measure every symbol of the universe at each five minutes that are due.

    Args:
        timeframes: which of the configured ones; all of them when not given.
        window: bars that are looked back on.

    Returns:
        Rows written.
    """
    names = [timeframe.name for timeframe in chosen_timeframes(timeframes, here()[1])]
    symbols = list(universe().symbols)
    written, newest = with_retries(measure, symbols, names, window)
    tell("liquidity", f"{written} rows written for {len(symbols)} symbols on {listed(names, 'no timeframe')}", newest)
    return written


def measure(symbols: list[str], timeframes: list[str], window: int) -> tuple[int, list[dict[str, Any]]]:
    """The work: how many rows were written, and the newest of each symbol and timeframe."""
    from pipeline.jobs.liquidity import measure_liquidity
    from pipeline.model.timeframe import Timeframe

    with session("liquidity") as at:
        parsed = [Timeframe.parse(name) for name in timeframes]
        found = measure_liquidity(at.warehouse, symbols, parsed, window=window, run=at.run, progress=progress("liquidity measured"))
    newest = {(row.symbol, row.timeframe): row for row in found}
    return len(found), [asdict(row) | {"ts": row.ts.isoformat()} for row in newest.values()]
