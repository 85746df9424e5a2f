"""How easily a symbol trades, bar by bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import BoolArray, FloatArray, as_series, logarithms, require_window, same_length
from pipeline.analytics.correlation import log_returns
from pipeline.analytics.rolling import mean_of_defined, runs
from pipeline.errors import UsageError

MINIMUM_WINDOW = 3
_NO_QUOTES = "quoted spread: no quotes for these bars"


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Metrics of one symbol, one value for each bar; NaN where a metric is not defined.

    Attributes:
        volume: base units traded.
        quote_volume: quote currency traded.
        trades: number of trades.
        taker_imbalance: :func:`taker_imbalance`.
        amihud: :func:`amihud`.
        roll_spread: :func:`roll_spread`.
        corwin_schultz: :func:`corwin_schultz`.
        quoted_spread: :func:`quoted_spread`; None when there are no quotes.
        volume_percentile: :func:`volume_percentile` of quote volume.
        notes: why a metric is absent.
    """

    volume: FloatArray
    quote_volume: FloatArray
    trades: FloatArray
    taker_imbalance: FloatArray
    amihud: FloatArray
    roll_spread: FloatArray
    corwin_schultz: FloatArray
    quoted_spread: FloatArray | None
    volume_percentile: FloatArray
    notes: tuple[str, ...]


def liquidity(
    *,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    quote_volume: ArrayLike,
    trades: ArrayLike,
    taker_buy_volume: ArrayLike,
    window: int,
    bid: ArrayLike | None = None,
    ask: ArrayLike | None = None,
) -> Liquidity:
    """All metrics of one symbol's bars, in time order.

    Args:
        high: highest price of each bar.
        low: lowest price of each bar.
        close: last price of each bar.
        volume: base units traded.
        quote_volume: quote currency traded.
        trades: number of trades.
        taker_buy_volume: base units bought by takers.
        window: bars that averages and percentiles look back on, the current one included, at least 3.
        bid: best bid at each bar's end, NaN where unknown; None when there are no quotes.
        ask: best ask, likewise.

    Raises:
        TooShort: when the window is shorter than 3 bars. Fewer bars than the window give NaN.
        NotFinite: when a price is not above zero.
        AnalyticsError: when the columns differ in length.
    """
    quoted = None if bid is None or ask is None else quoted_spread(bid, ask)
    volumes, amounts = as_series("volume", volume), as_series("quote_volume", quote_volume)
    same_length(volumes, amounts, ("volume", "quote_volume"))
    return Liquidity(
        volume=volumes,
        quote_volume=amounts,
        trades=as_series("trades", trades),
        taker_imbalance=taker_imbalance(volumes, taker_buy_volume),
        amihud=amihud(close, amounts, window),
        roll_spread=roll_spread(close, window),
        corwin_schultz=corwin_schultz(high, low, window),
        quoted_spread=quoted,
        volume_percentile=volume_percentile(amounts, window),
        notes=(_NO_QUOTES,) if quoted is None else (),
    )


def taker_imbalance(volume: ArrayLike, taker_buy_volume: ArrayLike) -> FloatArray:
    """``(buys - sells) / volume`` of takers: 1 when all bought, -1 when all sold; NaN for a bar without volume.

    Raises:
        AnalyticsError: when the columns differ in length.
    """
    total, bought = as_series("volume", volume), as_series("taker_buy_volume", taker_buy_volume)
    same_length(total, bought, ("volume", "taker_buy_volume"))
    return (2.0 * bought - total) / _positive(total)


def amihud(close: ArrayLike, quote_volume: ArrayLike, window: int) -> FloatArray:
    """Mean over ``window`` bars of ``|log return| / quote volume``: relative price move per unit of quote currency.

    Returns:
        NaN until the first full window. Bars without volume and the first bar have no ratio and do not count;
        NaN where no bar of the window has one. A bar's return spans the time since the bar before it.

    Raises:
        TooShort, NotFinite, AnalyticsError: as :func:`liquidity`.

    Source: Amihud, "Illiquidity and stock returns", Journal of Financial Markets 5 (2002).
    """
    require_window(window, MINIMUM_WINDOW)
    prices, amounts = as_series("close", close), as_series("quote_volume", quote_volume)
    same_length(prices, amounts, ("close", "quote_volume"))
    return mean_of_defined(np.abs(log_returns(prices)) / _positive(amounts), window)


def roll_spread(close: ArrayLike, window: int) -> FloatArray:
    """Effective relative spread ``2 sqrt(-cov(r[t], r[t-1]))`` from ``window`` pairs of successive log returns.

    Returns:
        NaN until the first full window (bar ``window + 1``), and where the covariance is not negative, for which
        the model gives no spread; never 0 instead.

    Raises:
        TooShort, NotFinite, AnalyticsError: as :func:`liquidity`.

    Source: Roll, "A simple implicit measure of the effective bid-ask spread", Journal of Finance 39 (1984).
    """
    require_window(window, MINIMUM_WINDOW)
    returns = log_returns(close)
    result = np.full(returns.size, np.nan)
    if returns.size > window:
        from pipeline.analytics.kernels.windows import window_moments  # noqa: PLC0415 - numba

        covariance = window_moments(np.vstack((returns[1:], returns[:-1])), window)[4] / (window - 1)
        with np.errstate(invalid="ignore"):
            result[1:] = 2.0 * np.sqrt(np.where(covariance < 0, -covariance, np.nan))
    return result


