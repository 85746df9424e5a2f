"""The augmented Dickey-Fuller test against statsmodels, on plain and on unpleasant series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import adf
from pipeline.analytics.adf_exact import adf_by_qr
from pipeline.analytics.mackinnon import TRENDS, critical_values, p_value
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError

SERIES = {
    "walk": lambda rng, n: rng.normal(size=n).cumsum(),
    "noise": lambda rng, n: rng.normal(size=n),
    "price": lambda rng, n: 300 + rng.normal(size=n).cumsum(),
    "drift": lambda rng, n: rng.normal(size=n).cumsum() + 3.0 * np.arange(n),
    "integrated twice": lambda rng, n: rng.normal(size=n).cumsum().cumsum(),
    "ticks": lambda rng, n: np.round(rng.normal(size=n).cumsum()),
    "quiet": lambda rng, n: np.where(rng.random(n) < 0.03, rng.normal(size=n), 0.0).cumsum(),
    "outlier": lambda rng, n: rng.normal(size=n).cumsum() + 1e5 * (np.arange(n) == n - 2),
    "small": lambda rng, n: 0.01 * rng.normal(size=n).cumsum(),
}


def oracle(s, trend, autolag, maxlag=None):
    from statsmodels.tsa.stattools import adfuller

    return adfuller(s, regression=trend, autolag=autolag, maxlag=maxlag, result_object=True)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(25, 300),
    kind=st.sampled_from(sorted(set(SERIES) - {"quiet"})),
    trend=st.sampled_from(TRENDS),
    autolag=st.sampled_from(["aic", "bic", "t-stat", None]),
)
def test_equals_statsmodels(seed, n, kind, trend, autolag):
    s = SERIES[kind](np.random.default_rng(seed), n)
    result, expected = adf(s, trend=trend, autolag=autolag), oracle(s, trend, autolag)
    assert (result.used_lag, result.nobs) == (expected.lags, expected.nobs)
    assert result.statistic == pytest.approx(expected.statistic, rel=1e-8, abs=1e-9)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-6)
    critical = result.critical_values
    assert [critical.pct1, critical.pct5, critical.pct10] == pytest.approx(list(expected.critical_values.values()), rel=1e-12)


def test_equals_statsmodels_at_full_length():
    rng = np.random.default_rng(1)
    for kind in ("walk", "ticks", "quiet"):
        s = SERIES[kind](rng, 1_440)
        result, expected = adf(s), oracle(s, "c", "aic")
        assert result.used_lag == expected.lags
        assert result.statistic == pytest.approx(expected.statistic, rel=1e-8)


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("autolag", ["aic", "bic", "t-stat", None])
def test_both_factorisations_agree(trend, autolag):
    rng = np.random.default_rng(2)
    criterion = {None: 0, "aic": 1, "bic": 2, "t-stat": 3}[autolag]
    for kind in ("walk", "noise", "drift", "ticks", "outlier"):
        s = SERIES[kind](rng, 200)
        statistic, lag = adf_by_qr(s, TRENDS.index(trend), 10, criterion)
        result = adf(s, trend=trend, maxlag=10, autolag=autolag)
        assert result.used_lag == lag
        assert result.statistic == pytest.approx(statistic, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("trend", ["c", "ct", "ctt"])
@pytest.mark.parametrize(("level", "unit"), [(60_000.0, 0.01), (1e8, 0.01)])
def test_level_and_noise_cost_no_precision(trend, level, unit):
    walk = np.round(np.random.default_rng(3).normal(size=600).cumsum(), 2)
    s = level + unit * walk
    exact = adf((s - level) / unit, trend=trend)  # the subtraction is exact
    assert adf(s, trend=trend).statistic == pytest.approx(exact.statistic, rel=1e-8)
    assert adf(s, trend=trend).used_lag == exact.used_lag


@pytest.mark.parametrize("trend", TRENDS)
def test_units_do_not_matter(trend):
    walk = np.random.default_rng(5).normal(size=300).cumsum()
    plain = adf(walk, trend=trend)
    for unit in (1e-12, 1e-6, 1e9):
        assert adf(unit * walk, trend=trend).statistic == pytest.approx(plain.statistic, rel=1e-10)


def test_columns_of_zeros_count_for_nothing():
    s = np.zeros(60)
    s[[15, 40]] = 1.0
    s = s.cumsum()
    result, expected = adf(s), oracle(s, "c", "aic")
    assert (result.used_lag, result.nobs) == (expected.lags, expected.nobs)
    assert result.statistic == pytest.approx(expected.statistic, rel=1e-8)


def test_refusals():
    walk = np.random.default_rng(4).normal(size=100).cumsum()
    with pytest.raises(TooShort, match="at least 25"):
        adf(walk[:24])
    with pytest.raises(TooShort, match="too few for 60 lags"):
        adf(walk, maxlag=60)
    with pytest.raises(Constant):
        adf(np.ones(100))
    with pytest.raises(Constant, match="does not change after"):
        adf(np.r_[np.arange(5.0), np.full(95, 5.0)])
    with pytest.raises(NotFinite, match="position 7"):
        adf(np.where(np.arange(100) == 7, np.inf, walk))
    with pytest.raises(Collinear, match="exact linear function"):
        adf(np.arange(100.0), trend="c")
    with pytest.raises(Collinear):
        adf(np.tile([1.0, 2.0], 50))
    with pytest.raises(AnalyticsError, match="dimensions"):
        adf(walk[:, None])
    with pytest.raises(UsageError, match="autolag"):
        adf(walk, autolag="hqic")
    with pytest.raises(UsageError, match="maxlag is -1"):
        adf(walk, maxlag=-1)


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("n_series", [1, 2])
def test_mackinnon_tables_equal_those_of_statsmodels(trend, n_series):
    from statsmodels.tsa.adfvalues import mackinnoncrit, mackinnonp

    for statistic in np.linspace(-25.0, 4.0, 117).tolist():
        assert p_value(statistic, trend, n_series) == pytest.approx(mackinnonp(statistic, trend, n_series), rel=1e-12, abs=1e-300)
    assert np.isnan(p_value(float("nan"), trend, n_series))
    if (trend, n_series) == ("n", 2):
        assert critical_values(trend, n_series, 100) is None
        return
    for nobs in (25, 100, 1_440, 10**6):
        ours = critical_values(trend, n_series, nobs)
        np.testing.assert_allclose([ours.pct1, ours.pct5, ours.pct10], mackinnoncrit(n_series, trend, nobs), rtol=1e-13)
