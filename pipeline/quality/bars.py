"""Does a bar agree with itself?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.quality.finding import Finding, Severity, State, unknown

NAME = "ohlc"

_ROUNDING = 1e-9
"""Relative: vwap is a quotient of two sums as doubles."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one symbol and timeframe in time order; ``ts_us`` open times in microseconds, the rest doubles.

    A vwap is NaN where nothing was traded. Conversion from exact decimals keeps order, so that comparisons between
    columns mean the same here.
    """

    ts_us: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    taker_buy_volume: NDArray[np.float64]
    vwap: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.ts_us.size)


def broken(bars: Bars) -> dict[str, NDArray[np.bool_]]:
    """For each rule, the bars that break it. A number that is not finite breaks the rule that it belongs to."""
    low, high = bars.low, bars.high
    traded = ~np.isnan(bars.vwap)
    return {
        "a price is not above zero": ~((low > 0) & np.isfinite(high) & np.isfinite(bars.open) & np.isfinite(bars.close)),
        "open is outside low and high": ~((low <= bars.open) & (bars.open <= high)),
        "close is outside low and high": ~((low <= bars.close) & (bars.close <= high)),
        "taker_buy_volume is outside 0 and volume": ~((bars.taker_buy_volume >= 0) & (bars.taker_buy_volume <= bars.volume)),
        "vwap is outside low and high": traded & ~((bars.vwap >= low * (1 - _ROUNDING)) & (bars.vwap <= high * (1 + _ROUNDING))),
    }


def judge_ohlc(symbol: str, timeframe: str, bars: Bars) -> Finding:
    """Every bar: ``0 < low <= open, close <= high``, ``0 <= taker_buy_volume <= volume``, ``low <= vwap <= high``."""
    if not len(bars):
        return unknown(NAME, symbol, timeframe, Severity.ERROR, "no bars yet", blocking=True)
    rules = broken(bars)
    bad = np.logical_or.reduce(list(rules.values()))
    count = int(bad.sum())
    detail = ""
    if count:
        at = int(np.flatnonzero(bad)[0])
        rule = next(rule for rule, where in rules.items() if where[at])
        detail = f"{count} of {len(bars)} bars, first at {shown(bars.ts_us[at])}: {rule}"
    return Finding(NAME, symbol, timeframe, Severity.ERROR, State.ERROR if count else State.OK, float(count), 0.0, detail, blocking=True)


def shown(ts_us: int | np.int64) -> str:
    """A time as people read it."""
    return f"{datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(ts_us)):%Y-%m-%d %H:%M:%S} UTC"