def corwin_schultz(high: ArrayLike, low: ArrayLike, window: int) -> FloatArray:
    """Mean over ``window`` bars of the relative spread estimated from the ranges of two successive bars.

    The range of one bar holds one bar's variance, that of two bars two, the spread is in both: their difference
    gives it. Negative estimates count as 0, as the authors advise. Markets here never close, so there is no
    overnight correction.

    Returns:
        NaN until the first full window; the first bar has no estimate and does not count.

    Raises:
        TooShort, NotFinite, AnalyticsError: as :func:`liquidity`.

    Source: Corwin and Schultz, "A simple way to estimate bid-ask spreads from daily high and low prices",
        Journal of Finance 67 (2012), equations 14 and 18.
    """
    require_window(window, MINIMUM_WINDOW)
    highs, lows = as_series("high", high), as_series("low", low)
    same_length(highs, lows, ("high", "low"))
    top, bottom = logarithms("high", highs), logarithms("low", lows)
    estimates = np.full(top.size, np.nan)
    if top.size > 1:
        ranges = (top - bottom) ** 2
        beta = ranges[1:] + ranges[:-1]
        gamma = (np.maximum(top[1:], top[:-1]) - np.minimum(bottom[1:], bottom[:-1])) ** 2
        k = 3.0 - 2.0 * np.sqrt(2.0)
        alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
        estimates[1:] = np.maximum(2.0 * np.expm1(alpha) / (np.exp(alpha) + 1.0), 0.0)
    return mean_of_defined(estimates, window)


def quoted_spread(bid: ArrayLike, ask: ArrayLike) -> FloatArray:
    """``(ask - bid) / mid``, NaN where a quote is missing or crossed (ask below bid), which no spread describes.

    Raises:
        AnalyticsError: when the columns differ in length.
    """
    bids, asks = as_series("bid", bid), as_series("ask", ask)
    same_length(bids, asks, ("bid", "ask"))
    usable = (bids > 0) & (asks >= bids)
    result = np.full(bids.size, np.nan)
    result[usable] = 2.0 * (asks[usable] - bids[usable]) / (asks[usable] + bids[usable])
    return result


def volume_percentile(volume: ArrayLike, window: int) -> FloatArray:
    """Share of the last ``window`` bars, the current one included, whose volume is at most the current one's.

    Returns:
        In [1 / window, 1]; NaN until the first full window and while the current volume is NaN.

    Raises:
        TooShort, AnalyticsError: as :func:`liquidity`.
    """
    require_window(window, MINIMUM_WINDOW)
    volumes = as_series("volume", volume)
    result = np.full(volumes.size, np.nan)
    for at in runs(volumes.size, window):
        current = volumes[at]
        at_most = np.zeros(current.size)
        for back in range(window):
            at_most += volumes[at.start - back : at.stop - back] <= current
        result[at] = np.where(np.isnan(current), np.nan, at_most / window)
    return result


def liquid_bars(*volumes: ArrayLike, least: float, window: int = 1) -> BoolArray:
    """Which bars have enough volume in every leg: the filter that any statistic can be put behind.

    Statistics that allow for NaN (rolling ones, :func:`pipeline.analytics.screen_pairs`) take a masked series,
    ``np.where(liquid, s, np.nan)``; the others take the bars that are left, ``s[liquid]`` of each leg. The choice looks
    at the bar and those before it only.

    Args:
        volumes: one series of volumes for each leg, of one length, in any unit; NaN counts as no volume.
        least: mean volume that a bar must have.
        window: bars that the mean is taken over, the bar itself included; bars before the first count as no volume.

    Raises:
        AnalyticsError: when the legs differ in length.
        UsageError: when no volumes are given, or the window is shorter than 1.
    """
    if not volumes or window < 1:
        msg = f"{len(volumes)} legs and a window of {window} bars were given; expected at least one leg and a window of 1 or more"
        raise UsageError(msg)
    legs = [np.nan_to_num(as_series("volume", leg)) for leg in volumes]
    for leg in legs[1:]:
        same_length(legs[0], leg, ("volume of the first leg", "volume of another"))
    enough = np.ones(legs[0].size, np.bool_)
    for leg in legs:
        padded = np.concatenate((np.zeros(window - 1), leg))
        if leg.size:
            enough &= np.lib.stride_tricks.sliding_window_view(padded, window).mean(axis=1) >= least
    return enough


def _positive(values: FloatArray) -> FloatArray:
    """The values above zero, NaN for the others: a divisor that never makes an infinity."""
    return np.where(values > 0, values, np.nan)
