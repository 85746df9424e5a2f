"""Cointegration over many symbols: bars onto one grid, then the test of every pair."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from pipeline.analytics.screen import PairOutcome, screen_pairs
from pipeline.errors import TooShort, UsageError
from pipeline.model.timeframe import Timeframe
from pipeline.settings import Settings
from pipeline.store.bars import load_last_bars
from pipeline.store.partitions import Made, put_partitions
from pipeline.store.protocol import Warehouse
from pipeline.store.screens import is_known_screen, load_screen, prune_screens, save_screen

SHORTEST, LONGEST = 60, 100_000
"""Bounds of a screen's lookback, in bars."""

_MINIMUM_ROWS = 30
_TEST = ("statistic", "p_value", "q_value", "used_lag", "nobs", "beta", "alpha", "half_life")
_NUMBERS = (*_TEST, "hurst", "crossings", "correlation", "liquidity")
SHOWN = ("y", "x", *_NUMBERS)
"""Columns that tell of a pair, in the order in which they are shown."""

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Window:
    """What a screen looks at: closes on one grid.

    Attributes:
        closes: ``ts`` and one column of closes for each symbol that has any; NULL where it is silent for too long.
        liquidity: of each of those symbols its median quote volume of an interval; one without trades counts as 0.
        symbols: those columns, in the order that was asked for.
        timeframe: of the grid.
        lookback: intervals that were asked for; the grid may have fewer.
        request: hash of what was asked for.
        screen_id: hash of what was asked for and of the closes.
    """

    closes: pl.DataFrame
    liquidity: tuple[float, ...]
    symbols: tuple[str, ...]
    timeframe: Timeframe
    lookback: int
    request: str
    screen_id: str

    @property
    def start(self) -> datetime:
        """Open time of the first bar."""
        first: datetime = self.closes["ts"][0]
        return first

    @property
    def end(self) -> datetime:
        """End of the last bar."""
        last: datetime = self.closes["ts"][-1]
        return last + timedelta(seconds=self.timeframe.seconds)


@dataclass(frozen=True, slots=True)
class Screened:
    """A screen that is kept, or could be.

    Attributes:
        window: what it looked at.
        rows: as in the table ``screens``, by rank.
        written: whether it is new; False when the very same had been made before, or when it was only tried.
    """

    window: Window
    rows: pl.DataFrame
    written: bool

    def found(self, level: float) -> int:
        """Pairs with a q-value up to ``level``."""
        return self.rows.filter(pl.col("q_value") <= level).height


def default_timeframe(settings: Settings) -> Timeframe:
    """1m when it is configured; else the shortest of a minute or more; else the longest there is."""
    configured = settings.parsed_timeframes
    return next((timeframe for timeframe in configured if timeframe.seconds >= _MINUTE_S), configured[-1])


