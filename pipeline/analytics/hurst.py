"""Hurst exponent: does the spread revert, wander, or trend?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_series, require_length
from pipeline.errors import Constant

MINIMUM = 40
LONGEST_LAG = 100


@dataclass(frozen=True, slots=True)
class Hurst:
    """Attributes: ``exponent`` (0.5 for a random walk, lower for reversion, higher for trend); ``max_lag`` used."""

    exponent: float
    max_lag: int


def hurst(s: ArrayLike, *, max_lag: int | None = None) -> Hurst:
    """Slope of ``log std(s[t+k] - s[t])`` on ``log k`` for k = 2 .. ``max_lag``.

    A descriptive figure without a p-value: its sampling error is around 0.05 at n = 1,000, and a fast-reverting
    spread sampled beyond its half-life tends to 0.

    Args:
        s: the spread, finite.
        max_lag: longest lag, at least 3; the smaller of 100 and a quarter of the observations when not given.

    Raises:
        TooShort: with fewer than 40 observations, or fewer than four times ``max_lag``, or a ``max_lag`` under 3.
        NotFinite: on NaN or infinity.
        Constant: when the differences at some lag do not vary.
    """
    series = finite_series("s", s, MINIMUM)
    longest = min(LONGEST_LAG, series.size // 4) if max_lag is None else max_lag
    require_length("range of lags", longest, 3)
    require_length("s", series.size, 4 * longest)
    from pipeline.analytics.kernels.hurst import exponent, spreads  # noqa: PLC0415 - numba

    spread = spreads(series, longest)
    found = exponent(spread, rounding(series))
    if math.isnan(found):
        msg = f"differences of s over {int(spread.argmin()) + 2} bars do not vary; Hurst needs variation at each lag; use a longer window"
        raise Constant(msg)
    return Hurst(found, int(longest))


def rounding(series: FloatArray) -> float:
    """What a spread of differences must exceed to be more than the rounding of the series' values."""
    return 8 * float(np.finfo(np.float64).eps) * float(np.abs(series).max())
