"""How easily each symbol trades: the metrics of its last bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.analytics.arrays import FloatArray, require_window
from pipeline.analytics.liquidity import MINIMUM_WINDOW, Liquidity, taker_imbalance
from pipeline.analytics.liquidity import liquidity as measure
from pipeline.errors import AnalyticsError, UsageError
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_bars
from pipeline.store.liquidity import (
    END_OF_TIME_US,
    Progress,
    first_bars,
    liquidity_followed,
    liquidity_progress,
    measured_until,
    newest_bar_end,
    quoted_spreads,
    save_liquidity,
    touched_spans,
)
from pipeline.store.protocol import Warehouse

_AVERAGED = ("amihud", "roll_spread", "corwin_schultz", "volume_percentile")
_NO_QUOTES = "quoted spread: no quotes in this bar"
GRID_S = 300
"""Measurements stand on bars that end at a multiple of so many seconds."""
_SECOND_US = 1_000_000
_DAY_S = 86_400
_DAY_US = _DAY_S * _SECOND_US
_AT_FIRST_US = 7 * _DAY_US


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of ``liquidity``: one symbol over its last ``window_bars`` complete bars, up to the bar at ``ts``.

    A metric that is not defined is None, and ``notes`` says why.

    Attributes:
        symbol: whose.
        timeframe: of the bars.
        ts: open time of the bar measured at, whether the symbol traded in it or not.
        window_bars: bars that were there in the window.
        volume: base units traded in the window.
        quote_volume: quote currency traded in the window.
        trades: number of trades in the window.
        taker_imbalance: ``(buys - sells) / volume`` of takers over the window.
        amihud: mean absolute log return per unit of quote currency.
        roll_spread: effective relative spread after Roll.
        corwin_schultz: relative spread after Corwin and Schultz.
        quoted_spread: best ask minus best bid in that bar, weighted by time.
        quoted_spread_bps: the same in basis points of the mid.
        volume_percentile: share of the window's bars whose quote volume is at most the last one's.
        notes: why something is missing.
    """

    symbol: str
    timeframe: str
    ts: datetime
    window_bars: int
    volume: float | None
    quote_volume: float | None
    trades: int | None
    taker_imbalance: float | None
    amihud: float | None
    roll_spread: float | None
    corwin_schultz: float | None
    quoted_spread: float | None
    quoted_spread_bps: float | None
    volume_percentile: float | None
    notes: str | None


def measure_liquidity(
    warehouse: Warehouse,
    symbols: Sequence[str],
    timeframes: Iterable[Timeframe],
    *,
    window: int,
    every_s: int = GRID_S,
    run: str = "direct",
    progress: Callable[[int, int], None] | None = None,
) -> list[Measured]:
    """Measure every symbol on every timeframe at each grid time that is due, and save it; repeating changes nothing.

    The grid is the bars that end at a multiple of ``every_s`` (each bar when they are longer). Due is what lies between the
    newest measurement and the newest complete bar (at first: up to a week), and what lies behind it with a bar in its window
    that a late trade or a candlestick has touched since. So one run does what many would, and any two sequences of runs over the
    same data leave the same rows.

    Args:
        warehouse: where bars and quotes come from, and measurements go to.
        symbols: which.
        timeframes: which.
        window: bars that are looked back on, at least 3.
        every_s: distance of measurements, in seconds; a divisor of a day.
        run: who asks, for the ledger of partitions.
        progress: called with measurements done and in all.

    Raises:
        TooShort: when the window is shorter than 3 bars.
        UsageError: when ``every_s`` does not divide a day.
    """
    if every_s < 1 or _DAY_S % every_s:
        msg = f"measurements every {every_s} s do not divide a day; choose a divisor of {_DAY_S}, such as 300"
        raise UsageError(msg)
    require_window(window, MINIMUM_WINDOW)
    ahead = liquidity_progress(warehouse)
    names = list(symbols)
    due = {timeframe: _due(warehouse, names, timeframe, ahead, window=window, every_s=every_s) for timeframe in timeframes}
    chunks = [(timeframe, day, keys) for timeframe, keys_by_day in due.items() for day, keys in sorted(keys_by_day.items())]
    of = sum(len(keys) for *_, keys in chunks)
    done: list[Measured] = []
    looked_at = 0
    for timeframe, _, keys in chunks:
        rows = _measure(warehouse, timeframe, keys, window)
        every_us = max(every_s * _SECOND_US, timeframe.us)
        save_liquidity(warehouse, pl.DataFrame([asdict(row) for row in rows], schema=_SCHEMA), every_us=every_us, run=run)
        done += rows
        looked_at += len(keys)
        if progress is not None:
            progress(looked_at, of)
    liquidity_followed(warehouse, list(due), ahead)
    return done