def screen(
    warehouse: Warehouse,
    symbols: Sequence[str],
    timeframe: Timeframe,
    *,
    lookback: int = 1_440,
    max_fill: int = 5,
    both_directions: bool = True,
    least_volume: float = 0.0,
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
        least_volume: median quote volume of a bar that both legs must have to be tested.
        progress: called with pairs done and pairs in all.

    Returns:
        One row for each ordered pair, the strongest case first: y, x, statistic, p_value, q_value, used_lag, nobs, beta, alpha,
        half_life, hurst, crossings, correlation, liquidity, outcome (``tested``, or why not); NULL where a number is not defined.

    Raises:
        UsageError: when fewer than two symbols are named, or the lookback is out of bounds.
        TooShort: when fewer than two of them have bars.
    """
    window = _window(warehouse, symbols, timeframe, lookback, max_fill, family=_family(least_volume, both_directions=both_directions))
    return _tested(window, least_volume, both_directions=both_directions, progress=progress)


def keep_screen(
    warehouse: Warehouse,
    symbols: Sequence[str],
    timeframe: Timeframe,
    *,
    now: datetime,
    keep: int,
    run: str,
    lookback: int = 1_440,
    max_fill: int = 5,
    both_directions: bool = True,
    least_volume: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Screened:
    """As ``screen``, and save it; what was asked for before, on the same closes, is taken from the table.

    Args:
        warehouse: where the bars are, and where the screen goes.
        symbols: at least two.
        timeframe: of the bars.
        now: ``made_at`` of a new screen.
        keep: how many screens of the timeframe stay; older ones are removed.
        run: who made it, for the ledger.
        lookback: see ``screen``.
        max_fill: see ``screen``.
        both_directions: see ``screen``.
        least_volume: see ``screen``.
        progress: see ``screen``.

    Raises:
        UsageError: see ``screen``.
        TooShort: see ``screen``.
    """
    window = _window(warehouse, symbols, timeframe, lookback, max_fill, family=_family(least_volume, both_directions=both_directions))
    if is_known_screen(warehouse, window.screen_id):
        rows = load_screen(warehouse, window.screen_id)
        put_partitions(warehouse, [_partition(window, rows.height)], run=run)  # in case that it ended in between last time
        return Screened(window, rows, written=False)
    tested = _tested(window, least_volume, both_directions=both_directions, progress=progress)
    rows = _as_kept(window, tested, now)
    save_screen(warehouse, rows)
    put_partitions(warehouse, [_partition(window, rows.height)], run=run)
    prune_screens(warehouse, keep=keep)
    return Screened(window, rows, written=True)


def try_screen(
    warehouse: Warehouse,
    symbols: Sequence[str],
    timeframe: Timeframe,
    *,
    now: datetime,
    lookback: int = 1_440,
    max_fill: int = 5,
    both_directions: bool = True,
    least_volume: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Screened:
    """What ``keep_screen`` would keep, of which nothing is saved.

    Args:
        warehouse: where the bars are.
        symbols: at least two.
        timeframe: of the bars.
        now: ``made_at`` of the rows.
        lookback: see ``screen``.
        max_fill: see ``screen``.
        both_directions: see ``screen``.
        least_volume: see ``screen``.
        progress: see ``screen``.

    Raises:
        UsageError: see ``screen``.
        TooShort: see ``screen``.
    """
    window = _window(warehouse, symbols, timeframe, lookback, max_fill, family=_family(least_volume, both_directions=both_directions))
    tested = _tested(window, least_volume, both_directions=both_directions, progress=progress)
    return Screened(window, _as_kept(window, tested, now), written=False)


def _as_kept(window: Window, tested: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Rows of the table ``screens``."""
    return tested.with_row_index("rank", offset=1).with_columns(
        pl.col("rank").cast(pl.Int64),
        pl.col("used_lag", "nobs").cast(pl.Int64),
        pl.lit(window.screen_id).alias("screen_id"),
        pl.lit(now).alias("made_at"),
        pl.lit(window.timeframe.name).alias("timeframe"),
        pl.lit(window.lookback, dtype=pl.Int64).alias("lookback"),
        pl.lit(window.start).alias("window_start"),
        pl.lit(window.end).alias("window_end"),
        pl.lit(len(window.symbols), dtype=pl.Int64).alias("symbols"),
        pl.lit(tested.filter(outcome="tested").height, dtype=pl.Int64).alias("tests"),
    )


def _family(least_volume: float, *, both_directions: bool) -> tuple[str, ...]:
    """What decides which pairs are tested, as texts."""
    return (str(both_directions), f"{least_volume:.17g}") if least_volume else (str(both_directions),)


def _window(
    warehouse: Warehouse, symbols: Sequence[str], timeframe: Timeframe, lookback: int, max_fill: int, *, family: tuple[str, ...]
) -> Window:
    wanted = list(dict.fromkeys(symbols))
    if len(wanted) < 2:
        msg = f"a screen needs at least two different symbols; {len(wanted)} given: name more, or add them to the universe"
        raise UsageError(msg)
    if not SHORTEST <= lookback <= LONGEST:
        msg = f"a screen's lookback is {lookback} bars; expected {SHORTEST} to {LONGEST}"
        raise UsageError(msg)
    grid, volumes = _closes(warehouse, wanted, timeframe, lookback, max_fill)
    names = [name for name in wanted if name in grid.columns]
    if len(names) < 2 or grid.height < _MINIMUM_ROWS:
        msg = f"{len(names)} of {len(wanted)} symbols have complete {timeframe} bars ({grid.height} rows); wait for bars, or backfill"
        raise TooShort(msg)
    closes = grid.select("ts", *names)
    request = hashlib.sha256("\x1f".join([timeframe.name, str(lookback), str(max_fill), *family, *wanted]).encode())
    data = request.copy()
    data.update("\x1f".join(["", closes["ts"][0].isoformat(), *names]).encode())
    data.update(np.ascontiguousarray(closes.select(names).fill_null(float("nan")).to_numpy(), dtype="<f8").tobytes())
    return Window(
        closes, tuple(volumes[name] for name in names), tuple(names), timeframe, lookback, request.hexdigest()[:8], data.hexdigest()[:32]
    )


def _partition(window: Window, rows: int) -> Made:
    day, days = window.start.date(), []
    while day <= (window.end - timedelta(microseconds=1)).date():
        days.append(day)
        day += timedelta(days=1)
    return Made(
        asset="screens",
        partition=f"{window.timeframe}/{window.end:%Y-%m-%dT%H:%M:%SZ}/{window.request}",
        complete=True,
        rows=rows,
        fingerprint=window.screen_id,
        timeframe=window.timeframe.name,
        day=window.end.date(),
        first_ts=window.start,
        last_ts=window.end,
        inputs=tuple(f"bars/{symbol}/{window.timeframe}/{day}" for symbol in window.symbols for day in days),
    )


def _tested(window: Window, least_volume: float, *, both_directions: bool, progress: Callable[[int, int], None] | None) -> pl.DataFrame:
    names = window.symbols
    found = screen_pairs(
        np.asarray(window.closes.select(names).to_numpy(), dtype=np.float64),
        direction=None if both_directions else "forward",
        liquidity=window.liquidity,
        least_liquidity=least_volume,
        progress=progress,
    )
    order = found.ranked()
    frame = pl.DataFrame(
        {
            "y": [names[column] for column in found.y[order]],
            "x": [names[column] for column in found.x[order]],
            **{name: getattr(found, name)[order] for name in _NUMBERS},
            "outcome": [PairOutcome(code).name.lower().replace("_", " ") for code in found.outcome[order].tolist()],
        }
    )
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None), pl.when(pl.col("used_lag") >= 0).then("used_lag").alias("used_lag"))
    return frame.with_columns(pl.col("crossings").cast(pl.Int64))


