"""How easily each symbol trades: the metrics of its last bars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.liquidity import Liquidity, taker_imbalance
from pipeline.analytics.liquidity import liquidity as measure
from pipeline.errors import AnalyticsError
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_last_bars
from pipeline.store.liquidity import quoted_spreads, save_liquidity
from pipeline.store.protocol import Warehouse

_AVERAGED = ("amihud", "roll_spread", "corwin_schultz", "volume_percentile")
_NO_QUOTES = "quoted spread: no quotes in this bar"


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of ``liquidity``: one symbol over its last ``window_bars`` complete bars, up to the bar at ``ts``.

    A metric that is not defined is None, and ``notes`` says why.

    Attributes:
        symbol: whose.
        timeframe: of the bars.
        ts: open time of the newest complete bar.
        window_bars: bars that were there.
        volume: base units traded in the window.
        quote_volume: quote currency traded in the window.
        trades: number of trades in the window.
        taker_imbalance: ``(buys - sells) / volume`` of takers over the window.
        amihud: mean absolute log return per unit of quote currency.
        roll_spread: effective relative spread after Roll.
        corwin_schultz: relative spread after Corwin and Schultz.
        quoted_spread: best ask minus best bid in the newest bar, weighted by time.
        quoted_spread_bps: the same in basis points of the mid.
        volume_percentile: share of the window's bars whose quote volume is at most the newest one's.
        notes: why something is missing.
    """

    symbol: str
    timeframe: str
    ts: datetime
    window_bars: int
    volume: float | None
    quote_volume: float | None
    trades: int
    taker_imbalance: float | None
    amihud: float | None
    roll_spread: float | None
    corwin_schultz: float | None
    quoted_spread: float | None
    quoted_spread_bps: float | None
    volume_percentile: float | None
    notes: str | None


def measure_liquidity(warehouse: Warehouse, symbols: Sequence[str], timeframes: Iterable[Timeframe], *, window: int) -> list[Measured]:
    """Measure and save every symbol on every timeframe that has complete bars; repeating before a new bar changes nothing.

    Raises:
        TooShort: when the window is shorter than 3 bars.
    """
    done = []
    for timeframe in timeframes:
        bars = load_last_bars(warehouse, list(symbols), timeframe, window + 3, complete_only=True)
        parts = {str(name): part.tail(window + 2) for (name,), part in bars.group_by("symbol", maintain_order=True)}
        quoted = _quoted(warehouse, timeframe, {symbol: part["ts"][-1] for symbol, part in parts.items()})
        done += [_measured(symbol, timeframe, part, window, quoted.get(symbol)) for symbol, part in parts.items()]
    save_liquidity(warehouse, pl.DataFrame([asdict(row) for row in done], schema=_SCHEMA))
    return done


def _quoted(warehouse: Warehouse, timeframe: Timeframe, newest: dict[str, datetime]) -> dict[str, tuple[float, float]]:
    """Quoted spread and its basis points in each symbol's newest bar."""
    found: dict[str, tuple[float, float]] = {}
    for ts in sorted(set(newest.values())):
        here = [symbol for symbol, own in newest.items() if own == ts]
        frame = quoted_spreads(warehouse, here, start=ts, end=ts + timedelta(seconds=timeframe.seconds))
        found |= {symbol: (width, bps) for symbol, width, bps, _ in frame.iter_rows()}
    return found


def _measured(symbol: str, timeframe: Timeframe, bars: pl.DataFrame, window: int, quoted: tuple[float, float] | None) -> Measured:
    """One row, from bars in time order: the window and up to two before it, which returns need."""
    columns = {name: bars[name].cast(pl.Float64).to_numpy() for name in _INPUTS}
    notes = [] if quoted else [_NO_QUOTES]
    averaged = dict.fromkeys(_AVERAGED, math.nan)
    try:
        last = measure(**columns, window=window)
        averaged = {name: _last(last, name) for name in _AVERAGED}
    except AnalyticsError as error:
        notes.append(str(error))
    else:
        notes += [f"{name}: {_reason(name, bars.height, window)}" for name, value in averaged.items() if math.isnan(value)]
    inside = bars.tail(window)
    volume, bought = float(inside["volume"].sum()), float(inside["taker_buy_volume"].sum())
    return Measured(
        symbol=symbol,
        timeframe=timeframe.name,
        ts=bars["ts"][-1],
        window_bars=inside.height,
        volume=volume,
        quote_volume=float(inside["quote_volume"].sum()),
        trades=int(inside["trades"].sum()),
        taker_imbalance=_defined(float(taker_imbalance(np.array([volume]), np.array([bought]))[0])),
        **{name: _defined(value) for name, value in averaged.items()},
        quoted_spread=quoted[0] if quoted else None,
        quoted_spread_bps=quoted[1] if quoted else None,
        notes="; ".join(notes) or None,
    )


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
