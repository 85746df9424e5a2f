"""Half-life, Hurst, Kalman, Johansen, Benjamini-Hochberg."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import benjamini_hochberg, half_life, hurst, johansen, kalman_hedge_ratio
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError


def ar1(phi, n, seed):
    e = np.random.default_rng(seed).normal(size=n)
    s = np.zeros(n)
    for t in range(1, n):
        s[t] = phi * s[t - 1] + e[t]
    return s


# --- half-life ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.5, 0.8, 0.95])
def test_half_life_of_a_decay_without_noise(phi):
    result = half_life(phi ** np.arange(40.0))
    assert result.phi == pytest.approx(phi, rel=1e-9)
    assert result.bars == pytest.approx(-math.log(2) / math.log(phi), rel=1e-8)
    if phi == 0.5:
        assert result.bars == pytest.approx(1.0)  # -ln 2 / (phi - 1) would say 1.386


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(10, 400), st.sampled_from([0.0, 0.5, 0.95, 1.0]), st.sampled_from([(0.0, 1.0), (60_000.0, 0.01)])
)
def test_half_life_equals_statsmodels_regression(seed, n, phi, scene):
    import statsmodels.api as sm

    level, unit = scene
    s = level + unit * ar1(phi, n, seed)
    slope = sm.OLS(np.diff(s), sm.add_constant(s[:-1] - s[0])).fit().params[1]
    found = half_life(s)
    if not 0 < 1 + slope < 1:
        assert found is None
        return
    assert found.phi == pytest.approx(1 + slope, rel=1e-8)
    assert found.bars == pytest.approx(-math.log(2) / math.log(1 + slope), rel=1e-8 / min(1.0, -slope))  # the logarithm of nearly one


def test_half_life_none_and_refusals():
    assert half_life(1.05 ** np.arange(30.0)) is None  # runs away
    assert half_life((-0.5) ** np.arange(30.0)) is None  # overshoots
    with pytest.raises(TooShort):
        half_life(np.arange(9.0))
    with pytest.raises(Constant):
        half_life(np.ones(20))
    with pytest.raises(Constant):
        half_life(np.r_[np.ones(20), 2.0])
    with pytest.raises(NotFinite):
        half_life(np.r_[np.arange(20.0), np.nan])


# --- Hurst -------------------------------------------------------------------------------------


def test_hurst_tells_reversion_walk_and_trend():
    rng = np.random.default_rng(2)
    assert hurst(rng.normal(size=4_000).cumsum()).exponent == pytest.approx(0.5, abs=0.06)
    assert hurst(rng.normal(size=4_000)).exponent == pytest.approx(0.0, abs=0.02)
    assert hurst(ar1(0.999, 4_000, 3).cumsum()).exponent > 0.9
    assert hurst(rng.normal(size=100)).max_lag == 25


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(40, 400), st.sampled_from([0.0, 0.9, 1.0]), st.sampled_from([(0.0, 1.0), (60_000.0, 2.0**-7)])
)
def test_hurst_by_definition(seed, n, phi, scene):
    level, unit = scene
    s = level + unit * np.round(ar1(phi, n, seed), 6)
    longest = min(100, n // 4)
    lags = np.arange(2, longest + 1)
    spreads = [np.std(s[k:] - s[:-k]) for k in lags]
    result = hurst(s)
    assert result.max_lag == longest
    assert result.exponent == pytest.approx(np.polyfit(np.log(lags), np.log(spreads), 1)[0], rel=1e-8, abs=1e-10)


def test_hurst_refusals():
    walk = ar1(1.0, 100, 5)
    with pytest.raises(TooShort):
        hurst(walk[:39])
    with pytest.raises(TooShort):
        hurst(walk, max_lag=26)
    with pytest.raises(TooShort):
        hurst(walk, max_lag=2)
    with pytest.raises(Constant, match="over"):
        hurst(0.1 * np.arange(100.0))


# --- Kalman ------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.sampled_from([1e-5, 1e-4, 1e-2]), st.sampled_from([1e-3, 1.0]), st.booleans())
def test_kalman_equals_the_textbook_matrices(seed, n, delta, noise, intercept):
    # Chan, Algorithmic Trading (2013), example 3.3: R = P + Q; K = R F' / S; P = R - K F R
    rng = np.random.default_rng(seed)
    x = 50 + rng.normal(size=n).cumsum()
    y = 2.0 * x + 1.0 + rng.normal(size=n)
    state, covariance = np.zeros(2), np.zeros((2, 2))
    drift = delta / (1 - delta) * np.diag([1.0, float(intercept)])
    expected = []
    for t in range(n):
        prior = covariance + (drift if t else 0)
        f = np.array([x[t], 1.0])
        error, variance = y[t] - f @ state, f @ prior @ f + noise
        expected.append([*state, error, math.sqrt(variance), math.sqrt(max(prior[0, 0], 0)), math.sqrt(max(prior[1, 1], 0))])
        gain = prior @ f / variance
        state = state + gain * error
        covariance = prior - np.outer(gain, f) @ prior
    got = kalman_hedge_ratio(y, x, delta=delta, observation_var=noise, intercept=intercept)
    found = np.column_stack((got.beta, got.alpha, got.innovation, got.innovation_sd, got.beta_sd, got.alpha_sd))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_kalman_refusals():
    with pytest.raises(TooShort):
        kalman_hedge_ratio([1.0], [1.0])
    with pytest.raises(NotFinite):
        kalman_hedge_ratio([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(UsageError):
        kalman_hedge_ratio([1.0, 2.0], [1.0, 2.0], delta=1.0)
    with pytest.raises(UsageError):
        kalman_hedge_ratio([1.0, 2.0], [1.0, 2.0], observation_var=0.0)


# --- Johansen ----------------------------------------------------------------------------------


def test_johansen_equals_the_spatial_econometrics_toolbox():
    # statsmodels, tsa/vector_ar/tests/test_coint.py, TestCointJoh12: jplv's Matlab toolbox, det_order 1, k_ar_diff 2
    package = Path(importlib.util.find_spec("statsmodels").origin).parent
    data = package / "tsa" / "vector_ar" / "tests" / "Matlab_results" / "test_coint.csv"
    if not data.exists():
        pytest.skip("this statsmodels was installed without its tests")
    result = johansen(np.loadtxt(data), 1, 2)
    trace = [241.985452556075, 166.4781461662553, 110.3298006342814, 70.79801574443575]
    trace += [44.90887371527634, 27.22385073668511, 11.74205493173769, 3.295435325623445]
    max_eig = [75.50730638981975, 56.14834553197396, 39.5317848898456, 25.8891420291594]
    max_eig += [17.68502297859124, 15.48179580494741, 8.446619606114249, 3.295435325623445]
    np.testing.assert_allclose(result.trace_stat, trace, rtol=1e-8)
    np.testing.assert_allclose(result.max_eig_stat, max_eig, rtol=1e-8)
    np.testing.assert_allclose(result.trace_critical[0], [169.0618, 175.1584, 187.1891])
    np.testing.assert_allclose(result.max_eig_critical[0], [52.5858, 55.7302, 62.1741])
    assert result.rank() == 3  # 110.33 against 107.34, then 70.80 against 79.34
    assert result.rank(by="max_eig") == 2  # 56.15 against 49.59, then 39.53 against 43.42


def test_johansen_finds_the_planted_relation():
    rng = np.random.default_rng(7)
    x = 100 + rng.normal(size=600).cumsum()
    data = np.column_stack((5.0 * x + rng.normal(size=600), x))
    result = johansen(data)
    assert result.rank() == 1
    assert -result.eigenvectors[1, 0] / result.eigenvectors[0, 0] == pytest.approx(5.0, abs=0.05)
    assert johansen(rng.normal(size=(600, 2)).cumsum(axis=0)).rank(0.01) == 0


def test_johansen_refusals():
    walk = np.random.default_rng(8).normal(size=(100, 2)).cumsum(axis=0)
    with pytest.raises(Collinear):
        johansen(np.column_stack((walk[:, 0], 2 * walk[:, 0] + 1)))
    with pytest.raises(AnalyticsError, match="shape"):
        johansen(walk[:, 0])
    with pytest.raises(TooShort):
        johansen(walk[:8])
    with pytest.raises(Constant):
        johansen(np.column_stack((walk[:, 0], np.ones(100))))
    with pytest.raises(UsageError):
        johansen(walk, det_order=2)
    with pytest.raises(UsageError, match="critical values"):
        johansen(walk).rank(0.2)
    with pytest.raises(UsageError, match="trace or max_eig"):
        johansen(walk).rank(by="eigenvalue")


# --- false-discovery rate ------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=60))
def test_q_values_equal_scipy(p):
    from scipy.stats import false_discovery_control

    q = benjamini_hochberg(p)
    if p:
        np.testing.assert_allclose(q, false_discovery_control(p), rtol=1e-12)
    assert np.all(q >= np.array(p) - 1e-15)


def test_undefined_tests_do_not_count():
    q = benjamini_hochberg([0.01, np.nan, 0.04])
    assert q[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(q[1])
    with pytest.raises(AnalyticsError, match="0 to 1"):
        benjamini_hochberg([-3.1, 0.5])