def _closes(
    warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, lookback: int, max_fill: int
) -> tuple[pl.DataFrame, dict[str, float]]:
    """The window's closes and the volumes.

    One row for each interval (``ts``), one column of closes for each symbol that has any, NULL where it is silent; and each symbol's
    median quote volume over those intervals.
    """
    bars = load_last_bars(warehouse, symbols, timeframe, lookback + max_fill + 1, complete_only=True)
    if bars.is_empty():
        return pl.DataFrame({"ts": []}), {}
    wide = bars.select("ts", "symbol", pl.col("close").cast(pl.Float64)).pivot(on="symbol", index="ts", values="close").sort("ts")
    step = timedelta(seconds=timeframe.seconds)
    first, newest = wide["ts"][0], wide["ts"][-1]
    grid = pl.datetime_range(first, newest, step, time_zone="UTC", time_unit="us", eager=True).alias("ts").to_frame()
    closes = grid.join(wide, on="ts", how="left")
    if max_fill:
        closes = closes.with_columns(pl.exclude("ts").forward_fill(limit=max_fill))
    closes = closes.tail(lookback)
    traded = bars.filter(pl.col("ts") >= closes["ts"][0]).with_columns(pl.col("quote_volume").cast(pl.Float64))
    volumes = closes.select("ts").join(traded.pivot(on="symbol", index="ts", values="quote_volume"), on="ts", how="left").fill_null(0.0)
    return closes, {name: float(np.median(volumes[name].to_numpy())) if name in volumes.columns else 0.0 for name in closes.columns[1:]}
