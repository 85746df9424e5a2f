"""The variance-ratio test of Lo and MacKinlay: do changes of the series add up like those of a random walk?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_series, require_length
from pipeline.errors import Constant, UsageError


@dataclass(frozen=True, slots=True)
class NormalCriticalValues:
    """Values that the size of a statistic exceeds when it rejects at the 1, 5 and 10 % level, two-sided normal."""

    pct1: float = 2.5758293035489004
    pct5: float = 1.959963984540054
    pct10: float = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class VarianceRatio:
    """Outcome of a test of the null hypothesis that the series is a random walk.

    Attributes:
        null: the null hypothesis.
        ratio: variance of changes over ``lags`` bars, over ``lags`` times that over one: below 1 the series reverts,
            above 1 it trends.
        statistic: asymptotically standard normal.
        p_value: two-sided.
        lags: bars of the longer change.
        nobs: one-bar changes.
        robust: whether the statistic allows for changing variance.
        critical_values: for the size of the statistic.
    """

    null: ClassVar[str] = "the series is a random walk: its changes are not correlated"

    ratio: float
    statistic: float
    p_value: float
    lags: int
    nobs: int
    robust: bool
    critical_values: NormalCriticalValues


def variance_ratio(
    s: ArrayLike,
    lags: int = 2,
    *,
    trend: str = "c",
    robust: bool = True,
    overlap: bool = True,
    debiased: bool = True,
) -> VarianceRatio:
    """Test the null hypothesis of a random walk by the variance of its changes over ``lags`` bars.

    Equal to arch's ``VarianceRatio``. Overlapping changes have more power. The normal distribution needs ``lags`` to be a
    small share of the observations. Last-trade prices that bounce between bid and ask revert from bar to bar, and the
    test sees it. One test a value of ``lags``: trying several and keeping the best is a multiple test.

    Args:
        s: levels (log prices, or a spread), finite.
        lags: bars of the longer change, 2 or more.
        trend: ``c`` the walk may drift, ``n`` it does not.
        robust: allow for heteroskedasticity (Lo and MacKinlay's M2); otherwise equal variances are assumed.
        overlap: use all changes over ``lags`` bars, not only those that do not overlap (the newest are left out, where
            the number of changes is no multiple of ``lags``; ``robust`` needs overlap and is ignored without).
        debiased: correct the variances for their degrees of freedom; overlapping changes only.

    Raises:
        TooShort: with fewer than ``2 lags + 2`` observations.
        NotFinite: on NaN or infinity.
        Constant: when the series, or its changes, do not vary, or (robust) no two changes are near each other.
        UsageError: when an option is unknown.

    Source: Lo and MacKinlay, Review of Financial Studies 1 (1988), equations 10 to 20.
    """
    if lags < 2 or trend not in {"n", "c"}:
        msg = f"lags is {lags} and trend {trend!r}; expected 2 or more and n or c"
        raise UsageError(msg)
    series = finite_series("s", s)
    require_length("s", series.size, 2 * lags + 2)
    if not overlap:
        series = series[: series.size - (series.size - 1) % lags]
    changes = np.diff(series)
    n = changes.size
    mean = float(changes.mean()) if trend == "c" else 0.0
    apart = changes - mean
    short = float(apart @ apart) / n
    if not short > (4.0 * float(np.finfo(np.float64).eps) * float(np.abs(series).max())) ** 2:
        msg = "the changes of s do not vary; the variance ratio needs variation; use a longer window"
        raise Constant(msg)
    starts = slice(0, n + 1 - lags, 1 if overlap else lags)
    jumps = (series[lags:] - series[:-lags])[starts] - lags * mean
    long = float(jumps @ jumps) / (n * lags if overlap else n)
    if debiased and overlap:
        short *= n / (n - 1)
        long *= n * lags / (lags * (n - lags + 1) * (1.0 - lags / n))
    ratio = long / short
    wide = _spread_of(apart / math.sqrt(float(apart @ apart) / n), lags, robust=robust, overlap=overlap)
    if not wide > 0.0:
        msg = (
            f"s changes so seldom that no two changes are within {lags} bars; the robust variance ratio is not defined; use a longer window"
        )
        raise Constant(msg)
    statistic = math.sqrt(n) * (ratio - 1.0) / math.sqrt(wide)
    return VarianceRatio(ratio, statistic, math.erfc(abs(statistic) / math.sqrt(2.0)), lags, n, robust and overlap, NormalCriticalValues())


def _spread_of(apart: FloatArray, lags: int, *, robust: bool, overlap: bool) -> float:
    """Asymptotic variance of ``sqrt(n) (ratio - 1)``, from the changes in units of their own size."""
    if not overlap:
        return 2.0 * (lags - 1)
    if not robust:
        return 2.0 * (2 * lags - 1) * (lags - 1) / (3.0 * lags)
    squares = apart * apart
    total = 0.0
    for k in range(1, lags):
        total += 4.0 * (1.0 - k / lags) ** 2 * float(squares[k:] @ squares[:-k]) / apart.size
    return total
