"""KPSS against statsmodels and the numbers that it quotes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import PValueIs, kpss
from pipeline.errors import Constant, NotFinite, TooShort, UsageError


def oracle(s, trend, lags):
    from statsmodels.tools.sm_exceptions import InterpolationWarning
    from statsmodels.tsa.stattools import kpss as peer

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InterpolationWarning)
        found = peer(s, regression=trend, nlags=lags, result_object=True)
    return found, [str(each.message) for each in caught]


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(10, 400),
    phi=st.sampled_from([0.0, 0.7, 0.95, 1.0]),
    trend=st.sampled_from(["c", "ct"]),
    lags=st.sampled_from(["auto", "legacy", 0, 3]),
)
def test_equals_statsmodels(seed, n, phi, trend, lags):
    e = np.random.default_rng(seed).normal(size=n)
    s = e.copy()
    for t in range(1, n):
        s[t] += phi * s[t - 1]
    result, (expected, said) = kpss(s, trend=trend, lags=lags), oracle(s, trend, lags)
    assert result.lags == expected.lags
    assert result.statistic == pytest.approx(expected.statistic, rel=1e-8)
    assert result.p_value == pytest.approx(expected.pvalue, abs=1e-6)
    critical = result.critical_values
    assert [critical.pct10, critical.pct5, critical.pct2_5, critical.pct1] == list(expected.critical_values.values())
    direction = {PValueIs.AT_MOST: "smaller", PValueIs.AT_LEAST: "greater", PValueIs.INTERPOLATED: None}[result.p_is]
    assert bool(said) == (direction is not None)
    assert not said or direction in said[0]


@pytest.mark.parametrize(("level", "unit"), [(60_000.0, 2.0**-7), (1e8, 2.0**-7)])
@pytest.mark.parametrize("trend", ["c", "ct"])
def test_level_and_noise_cost_no_precision(level, unit, trend):
    walk = np.random.default_rng(1).integers(-3, 4, size=500).cumsum()
    assert kpss(level + unit * walk, trend=trend).statistic == pytest.approx(kpss(walk, trend=trend).statistic, rel=1e-9)


def test_numbers_of_r():
    # statsmodels, tsa/tests/test_stattools.py, TestKPSS: R tseries 0.10-34, kpss.test(macrodata$realgdp, null = "Level" / "Trend")
    from statsmodels.datasets import macrodata

    gdp = macrodata.load_pandas().data["realgdp"].to_numpy()
    for trend, statistic, p, read in (("c", 5.0169, 0.01, PValueIs.AT_MOST), ("ct", 1.1828, 0.01, PValueIs.AT_MOST)):
        result = kpss(gdp, trend=trend, lags=3)
        assert result.statistic == pytest.approx(statistic, abs=5e-5)
        assert (result.p_value, result.p_is) == (p, read)


def test_refusals():
    noise = np.random.default_rng(2).normal(size=50)
    with pytest.raises(TooShort, match="at least 10"):
        kpss(noise[:9])
    with pytest.raises(TooShort, match="fewer lags"):
        kpss(noise, lags=50)
    with pytest.raises(NotFinite):
        kpss(np.r_[noise, np.nan])
    with pytest.raises(Constant):
        kpss(np.ones(50))
    with pytest.raises(Constant, match="straight line"):
        kpss(3.0 + 2.0 * np.arange(50.0), trend="ct")
    for options in ({"trend": "n"}, {"lags": "aic"}, {"lags": -1}):
        with pytest.raises(UsageError):
            kpss(noise, **options)
