"""How easily each symbol trades."""

from dataclasses import asdict
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.session import here, listed, run_name, session, tell, universe, with_retries
from pipeline.jobs.choice import chosen_timeframes


@flow(
    name="liquidity",
    description="Measures spread, price impact and volume of each symbol over its last complete bars.",
    flow_run_name=run_name(lambda given: f"measure liquidity on {listed(given.get('timeframes'), 'every timeframe')}"),
    timeout_seconds=900,
)
def liquidity(timeframes: list[str] | None = None, window: Annotated[int, Field(ge=3, le=10_000)] = 50) -> int:
    """Measure every symbol of the universe.

    Args:
        timeframes: which of the configured ones; all of them when not given.
        window: bars that are looked back on.

    Returns:
        Rows written.
    """
    names = [timeframe.name for timeframe in chosen_timeframes(timeframes, here()[1])]
    symbols = list(universe().symbols)
    rows = with_retries(measure, symbols, names, window)
    tell("liquidity", f"{len(rows)} rows written for {len(symbols)} symbols on {listed(names, 'no timeframe')}", rows)
    return len(rows)


def measure(symbols: list[str], timeframes: list[str], window: int) -> list[dict[str, Any]]:
    """The work: the rows written."""
    from pipeline.jobs.liquidity import measure_liquidity
    from pipeline.model.timeframe import Timeframe

    with session("liquidity") as at:
        found = measure_liquidity(at.warehouse, symbols, [Timeframe.parse(name) for name in timeframes], window=window)
    return [asdict(row) | {"ts": row.ts.isoformat()} for row in found]
