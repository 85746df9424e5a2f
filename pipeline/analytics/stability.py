"""Does one hedge ratio hold over the whole window?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_legs, require_length
from pipeline.analytics.hedge import hedge_ratio, rolling_hedge_ratio
from pipeline.analytics.line_errors import student
from pipeline.errors import Collinear

_ROUNDING = 1e-13


@dataclass(frozen=True, slots=True)
class CusumCriticalValues:
    """Values above which the OLS-CUSUM statistic rejects at the 1, 5 and 10 % level: those of the Brownian bridge."""

    pct1: float = 1.63
    pct5: float = 1.36
    pct10: float = 1.22


@dataclass(frozen=True, slots=True)
class BetaStability:
    """How much beta moves, and the OLS-CUSUM test.

    Attributes:
        null: null hypothesis of the test.
        beta: of the whole window.
        rolling_sd: standard deviation of the rolling beta, ddof = 1; NaN where a leg stands still in all windows but one.
        relative_sd: ``rolling_sd / |beta|``: 0.05 means that rehedging moves the hedge by some 5 %. NaN when beta is 0.
        share_outside: share of the rolling betas whose own 95 % interval does not hold the whole window's beta.
            Around 0.05 for a stable line with independent residuals; more when residuals revert slowly. NaN without any.
        statistic: of the test: the largest sum of residuals up to a bar, over ``sd sqrt(n)``.
        p_value: of the test, by Kolmogorov's distribution.
        critical_values: of the test.
        n: bars.
        window: bars of a rolling beta.
    """

    null: ClassVar[str] = "one line, with independent residuals, holds over the whole window"

    beta: float
    rolling_sd: float
    relative_sd: float
    share_outside: float
    statistic: float
    p_value: float
    critical_values: CusumCriticalValues
    n: int
    window: int


def beta_stability(y: ArrayLike, x: ArrayLike, window: int) -> BetaStability:
    """Compare the least-squares line of the whole window with those of its parts.

    The OLS-CUSUM test is the standard one for a break at an unknown bar; equal to statsmodels' ``breaks_cusumolsresid``.
    It sees changes of level best, and it takes slow reversion of the spread for a break: of stable lines with
    residuals of AR(1) coefficient 0.5, 0.9 and 0.97 it rejects 33, 98 and 100 % at a nominal 5 % (n = 500). For a pair
    read it beside the descriptive figures, not alone.

    Args:
        y: dependent leg, finite.
        x: hedge, finite.
        window: bars of a rolling beta, at most half of the bars.

    Raises:
        TooShort: when the window is shorter than 3 bars, or there are not two of them.
        NotFinite: on NaN or infinity.
        Constant: when a leg does not vary.
        Collinear: when every bar lies on the line.
        AnalyticsError: when the legs differ in length.

    Source: Ploberger and Kraemer, "The CUSUM test with OLS residuals", Econometrica 60 (1992).
    """
    ys, xs = finite_legs(y, x, 3)
    rolled = rolling_hedge_ratio(ys, xs, window, errors=True)
    require_length("y", ys.size, 2 * window)
    fit = hedge_ratio(ys, xs)
    dy, dx = ys - ys.mean(), xs - xs.mean()
    residuals = dy - fit.beta * dx
    residuals -= residuals.mean()
    size = float(np.linalg.norm(residuals))
    if not size > _ROUNDING * float(np.linalg.norm(dy)):
        msg = "the legs are collinear: every bar lies on one line, so there is nothing to test; choose another pair"
        raise Collinear(msg)
    assert rolled.beta_se is not None, "asked for"  # noqa: S101 - for the type checker
    defined = np.isfinite(rolled.beta)
    betas, errors = rolled.beta[defined], rolled.beta_se[defined]
    half_width = student(window - 2) * errors
    sd = float(np.std(betas, ddof=1)) if betas.size > 1 else math.nan
    statistic = float(np.abs(np.cumsum(residuals)).max()) / size
    return BetaStability(
        beta=fit.beta,
        rolling_sd=sd,
        relative_sd=sd / abs(fit.beta) if fit.beta else math.nan,
        share_outside=float(np.mean(np.abs(betas - fit.beta) > half_width)) if betas.size else math.nan,
        statistic=statistic,
        p_value=_kolmogorov(statistic),
        critical_values=CusumCriticalValues(),
        n=ys.size,
        window=window,
    )


def _kolmogorov(statistic: float) -> float:
    from scipy.special import kolmogorov  # noqa: PLC0415 - slow to import

    return float(kolmogorov(statistic))
