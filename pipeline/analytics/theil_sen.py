"""Theil-Sen regression: the exact median of all slopes."""

from __future__ import annotations

import math

import numpy as np

from pipeline.analytics.arrays import FloatArray

_MOST_HELD = 4_000_000  # slopes held in memory at once
_NORMAL = 1.959963984540054  # 97.5 % point of the normal


def fit_theil_sen(y: FloatArray, x: FloatArray, *, intercept: bool) -> tuple[float, float]:
    """``(beta, alpha)``: beta is the median of the slopes between all pairs of points whose x differ.

    ``alpha`` is ``median(y) - beta * median(x)``, as scipy's ``theilslopes`` takes it. Without intercept beta is
    the median of ``y / x`` where x is not zero. Up to 29 % of wild points do not move it far.
    The median is exact, not of a random subset, and the same to the last bit as scipy's; memory stays bounded
    however long the window, time grows with its square.

    Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968).
    """
    if not intercept:
        usable = x != 0.0
        return float(np.median(y[usable] / x[usable])), 0.0
    beta = median_slope(y, x)
    return beta, float(np.median(y)) - beta * float(np.median(x))


def median_slope(y: FloatArray, x: FloatArray) -> float:
    """The exact median of the slopes between all pairs of points whose x differ; x must not be constant."""
    total = _slopes(x)
    return float(np.mean(slopes_at(y, x, ((total - 1) // 2, total // 2))))


def slope_interval(y: FloatArray, x: FloatArray) -> tuple[float, float]:
    """The two slopes that enclose the true one with 95 % confidence, whatever the distribution of the noise.

    Equal to ``low_slope`` and ``high_slope`` of scipy's ``theilslopes``; NaN, as there, where so many values of both legs are
    equal that the variance of Kendall's statistic comes out negative. Source: Sen (1968), equation 2.6.
    """
    total, n = _slopes(x), y.size
    ties = sum(float(np.sum(k * (k - 1) * (2 * k + 5))) for k in (np.unique(leg, return_counts=True)[1] for leg in (x, y)))
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18.0
    if variance < 0.0:
        return math.nan, math.nan
    reach = _NORMAL * math.sqrt(variance)
    low, high = int(np.round((total - reach) / 2)) - 1, int(np.round((total + reach) / 2))
    ends = slopes_at(y, x, (max(low, 0), min(high, total - 1)))
    return ends[0], ends[1]


def _slopes(x: FloatArray) -> int:
    """Number of pairs of points whose x differ."""
    counts = np.unique(x, return_counts=True)[1].astype(np.int64)
    return (x.size * (x.size - 1) - int(np.sum(counts * (counts - 1)))) // 2


def slopes_at(y: FloatArray, x: FloatArray, ranks: tuple[int, int]) -> list[float]:
    """The slopes of two ranks (0 the least) among all pairs of points whose x differ.

    A sorted sample of slopes gives two bounds that the ranks lie between; one pass counts the slopes below
    and between them, a second collects those between, and the ranks are selected from these alone.
    """
    from pipeline.analytics.kernels.theil_sen import count_slopes, sample_slopes, slopes_between  # noqa: PLC0415 - numba

    pairs = y.size * (y.size - 1) // 2
    size = int(min(max(pairs ** (2 / 3), 64), _MOST_HELD))
    sample = np.sort(sample_slopes(y, x, size))
    margin = 2.0 * np.sqrt(sample.size) + 2
    scale = sample.size / _slopes(x)
    while True:
        first = int(np.floor(ranks[0] * scale - margin))
        last = int(np.ceil((ranks[1] + 1) * scale + margin)) - 1
        low = float(sample[first]) if first >= 0 else -np.inf
        high = float(sample[last]) if last < sample.size else np.inf
        below, at_low, below_high, at_most_high, _ = count_slopes(y, x, low, high)
        if below <= ranks[0] and ranks[1] < at_most_high:
            break
        margin *= 2
    between = max(below_high - below - at_low, 0)
    inside = slopes_between(y, x, low, high, between)
    places = [rank - below - at_low for rank in ranks]
    wanted = sorted({place for place in places if 0 <= place < inside.size})
    if wanted:
        inside.partition(wanted)
    return [low if place < 0 else float(inside[place]) if place < inside.size else high for place in places]
