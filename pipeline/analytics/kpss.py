"""The test of Kwiatkowski, Phillips, Schmidt and Shin: is the spread stationary, asked the other way round?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_series
from pipeline.analytics.engle_granger import terms_basis, without_terms
from pipeline.errors import Constant, TooShort, UsageError

MINIMUM = 10
_P = (0.10, 0.05, 0.025, 0.01)
_CRITICAL = {"c": (0.347, 0.463, 0.574, 0.739), "ct": (0.119, 0.146, 0.176, 0.216)}
"""Kwiatkowski et al. (1992), table 1, at the levels of ``_P``."""


class PValueIs(StrEnum):
    """How to read a p-value that was looked up in a table from 1 to 10 %."""

    INTERPOLATED = "interpolated"
    AT_MOST = "at most"  # the statistic is beyond the table: p is 0.01 or less
    AT_LEAST = "at least"  # p is 0.10 or more


@dataclass(frozen=True, slots=True)
class UpperCriticalValues:
    """Values above which a statistic rejects at the 1, 2.5, 5 and 10 % level."""

    pct1: float
    pct2_5: float
    pct5: float
    pct10: float


@dataclass(frozen=True, slots=True)
class Kpss:
    """Outcome of a test whose null hypothesis is stationarity: a *small* p speaks against the pair.

    Attributes:
        null: the null hypothesis.
        statistic: the larger, the less the series looks stationary.
        p_value: from the table, never below 0.01 nor above 0.10; read it with ``p_is``.
        p_is: whether p was interpolated, or is the end of the table that the true one is beyond.
        lags: autocovariances in the long-run variance.
        nobs: observations.
        critical_values: from the same table.
        trend: ``c`` or ``ct``: stationary about a level or a line.
    """

    null: ClassVar[str] = "the series is stationary, about a level (c) or a line (ct)"

    statistic: float
    p_value: float
    p_is: PValueIs
    lags: int
    nobs: int
    critical_values: UpperCriticalValues
    trend: str


def kpss(s: ArrayLike, *, trend: str = "c", lags: str | int = "auto") -> Kpss:
    """Test the null hypothesis of stationarity: ``sum S_t^2 / (n^2 omega^2)``, S the running sums of the residuals.

    omega^2 is the long-run variance with Bartlett weights. Equal to statsmodels' ``kpss``. The complement of
    :func:`pipeline.analytics.adf`: a spread that rejects there and does not here is the convincing case. The table is
    for a series that was observed: for the residual of a fit on the same data its values are too large (Shin, 1994).
    With too few lags a slowly reverting spread rejects too often; with many the test hardly rejects at all.

    Args:
        s: the series, finite.
        trend: ``c`` stationary about a level, ``ct`` about a line.
        lags: ``auto`` (Hobijn, Franses and Ooms), ``legacy`` (``12 (n / 100)^(1/4)``, rounded up), or a number below n.

    Raises:
        TooShort: with fewer than 10 observations, or no more than ``lags``.
        NotFinite: on NaN or infinity.
        Constant: when the series does not vary about its terms, or its long-run variance is not positive.
        UsageError: when an option is unknown.

    Source: Kwiatkowski, Phillips, Schmidt and Shin, Journal of Econometrics 54 (1992), equations 10 to 13 and table 1;
    Hobijn, Franses and Ooms, Statistica Neerlandica 58 (2004), for the number of lags.
    """
    if trend not in _CRITICAL:
        msg = f"trend {trend!r} is not known to KPSS; expected c or ct"
        raise UsageError(msg)
    series = finite_series("s", s, MINIMUM)
    n = series.size
    residuals = without_terms(series - series[0], terms_basis(n, trend))  # the level costs no precision
    if not float(residuals @ residuals) > 1e-24 * float(np.sum((series - series.mean()) ** 2)):
        msg = "s is a straight line; KPSS needs variation about it; use trend='c'"
        raise Constant(msg)
    used = _lags(residuals, lags)
    covariances = np.array([float(residuals[k:] @ residuals[: n - k]) for k in range(used + 1)])
    weights = 1.0 - np.arange(1, used + 1) / (used + 1)
    long_run = (covariances[0] + 2.0 * float(weights @ covariances[1:])) / n
    if not long_run > 0.0:
        msg = f"the long-run variance of s over {used} lags is not positive; KPSS is not defined; use fewer lags"
        raise Constant(msg)
    statistic = float(np.sum(np.cumsum(residuals) ** 2) / (n * n * long_run))
    critical = _CRITICAL[trend]
    p = float(np.interp(statistic, critical, _P))
    read = PValueIs.AT_MOST if statistic >= critical[-1] else PValueIs.AT_LEAST if statistic <= critical[0] else PValueIs.INTERPOLATED
    return Kpss(statistic, p, read, used, n, UpperCriticalValues(*reversed(critical)), trend)


def _lags(residuals: FloatArray, lags: str | int) -> int:
    n = residuals.size
    if lags == "legacy":
        return min(math.ceil(12.0 * math.pow(n / 100.0, 0.25)), n - 1)
    if lags == "auto":
        return min(_automatic(residuals), n - 1)
    if isinstance(lags, str) or lags < 0:
        msg = f"lags is {lags!r}; expected auto, legacy or a number of 0 or more"
        raise UsageError(msg)
    if lags >= n:
        msg = f"s has {n} observations, too few for {lags} lags; expected fewer lags than observations"
        raise TooShort(msg)
    return lags


def _automatic(residuals: FloatArray) -> int:
    """Newey and West's rule for the Bartlett window, with the bandwidth of Hobijn, Franses and Ooms."""
    n = residuals.size
    longest = int(math.pow(n, 2.0 / 9.0))
    s0, s1 = float(residuals @ residuals) / n, 0.0
    for k in range(1, longest + 1):
        product = float(residuals[k:] @ residuals[: n - k]) / (n / 2.0)
        s0 += product
        s1 += k * product
    if s0 == 0.0:
        return 0
    return int(1.1447 * math.pow((s1 / s0) ** 2, 1.0 / 3.0) * math.pow(n, 1.0 / 3.0))
