"""Theil-Sen regression: the exact median of all slopes."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.arrays import FloatArray

_MOST_HELD = 4_000_000  # slopes held in memory at once


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
    """The exact median of the slopes between all pairs of points whose x differ; x must not be constant.

    A sorted sample of slopes gives two bounds that the median lies between; one pass counts the slopes below
    and between them, a second collects those between, and the middle is selected from these alone.
    """
    from pipeline.analytics.kernels.theil_sen import count_slopes, sample_slopes, slopes_between  # noqa: PLC0415 - numba

    pairs = y.size * (y.size - 1) // 2
    size = int(min(max(pairs ** (2 / 3), 64), _MOST_HELD))
    sample = np.sort(sample_slopes(y, x, size))
    margin = 2.0 * np.sqrt(sample.size) + 2
    while True:
        low, high = -np.inf, np.inf
        if sample.size > 2 * margin:
            low = float(sample[int(sample.size / 2 - margin)])
            high = float(sample[int(np.ceil(sample.size / 2 + margin)) - 1])
        below, at_low, below_high, at_most_high, total = count_slopes(y, x, low, high)
        ranks = ((total - 1) // 2, total // 2)
        if below <= ranks[0] and ranks[1] < at_most_high:
            break
        margin *= 2
    between = max(below_high - below - at_low, 0)
    inside = slopes_between(y, x, low, high, between)
    places = [rank - below - at_low for rank in ranks]
    wanted = sorted({place for place in places if 0 <= place < inside.size})
    if wanted:
        inside.partition(wanted)
    middle = [low if place < 0 else float(inside[place]) if place < inside.size else high for place in places]
    return float(np.mean(middle))
