"""Prices that no neighbour traded at.

A bad print differs from a fast market in that the market is elsewhere before *and* after it. So a bar is held against the
range of its traded neighbours on both sides, and what lies outside it against a robust band.

Sources: the identifier ``|x - centre| > g * 1.4826 * MAD`` of Hampel (1974, JASA 69) and Davies and Gather (1993, JASA 88);
the neighbourhood of traded prices on both sides, with the floor that keeps quiet markets from tripping it, of Brownlees and
Gallo (2006, Computational Statistics & Data Analysis 51, section 3).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.quality.bars import Bars, shown
from pipeline.quality.finding import Finding, Severity, State, unknown

NAME = "outliers"

NEIGHBOURS = 5
"""Traded bars looked at on each side. Their second most extreme price counts, so that one more bad bar beside hides nothing."""

WARN_SDS, WARN_FLOOR = 20.0, 0.005
ERROR_SDS, ERROR_FLOOR = 40.0, 0.02
"""Band: so many robust standard deviations of a one-bar log return, and never less than this part of the price."""

_MAD_TO_SD = 1.4826


def outlying(bars: Bars) -> NDArray[np.float64]:
    """How far each bar reaches beyond its neighbours, as a log return; 0 inside their range.

    NaN for the first and last ``NEIGHBOURS`` bars, which have not enough of them yet.
    """
    reach = np.full(len(bars), np.nan)
    if len(bars) < 2 * NEIGHBOURS + 1:
        return reach
    with np.errstate(divide="ignore", invalid="ignore"):
        high, low = np.log(bars.high), np.log(bars.low)
    ceilings = np.partition(sliding_window_view(high, NEIGHBOURS), -2, axis=1)[:, -2]
    floors = np.partition(sliding_window_view(low, NEIGHBOURS), 1, axis=1)[:, 1]
    # Window i covers bars i to i + NEIGHBOURS - 1: the one before bar j begins at j - NEIGHBOURS, the one behind it at j + 1.
    last = len(bars) - NEIGHBOURS
    ceiling = np.maximum(ceilings[: last - NEIGHBOURS], ceilings[NEIGHBOURS + 1 :])
    floor = np.minimum(floors[: last - NEIGHBOURS], floors[NEIGHBOURS + 1 :])
    inner = slice(NEIGHBOURS, last)
    reach[inner] = np.maximum(0.0, np.maximum(high[inner] - ceiling, floor - low[inner]))
    return reach


def robust_sd(close: NDArray[np.float64]) -> float:
    """Robust standard deviation of the log returns between traded closes: ``1.4826 * MAD``; NaN with fewer than two returns."""
    if close.size < 3:
        return float("nan")
    returns = np.diff(np.log(close))
    return float(_MAD_TO_SD * np.median(np.abs(returns - np.median(returns))))


def judge_outliers(symbol: str, timeframe: str, bars: Bars, *, may_block: bool) -> Finding:
    """Judge the bars that have neighbours on both sides.

    Args:
        symbol: whose.
        timeframe: of the bars.
        bars: those that had trades.
        may_block: whether an outlier can be an error. In long bars a wick that the market traded through, second by second,
            looks like a bad print: for them it is a warning.
    """
    severity = Severity.ERROR if may_block else Severity.WARN
    if len(bars) < 2 * NEIGHBOURS + 1:
        why = f"{len(bars)} bars, at least {2 * NEIGHBOURS + 1} are needed"
        return unknown(NAME, symbol, timeframe, severity, why, blocking=may_block)
    sound = (bars.low > 0) & np.isfinite(bars.high) & (bars.close > 0)
    if not sound.all():
        return unknown(NAME, symbol, timeframe, severity, "bars with prices that cannot be (see the check ohlc)", blocking=may_block)
    reach = outlying(bars)
    sd = robust_sd(bars.close)
    warn, error = max(WARN_FLOOR, WARN_SDS * sd), max(ERROR_FLOOR, ERROR_SDS * sd)
    worst = float(np.nanmax(reach))
    state = State.OK if worst <= warn else State.ERROR if may_block and worst > error else State.WARN
    threshold = error if state is State.ERROR else warn
    detail = ""
    if state is not State.OK:
        count = int((reach > threshold).sum())
        at = int(np.nanargmax(reach))
        detail = (
            f"{count} of {len(bars)} bars reach beyond what was traded around them, the one at {shown(bars.ts_us[at])} by "
            f"{np.expm1(worst):.2%} (low {bars.low[at]:g}, high {bars.high[at]:g}; band {np.expm1(threshold):.2%})"
        )
    return Finding(NAME, symbol, timeframe, severity, state, worst, threshold, detail, blocking=may_block)
