"""The drifting hedge ratio of a window: its start, its noises, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from pipeline.analytics import fit_kalman, hedge_ratio
from pipeline.errors import Collinear, Constant, NotFinite, TooShort, UsageError


def legs(drift=1e-6, n=400, seed=1):
    rng = np.random.default_rng(seed)
    x = 60_000 * np.exp(rng.normal(0, 4e-4, n).cumsum())
    beta = 0.04 + rng.normal(0, drift, n).cumsum()
    return beta * x + 100 + rng.normal(0, 2, n), x


def textbook(y, x, start, delta, noise):
    """The filter in matrices, from the line of the first bars and its covariance."""
    design = np.column_stack((x[:start], np.ones(start)))
    state = np.linalg.lstsq(design, y[:start], rcond=None)[0]
    covariance = noise * np.linalg.inv(design.T @ design)
    rows = []
    for at in range(start, y.size):
        covariance = covariance + delta / (1 - delta) * np.eye(2)
        h = np.array([x[at], 1.0])
        error, variance = y[at] - h @ state, h @ covariance @ h + noise
        rows.append((*state, error, error / math.sqrt(variance), math.sqrt(covariance[0, 0])))
        gain = covariance @ h / variance
        state = state + gain * error
        covariance = covariance - np.outer(gain, h @ covariance)
    return np.array(rows)


def test_equals_the_textbook_matrices():
    y, x = legs()
    got = fit_kalman(y, x, start=50, delta=1e-9, observation_var=4.0)
    want = textbook(y, x, 50, 1e-9, 4.0)
    assert np.isnan(got.beta[:50]).all()
    for at, name in enumerate(("beta", "alpha", "spread", "zscore", "beta_sd")):
        np.testing.assert_allclose(getattr(got, name)[50:], want[:, at], rtol=1e-5, atol=1e-7)


def test_with_hardly_any_drift_beta_is_the_least_squares_one_of_all_bars_before():
    y, x = legs()
    got = fit_kalman(y, x, start=50, delta=1e-30, observation_var=1.0)
    for at in (50, 51, 200, 399):
        assert got.beta[at] == pytest.approx(hedge_ratio(y[:at], x[:at]).beta, rel=1e-6)


@pytest.mark.parametrize("drift", [0.0, 1e-6, 1e-4])
def test_the_noises_are_those_of_the_greatest_likelihood(drift):
    y, x = legs(drift)
    got = fit_kalman(y, x, start=50)

    def misfit(logs):
        rows = textbook(y, x, 50, math.exp(logs[0]) / (1 + math.exp(logs[0])), math.exp(logs[1]))
        sd = rows[:, 2] / rows[:, 3]
        return float(np.mean(2 * np.log(sd) + rows[:, 3] ** 2))

    found = [math.log(got.delta), math.log(got.observation_var)]
    best = minimize(misfit, found, method="Nelder-Mead", options={"maxiter": 60})
    assert misfit(found) - best.fun < 0.01  # a grid of 61 steps
    assert float(np.nanstd(got.zscore)) == pytest.approx(1.0, abs=0.05)


def test_scales_agree_on_what_moves_together():
    y, x = legs()
    got = fit_kalman(y, x, scale="log")
    same = fit_kalman(np.log(y), np.log(x))
    np.testing.assert_array_equal(got.spread, same.spread)
    assert (got.scale, same.scale, got.n) == ("log", "price", 400)


def test_units_do_not_matter():
    y, x = legs()
    np.testing.assert_allclose(fit_kalman(1e3 * y, 1e3 * x).zscore, fit_kalman(y, x).zscore, rtol=1e-6, equal_nan=True)


def precisely(y, x, start, fit):
    """The same filter in extended precision, around the middle of the first bars: beta, and z-score."""
    ys, xs = y.astype(np.longdouble), x.astype(np.longdouble)
    middle, height = xs[:start].mean(), ys[:start].mean()
    near = xs - middle
    spread_out = (near[:start] ** 2).sum()
    state = np.array([(near[:start] * (ys[:start] - height)).sum() / spread_out, height])
    covariance = np.diag([1 / spread_out, np.longdouble(1) / start])
    drift = np.longdouble(fit.delta) / (1 - np.longdouble(fit.delta)) / np.longdouble(fit.observation_var)
    betas, scores = [], []
    for t in range(start, len(ys)):
        covariance = covariance + drift * np.array([[1, middle], [middle, 1 + middle**2]])
        toward = np.array([near[t], np.longdouble(1)])
        variance, error = toward @ covariance @ toward + 1, ys[t] - toward @ state
        betas.append(state[0])
        scores.append(error / np.sqrt(variance * np.longdouble(fit.observation_var)))
        gain = covariance @ toward / variance
        state, covariance = state + gain * error, covariance - np.outer(gain, covariance @ toward)
    return np.array(betas, float), np.array(scores, float)


@pytest.mark.parametrize(("level", "noise", "tolerance"), [(100.0, 1.0, 1e-12), (6e4, 0.01, 1e-8), (1e6, 0.01, 1e-6), (1e8, 1.0, 1e-6)])
def test_a_hedge_that_hardly_moves_beside_its_level_loses_no_digit_but_those_of_its_price(level, noise, tolerance):
    rng = np.random.default_rng(1)
    x = level + noise * rng.normal(size=400).cumsum()
    y = 0.05 * x + 0.02 * noise * rng.normal(size=400)
    fit = fit_kalman(y, x)
    beta, zscore = precisely(y, x, 60, fit)
    np.testing.assert_allclose(fit.beta[60:], beta, rtol=tolerance)
    np.testing.assert_allclose(fit.zscore[60:], zscore, atol=tolerance)


def test_noises_beyond_what_delta_can_say_are_estimated_all_the_same():
    """The drift is 1e16 of y's units and more: delta is as near to 1 as a number can be."""
    fit = fit_kalman(1e9 * 1.5 ** np.arange(70.0), np.random.default_rng(0).normal(size=70), start=10)
    assert 0.999 < fit.delta < 1
    assert np.isfinite(fit.zscore[10:]).all()


def test_refusals():
    y, x = legs()
    with pytest.raises(TooShort):
        fit_kalman(y[:99], x[:99], start=50)
    with pytest.raises(TooShort):
        fit_kalman(y, x, start=2)
    with pytest.raises(NotFinite):
        fit_kalman(np.append(y[1:], np.nan), x)
    with pytest.raises(Constant):
        fit_kalman(y, np.append(np.full(60, 5.0), x[60:]))
    with pytest.raises(Collinear):
        fit_kalman(2 * x + 3, x)
    with pytest.raises(UsageError, match="both or neither"):
        fit_kalman(y, x, delta=1e-4)
    with pytest.raises(UsageError):
        fit_kalman(y, x, delta=2.0, observation_var=1.0)
    with pytest.raises(UsageError):
        fit_kalman(y, x, scale="square")
