"""Stability of beta, the CUSUM test, and the spread that tests refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import analytics
from pipeline.analytics import (
    adf,
    beta_stability,
    engle_granger,
    engle_granger_both,
    half_life,
    hurst,
    kpss,
    level_correlation,
    log_returns,
    ornstein_uhlenbeck,
    return_correlation,
    rolling_correlation,
    rolling_hedge_ratio,
    rolling_spread,
    rolling_zscore,
    variance_ratio,
)
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError


def legs(seed, n=400, level=0.0):
    rng = np.random.default_rng(seed)
    x = level + rng.normal(size=n).cumsum()
    return 1.5 * x + rng.normal(size=n), x


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 300), st.sampled_from([0.0, 60_000.0]))
def test_cusum_equals_statsmodels(seed, n, level):
    import statsmodels.api as sm
    from statsmodels.stats.diagnostic import breaks_cusumolsresid

    y, x = legs(seed, n, level)
    result = beta_stability(y, x, 3)
    moved = x - x[0]
    statistic, p, critical = breaks_cusumolsresid(sm.OLS(y - y[0], sm.add_constant(moved)).fit().resid)
    assert result.statistic == pytest.approx(statistic, rel=1e-8)
    assert result.p_value == pytest.approx(p, abs=1e-6)
    assert [result.critical_values.pct1, result.critical_values.pct5, result.critical_values.pct10] == [value for _, value in critical]


def test_figures_of_the_rolling_beta():
    from scipy.stats import t

    y, x = legs(1)
    result, rolled = beta_stability(y, x, 60), rolling_hedge_ratio(y, x, 60, errors=True)
    betas, errors = rolled.beta[59:], rolled.beta_se[59:]
    assert result.rolling_sd == pytest.approx(np.std(betas, ddof=1), rel=1e-12)
    assert result.relative_sd == pytest.approx(np.std(betas, ddof=1) / result.beta, rel=1e-12)
    assert result.share_outside == np.mean(np.abs(betas - result.beta) > t.ppf(0.975, 58) * errors)


def test_a_break_is_seen_and_a_stable_line_is_not_called_broken():
    y, x = legs(2)
    assert beta_stability(y, x, 60).p_value > 0.05
    broken = y + np.where(np.arange(400) > 200, 0.8 * x + 3.0, 0.0)
    result = beta_stability(broken, x, 60)
    assert result.p_value < 0.01
    assert result.share_outside > 0.3


def test_stability_refusals():
    y, x = legs(3)
    with pytest.raises(TooShort, match="at least 120"):
        beta_stability(y[:119], x[:119], 60)
    with pytest.raises(TooShort):
        beta_stability(y, x, 2)
    with pytest.raises(Collinear):
        beta_stability(2.0 * x + 1.0, x, 60)
    with pytest.raises(Constant):
        beta_stability(y, np.ones(400), 60)
    with pytest.raises(NotFinite):
        beta_stability(np.r_[y[1:], np.nan], x, 60)


# --- the spread of a rolling beta ----------------------------------------------------------------


def test_rolling_spread_is_what_the_line_before_missed():
    y, x = legs(4)
    result, rolled = rolling_spread(y, x, 50), rolling_hedge_ratio(y, x, 50)
    assert np.isnan(result.values[:50]).all()
    np.testing.assert_array_equal(result.values[50:], y[50:] - rolled.alpha[49:-1] - rolled.beta[49:-1] * x[50:])
    changed = y.copy()
    changed[-1] += 5.0
    np.testing.assert_array_equal(rolling_spread(changed, x, 50).beta, result.beta)  # no look-ahead
    assert np.isfinite(rolling_zscore(result.values, 20)[80:]).all()
    assert rolling_spread([], [], 50).values.size == 0


@pytest.mark.parametrize("statistic", [adf, kpss, variance_ratio, half_life, hurst, ornstein_uhlenbeck])
def test_tests_refuse_the_spread_of_a_rolling_beta(statistic):
    y, x = legs(5)
    with pytest.raises(UsageError, match="run engle_granger on the legs"):
        statistic(rolling_spread(y, x, 50))


def test_why_it_is_refused():
    rng = np.random.default_rng(6)
    rejected = 0
    for _ in range(60):
        y, x = rng.normal(size=(2, 500)).cumsum(axis=1)
        rejected += adf(rolling_spread(y, x, 60).values[60:]).p_value < 0.05
    assert rejected >= 50  # of unrelated walks


# --- both directions -----------------------------------------------------------------------------


def test_both_directions_are_those_of_the_test_and_p_is_doubled():
    y, x = legs(7)
    both = engle_granger_both(y, x, trend="ct", autolag="bic")
    assert both.y_on_x == engle_granger(y, x, trend="ct", autolag="bic")
    assert both.x_on_y == engle_granger(x, y, trend="ct", autolag="bic")
    assert both.p_value == min(1.0, 2 * min(both.y_on_x.p_value, both.x_on_y.p_value))
    assert both.chosen.p_value == min(both.y_on_x.p_value, both.x_on_y.p_value)
    assert engle_granger_both(x, y, trend="ct", autolag="bic").dependent != both.dependent
    with pytest.raises(Collinear):
        engle_granger_both(2.0 * x, x)


def test_the_doubled_p_keeps_its_level_and_the_smaller_one_does_not():
    rng = np.random.default_rng(8)
    found = [engle_granger_both(*rng.normal(size=(2, 250)).cumsum(axis=1)) for _ in range(1_000)]
    assert np.mean([each.p_value < 0.05 for each in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)
    assert np.mean([each.chosen.p_value < 0.05 for each in found]) > 0.07


# --- what every test says ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Adf", "Kpss", "EngleGranger", "EngleGrangerBoth", "Johansen", "VarianceRatio", "BetaStability"])
def test_every_test_names_its_null_hypothesis(name):
    result = getattr(analytics, name)
    assert isinstance(result.null, str)
    assert "null" not in {field.name for field in dataclasses.fields(result)}  # of the test, not of one outcome


# --- correlation of returns and of levels ------------------------------------------------------------


def test_correlations_of_returns_and_of_levels():
    y, x = (leg + 1_000 for leg in legs(9))
    np.testing.assert_array_equal(return_correlation(y, x, 30), rolling_correlation(log_returns(y), log_returns(x), 30))
    np.testing.assert_array_equal(level_correlation(y, x, 30), rolling_correlation(y, x, 30))
    np.testing.assert_array_equal(level_correlation(y, x, 30, scale="log"), rolling_correlation(np.log(y), np.log(x), 30))
    with pytest.raises(NotFinite):
        level_correlation(y - 2_000, x, 30, scale="log")
    with pytest.raises(UsageError):
        level_correlation(y, x, 30, scale="square")
    with pytest.raises(AnalyticsError):
        return_correlation(y, x[1:], 30)
    walks = np.random.default_rng(10).normal(size=(20, 2, 500)).cumsum(axis=2)
    assert 0.3 < np.median([abs(level_correlation(a, b, 50)[49::50]) for a, b in walks]) < 0.5  # chance alone
