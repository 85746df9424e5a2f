"""How long a spread takes to come half the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_series
from pipeline.analytics.ols import fit_ols

MINIMUM = 10


@dataclass(frozen=True, slots=True)
class HalfLife:
    """Attributes: ``bars`` until half of a deviation is expected to be gone; ``phi``, the AR(1) coefficient behind it."""

    bars: float
    phi: float


def half_life(s: ArrayLike) -> HalfLife | None:
    """``-ln 2 / ln phi`` from the AR(1) regression ``s[t] - s[t-1] = c + (phi - 1) s[t-1] + e``.

    The often quoted ``-ln 2 / (phi - 1)`` is its limit for phi near 1, and 39 % too long at phi = 0.5.
    phi is biased downwards by about ``(1 + 3 phi) / n`` in samples of n, so half-lives of a fraction of the
    sample are optimistic.

    Returns:
        None when phi is not between 0 and 1: the spread does not revert, or it overshoots within one bar.

    Raises:
        TooShort: with fewer than 10 observations.
        NotFinite: on NaN or infinity.
        Constant: when the spread does not vary, or only in its last value.
    """
    series = finite_series("s", s, MINIMUM)
    before = finite_series("s without its last value", series[:-1])
    slope, _ = fit_ols(series[1:] - series[:-1], before, intercept=True)
    phi = 1.0 + slope
    if not 0.0 < phi < 1.0:
        return None
    return HalfLife(-math.log(2.0) / math.log(phi), phi)
