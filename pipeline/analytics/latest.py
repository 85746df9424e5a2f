"""The last value of a window, from the window alone: what a live view computes again at every trade.

Plain sums over a few dozen numbers: an array function would spend ten times as long on being called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pipeline.errors import NotFinite


def latest_zscore(window: Sequence[float]) -> float | None:
    """``(s - mean) / sd`` of the last of these values, sd with ddof = 1: the last value of ``rolling_zscore`` over just these.

    Args:
        window: the values of one window, at least 3, the newest one last.

    Returns:
        None when all are equal (0 / 0) or the result is not finite.
    """
    count = len(window)
    first = window[0]
    if count < 3 or all(value == first for value in window):
        return None
    # About the first value, as rolling_zscore: the level costs no precision.
    apart = [value - first for value in window]
    mean = math.fsum(apart) / count
    squares = math.fsum((value - mean) ** 2 for value in apart)
    if squares == 0.0:
        return None
    found = (apart[-1] - mean) / math.sqrt(squares / (count - 1))
    return found if math.isfinite(found) else None


def latest_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson correlation of two windows: the last value of ``rolling_correlation`` over just these.

    Args:
        a: values of one series, at least 3.
        b: values of the other at the same times.

    Returns:
        In [-1, 1]; None when one of them is constant or the result is not finite.
    """
    count = len(a)
    if count < 3 or all(value == a[0] for value in a) or all(value == b[0] for value in b):
        return None
    off_a, off_b = _centred(a), _centred(b)
    product = math.fsum(one * other for one, other in zip(off_a, off_b, strict=True))
    scale = math.sqrt(math.fsum(one * one for one in off_a)) * math.sqrt(math.fsum(one * one for one in off_b))
    if scale == 0.0 or not math.isfinite(product / scale):
        return None
    return max(-1.0, min(1.0, product / scale))


def _centred(window: Sequence[float]) -> list[float]:
    """The values less their mean, by way of the first value."""
    apart = [value - window[0] for value in window]
    mean = math.fsum(apart) / len(apart)
    return [value - mean for value in apart]


def latest_log_returns(closes: Sequence[float]) -> list[float]:
    """One-bar log returns, one fewer than there are closes, each as ``log_returns`` has it.

    Raises:
        NotFinite: when a close is not above zero.
    """
    if min(closes, default=1.0) <= 0.0:
        msg = f"a close of {min(closes):g} has no logarithm; prices must be above zero"
        raise NotFinite(msg)
    return [math.log1p((after - before) / before) for before, after in pairwise(closes)]
