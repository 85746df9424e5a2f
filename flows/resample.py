"""Bars of the larger timeframes from ticks, whatever is due."""

from dataclasses import asdict
from typing import Any

from flows.batch import batch_flow
from flows.session import here, listed, run_name, session, tell, with_retries
from pipeline.jobs.choice import chosen_timeframes


@batch_flow(
    name="resample",
    description="Writes the bars that trades have touched since the last run, and marks those that are complete.",
    flow_run_name=run_name(lambda given: f"resample {listed(given.get('timeframes'), 'every timeframe')}"),
    timeout_seconds=1_800,
)
def resample(timeframes: list[str] | None = None) -> int:
    """Write the bars that are due.

    Args:
        timeframes: which of the configured ones, such as ["1m", "5m"]; all of them when not given.

    Returns:
        Bars written.
    """
    names = [timeframe.name for timeframe in chosen_timeframes(timeframes, here()[1], shortest_s=2)]
    rows = with_retries(write_bars, names)
    bars = sum(int(row["bars"]) for row in rows)
    tell("resample", f"{bars} bars written on {listed(names, 'no timeframe')}", rows)
    return bars


def write_bars(names: list[str]) -> list[dict[str, Any]]:
    """The work: one row for each timeframe, with the bars written."""
    from pipeline.jobs.resample import resample as write
    from pipeline.model.timeframe import Timeframe

    with session("resample") as at:
        return [asdict(row) for row in write(at.warehouse, [Timeframe.parse(name) for name in names], run=at.run)]
