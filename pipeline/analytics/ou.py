"""The spread as an Ornstein-Uhlenbeck process: speed, level and width of its reversion, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_series
from pipeline.analytics.half_life import MINIMUM
from pipeline.analytics.ols import fit_ols
from pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class OrnsteinUhlenbeck:
    """``ds = kappa (theta - s) dt + sigma dW``. Times are in the unit of ``step``: bars when it is 1.

    Attributes:
        kappa: speed of reversion, per unit of time.
        theta: level that the spread reverts to.
        sigma: volatility, per square root of the unit of time.
        stationary_sd: standard deviation far from any start: ``sigma / sqrt(2 kappa)``; the width of an entry band.
        half_life: ``ln 2 / kappa``.
        phi: AR(1) coefficient behind them, ``exp(-kappa step)``.
        kappa_se: standard error of kappa, and so on; by the delta method from the regression's.
        theta_se: of theta.
        sigma_se: of sigma.
        stationary_sd_se: of the stationary standard deviation.
        half_life_se: of the half-life.
        n: transitions, one fewer than values.
    """

    kappa: float
    theta: float
    sigma: float
    stationary_sd: float
    half_life: float
    phi: float
    kappa_se: float
    theta_se: float
    sigma_se: float
    stationary_sd_se: float
    half_life_se: float
    n: int


def ornstein_uhlenbeck(s: ArrayLike, *, step: float = 1.0) -> OrnsteinUhlenbeck | None:
    """Fit by the exact discretisation: an AR(1), ``s[t] = theta (1 - phi) + phi s[t-1] + e``, by least squares.

    ``kappa = -ln phi / step`` and ``sigma^2 = 2 kappa var(e) / (1 - phi^2)``, with ``var(e) = RSS / (n - 2)``: no
    Euler approximation, which is off by half a percent for each percent of kappa times step. With ``RSS / n`` instead
    these are the maximum-likelihood estimates.

    phi is biased downwards by about ``(1 + 3 phi) / n``, so kappa is too high and the half-life too short when the
    sample spans few half-lives. The errors are asymptotic and need the same: near phi = 1 they are too small.

    Args:
        s: the spread, at equal distances in time, finite.
        step: time between two values, in the unit wanted.

    Returns:
        None when phi is not between 0 and 1, as :func:`pipeline.analytics.half_life`: the spread does not revert, or it overshoots.

    Raises:
        TooShort: with fewer than 10 observations.
        NotFinite: on NaN or infinity.
        Constant: when the spread does not vary, or only in its last value.
        UsageError: when the step is not above 0.

    Source: van den Berg, "Calibrating the Ornstein-Uhlenbeck (Vasicek) model" (sitmo.com, 2011); Smith, "On the simulation
    and estimation of the mean-reverting Ornstein-Uhlenbeck process" (2010).
    """
    if not (step > 0 and math.isfinite(step)):
        msg = f"step is {step}; expected the time between two values, above 0, such as 1 for bars"
        raise UsageError(msg)
    series = finite_series("s", s, MINIMUM)
    before = finite_series("s without its last value", series[:-1])
    n = before.size
    mean = float(before.mean())
    u = before - mean
    change = np.diff(series)
    slope, _ = fit_ols(change, before, intercept=True)
    phi = 1.0 + slope
    if not 0.0 < phi < 1.0:
        return None
    drift = float(change.mean())
    residuals = change - drift - slope * u
    variance = float(residuals @ residuals) / (n - 2)
    sxx = float(u @ u)
    kappa = -math.log1p(slope) / step
    rest = -slope * (2.0 + slope)  # 1 - phi^2, without cancellation
    theta_apart = -drift / slope  # theta less the mean of the values
    sigma = math.sqrt(2.0 * kappa / rest * variance)
    wide = math.sqrt(variance / rest)
    phi_var = variance / sxx
    of_variance = 2.0 / (n - 2)  # variance of the logarithm of var(e)
    half_life = math.log(2.0) / kappa
    of_wide = 2.0 * phi / rest  # d ln(stationary variance) / d phi
    of_sigma = of_wide - 1.0 / (phi * kappa * step)  # d ln(sigma^2) / d phi
    kappa_se = math.sqrt(phi_var) / (phi * step)
    return OrnsteinUhlenbeck(
        kappa=kappa,
        theta=mean + theta_apart,
        sigma=sigma,
        stationary_sd=wide,
        half_life=half_life,
        phi=phi,
        kappa_se=kappa_se,
        theta_se=math.sqrt(variance / n + theta_apart**2 * phi_var) / -slope,
        sigma_se=0.5 * sigma * math.sqrt(of_sigma**2 * phi_var + of_variance),
        stationary_sd_se=0.5 * wide * math.sqrt(of_wide**2 * phi_var + of_variance),
        half_life_se=half_life * kappa_se / kappa,
        n=n,
    )