def _due(
    warehouse: Warehouse, symbols: list[str], timeframe: Timeframe, ahead: Progress, *, window: int, every_s: int
) -> dict[int, list[tuple[str, int]]]:
    """Symbols and open times (microseconds) of the bars to be measured at, by UTC day; in order."""
    if ahead.until_us is None:
        return {}
    step = max(every_s * _SECOND_US, timeframe.us)
    measured = measured_until(warehouse, symbols, timeframe)
    new = [symbol for symbol in symbols if symbol not in measured]
    newest = ahead.until_us
    if newest >= END_OF_TIME_US:
        newest = newest_bar_end(warehouse, symbols, timeframe) or 0
    firsts = first_bars(warehouse, new, timeframe, since_us=newest - _AT_FIRST_US) if new else {}
    keys: set[tuple[str, int]] = set()
    for symbol in symbols:
        after = measured[symbol] if symbol in measured else firsts.get(symbol, newest) - timeframe.us
        keys |= {(symbol, ts) for ts in _grid(after + 1, newest - timeframe.us, step, timeframe.us)}
    reach = (window + 1) * timeframe.us
    for symbol, first, last in touched_spans(warehouse, symbols, timeframe):
        until = min(timeframe.bucket_us(last) + reach, measured.get(symbol, -1), newest - timeframe.us)
        since = max(timeframe.bucket_us(first), newest - _AT_FIRST_US)
        keys |= {(symbol, ts) for ts in _grid(since, until, step, timeframe.us)}
    by_day: dict[int, list[tuple[str, int]]] = {}
    for symbol, ts in sorted(keys, key=lambda key: (key[1], key[0])):
        by_day.setdefault(ts // _DAY_US, []).append((symbol, ts))
    return by_day


def _grid(first_us: int, last_us: int, step_us: int, length_us: int) -> range:
    """Open times from ``first_us`` to ``last_us`` inclusive of bars that end at a multiple of the step."""
    begin = -(-(first_us + length_us) // step_us) * step_us - length_us
    return range(begin, last_us + 1, step_us)


def _measure(warehouse: Warehouse, timeframe: Timeframe, keys: list[tuple[str, int]], window: int) -> list[Measured]:
    """One row for each key with a bar in its window."""
    low, high = _time(keys[0][1] - (window + 1) * timeframe.us), _time(keys[-1][1] + timeframe.us)
    symbols = sorted({symbol for symbol, _ in keys})
    bars = load_bars(warehouse, symbols, timeframe, start=low, end=high, complete_only=True)
    parts = {str(name): _Bars(part) for (name,), part in bars.group_by("symbol", maintain_order=True)}
    quoted = {
        (symbol, ts): (width, bps)
        for symbol, ts, width, bps, _ in quoted_spreads(warehouse, symbols, [_time(ts) for _, ts in keys], timeframe).iter_rows()
    }
    rows = []
    for symbol, ts in keys:
        inside = parts[symbol].window(ts, window + 2, timeframe) if symbol in parts else None
        if inside is not None:
            rows.append(_measured(symbol, timeframe, _time(ts), inside, window=window, quoted=quoted.get((symbol, _time(ts)))))
    return rows


class _Bars:
    """The complete bars of one symbol as columns, to be cut into windows."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._ts = frame["ts"].dt.epoch("us").to_numpy()
        self._columns = {name: frame[name].cast(pl.Float64).to_numpy() for name in _INPUTS}

    def window(self, ts_us: int, intervals: int, timeframe: Timeframe) -> dict[str, FloatArray] | None:
        """The bars of the last intervals up to the one that opens at ``ts_us``; None when there is none."""
        begin = int(np.searchsorted(self._ts, ts_us - (intervals - 1) * timeframe.us))
        end = int(np.searchsorted(self._ts, ts_us, side="right"))
        return {name: column[begin:end] for name, column in self._columns.items()} if end > begin else None


def _measured(
    symbol: str, timeframe: Timeframe, ts: datetime, columns: dict[str, FloatArray], *, window: int, quoted: tuple[float, float] | None
) -> Measured:
    """One row, from bars in time order: the window and up to two before it, which returns need."""
    bars = columns["close"].size
    notes = [] if quoted else [_NO_QUOTES]
    averaged = dict.fromkeys(_AVERAGED, math.nan)
    try:
        last = measure(**columns, window=window)
        averaged = {name: _last(last, name) for name in _AVERAGED}
    except AnalyticsError as error:
        notes.append(str(error))
    else:
        notes += [f"{name}: {_reason(name, bars, window)}" for name, value in averaged.items() if math.isnan(value)]
    inside = {name: column[-window:] for name, column in columns.items()}
    volume, bought = float(inside["volume"].sum()), float(inside["taker_buy_volume"].sum())
    trades = float(inside["trades"].sum())
    return Measured(
        symbol=symbol,
        timeframe=timeframe.name,
        ts=ts,
        window_bars=inside["close"].size,
        volume=_defined(volume),
        quote_volume=_defined(float(inside["quote_volume"].sum())),
        trades=int(trades) if math.isfinite(trades) else None,
        taker_imbalance=_defined(float(taker_imbalance(np.array([volume]), np.array([bought]))[0])),
        **{name: _defined(value) for name, value in averaged.items()},
        quoted_spread=quoted[0] if quoted else None,
        quoted_spread_bps=quoted[1] if quoted else None,
        notes="; ".join(notes) or None,
    )


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


def _last(metrics: Liquidity, name: str) -> float:
    values: FloatArray = getattr(metrics, name)
    return float(values[-1])


def _reason(name: str, bars: int, window: int) -> str:
    needed = window + {"roll_spread": 2, "amihud": 1, "corwin_schultz": 1}.get(name, 0)
    if bars < needed:
        return f"{bars} complete bars, {needed} are needed"
    return "not defined for these bars" if name != "roll_spread" else "successive returns are not negatively correlated"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


_INPUTS = ("high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "symbol": pl.String,
    "timeframe": pl.String,
    "ts": pl.Datetime("us", "UTC"),
    "window_bars": pl.Int64,
    "volume": pl.Float64,
    "quote_volume": pl.Float64,
    "trades": pl.Int64,
    "taker_imbalance": pl.Float64,
    "amihud": pl.Float64,
    "roll_spread": pl.Float64,
    "corwin_schultz": pl.Float64,
    "quoted_spread": pl.Float64,
    "quoted_spread_bps": pl.Float64,
    "volume_percentile": pl.Float64,
    "notes": pl.String,
}
