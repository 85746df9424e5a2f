"""Ornstein-Uhlenbeck parameters against published numbers, statsmodels, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import half_life, ornstein_uhlenbeck
from pipeline.errors import Constant, NotFinite, TooShort, UsageError

SITMO = [3.0000, 1.7600, 1.2693, 1.1960, 0.9468, 0.9532, 0.6252, 0.8604, 1.0984, 1.4310, 1.3019]
SITMO += [1.4005, 1.2686, 0.7147, 0.9237, 0.7297, 0.7105, 0.8683, 0.7406, 0.7314, 0.6232]


def simulated(seed, n, kappa, theta, sigma, step=1.0):  # noqa: PLR0917 - the process in its usual order
    rng = np.random.default_rng(seed)
    phi = math.exp(-kappa * step)
    sd = sigma * math.sqrt((1 - phi * phi) / (2 * kappa))
    s = np.empty(n)
    s[0] = theta + sigma / math.sqrt(2 * kappa) * rng.normal()
    noise = rng.normal(size=n)
    for t in range(1, n):
        s[t] = theta + phi * (s[t - 1] - theta) + sd * noise[t]
    return s


def test_numbers_of_sitmo():
    # M. A. van den Berg, "Calibrating the Ornstein-Uhlenbeck (Vasicek) model", sitmo.com: the worked example, step 0.25
    result = ornstein_uhlenbeck(SITMO, step=0.25)
    assert result.theta == pytest.approx(0.9075, abs=5e-5)
    assert result.kappa == pytest.approx(3.1287, abs=1e-4)
    assert result.sigma == pytest.approx(0.5831, abs=5e-5)  # least squares
    assert result.sigma * math.sqrt(18 / 20) == pytest.approx(0.5532, abs=5e-5)  # maximum likelihood


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(12, 300), st.sampled_from([0.05, 0.3, 1.0]), st.sampled_from([0.0, 60_000.0]))
def test_equals_the_delta_method_by_numeric_differences(seed, n, kappa, theta):
    import statsmodels.api as sm

    s = simulated(seed, n, kappa, theta, 0.5)
    result = ornstein_uhlenbeck(s, step=0.5)
    if result is None:
        assert half_life(s) is None
        return
    assert half_life(s).bars * 0.5 == pytest.approx(result.half_life, rel=1e-9)
    mid = float(np.mean(s[:-1]))
    fit = sm.OLS(s[1:] - mid, sm.add_constant(s[:-1] - mid)).fit()
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = fit.cov_params()
    variance = fit.ssr / fit.df_resid
    covariance[2, 2] = 2 * variance**2 / fit.df_resid

    def derived(parameters):
        constant, phi, var = parameters
        speed = -np.log(phi) / 0.5
        return np.array(
            [
                speed,
                constant / (1 - phi),
                np.sqrt(2 * speed * var / (1 - phi**2)),
                np.sqrt(var / (1 - phi**2)),
                np.log(2) / speed,
            ]
        )

    at = np.array([*fit.params, variance])
    values = derived(at)
    got = np.array([result.kappa, result.theta - mid, result.sigma, result.stationary_sd, result.half_life])
    np.testing.assert_allclose(got, values, rtol=1e-7, atol=1e-7 if theta else 1e-9)
    if result.phi > 0.9995 or result.phi < 0.01:
        return  # differences are too coarse at the ends
    steps = np.array([1e-6, 1e-6, 1e-6]) * np.maximum(np.abs(at), 1e-2)
    steps[2] = 1e-6 * variance
    jacobian = np.column_stack([(derived(at + h) - derived(at - h)) / (2 * h.sum()) for h in np.diag(steps)])
    errors = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    said = (result.kappa_se, result.theta_se, result.sigma_se, result.stationary_sd_se, result.half_life_se)
    np.testing.assert_allclose(said, errors, rtol=2e-3)


def test_standard_errors_are_the_scatter_of_the_estimates():
    truth = np.array([0.2, 10.0, 0.5, 0.5 / math.sqrt(0.4), math.log(2) / 0.2])
    found, errors = [], []
    for seed in range(400):
        r = ornstein_uhlenbeck(simulated(seed, 2_000, 0.2, 10.0, 0.5))
        found.append((r.kappa, r.theta, r.sigma, r.stationary_sd, r.half_life))
        errors.append((r.kappa_se, r.theta_se, r.sigma_se, r.stationary_sd_se, r.half_life_se))
    np.testing.assert_allclose(np.mean(found, axis=0), truth, rtol=0.02)
    np.testing.assert_allclose(np.std(found, axis=0), np.mean(errors, axis=0), rtol=0.12)  # 3.5 % is one standard error


def test_a_slow_decay_without_noise_keeps_its_precision():
    result = ornstein_uhlenbeck(5.0 + 1e-3 * 0.999999 ** np.arange(4_000.0))
    assert result.half_life == pytest.approx(math.log(2) / 1e-6, rel=1e-3)
    fast = ornstein_uhlenbeck(0.5 ** np.arange(20.0))
    assert (fast.half_life, fast.theta) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))
    assert fast.sigma < 1e-10


def test_refusals():
    s = simulated(1, 50, 0.2, 0.0, 1.0)
    assert ornstein_uhlenbeck((-0.5) ** np.arange(30.0)) is None
    with pytest.raises(TooShort):
        ornstein_uhlenbeck(s[:9])
    with pytest.raises(NotFinite):
        ornstein_uhlenbeck(np.r_[s, np.nan])
    with pytest.raises(Constant):
        ornstein_uhlenbeck(np.ones(50))
    for step in (0.0, -1.0, math.inf):
        with pytest.raises(UsageError, match="step"):
            ornstein_uhlenbeck(s, step=step)
