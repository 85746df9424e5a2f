"""Cointegration over many symbols: bars onto one grid, then the test of every pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from pipeline.analytics.screen import PairOutcome, screen_pairs
from pipeline.errors import TooShort, UsageError
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_last_bars
from pipeline.store.protocol import Warehouse

_MINIMUM_ROWS = 30


def screen(
    warehouse: Warehouse,
    symbols: Sequence[str],
    timeframe: Timeframe,
    *,
    lookback: int = 1_440,
    max_fill: int = 5,
    both_directions: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Test pairs of symbols on their last complete bars; nothing is saved.

    Args:
        warehouse: where the bars are.
        symbols: at least two; one without bars in the window is left out.
        timeframe: of the bars.
        lookback: intervals looked back on, up to the newest complete bar.
        max_fill: bars over which a silent symbol's close is carried forward.
        both_directions: test y on x and x on y; otherwise only the earlier symbol on the later.
        progress: called with pairs done and pairs in all.

    Returns:
        One row for each ordered pair, the strongest case first: y, x, statistic, p_value, q_value, used_lag, nobs, beta, alpha,
        half_life, outcome (``tested``, or why not); NULL where a number is not defined.

    Raises:
        UsageError: when fewer than two symbols are named.
        TooShort: when fewer than two of them have bars.
    """
    wanted = list(dict.fromkeys(symbols))
    if len(wanted) < 2:
        msg = f"a screen needs at least two different symbols; {len(wanted)} given: name more, or add them to the universe"
        raise UsageError(msg)
    grid = _closes(warehouse, wanted, timeframe, lookback, max_fill)
    names = [name for name in wanted if name in grid.columns]
    if len(names) < 2 or grid.height < _MINIMUM_ROWS:
        msg = f"{len(names)} of {len(wanted)} symbols have complete {timeframe} bars ({grid.height} rows); wait for bars, or backfill"
        raise TooShort(msg)
    prices = grid.select(names).to_numpy()
    found = screen_pairs(np.asarray(prices, dtype=np.float64), direction=None if both_directions else "forward", progress=progress)
    order = found.ranked()
    frame = pl.DataFrame(
        {
            "y": [names[column] for column in found.y[order]],
            "x": [names[column] for column in found.x[order]],
            **{name: getattr(found, name)[order] for name in _NUMBERS},
            "outcome": [PairOutcome(code).name.lower().replace("_", " ") for code in found.outcome[order].tolist()],
        }
    )
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None), pl.when(pl.col("used_lag") >= 0).then("used_lag").alias("used_lag"))


_NUMBERS = ("statistic", "p_value", "q_value", "used_lag", "nobs", "beta", "alpha", "half_life")


def _closes(warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, lookback: int, max_fill: int) -> pl.DataFrame:
    """One row for each interval of the window (``ts``), one column of closes for each symbol that has any; NULL where it is silent."""
    bars = load_last_bars(warehouse, symbols, timeframe, lookback + max_fill + 1, complete_only=True)
    if bars.is_empty():
        return pl.DataFrame({"ts": []})
    wide = bars.select("ts", "symbol", pl.col("close").cast(pl.Float64)).pivot(on="symbol", index="ts", values="close").sort("ts")
    step = timedelta(seconds=timeframe.seconds)
    first, newest = wide["ts"][0], wide["ts"][-1]
    grid = pl.datetime_range(first, newest, step, time_zone="UTC", time_unit="us", eager=True).alias("ts").to_frame()
    closes = grid.join(wide, on="ts", how="left")
    if max_fill:
        closes = closes.with_columns(pl.exclude("ts").forward_fill(limit=max_fill))
    return closes.tail(lookback)
