"""The histogram and moments of a spread, beside scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.analytics import distribution
from pipeline.errors import Constant, NotFinite, TooShort


@pytest.mark.parametrize("level", [0.0, 60_000.0, 1e8])
@pytest.mark.parametrize("shape", ["normal", "skewed", "fat"])
def test_equals_scipy(shape, level):
    rng = np.random.default_rng(2)
    values = {"normal": rng.normal(size=900), "skewed": rng.exponential(size=900), "fat": rng.standard_t(4, size=900)}[shape]
    got = distribution(values + level)
    close = {"rel": 1e-6, "abs": 1e-6}
    assert got.skew == pytest.approx(float(stats.skew(values)), **close)
    assert got.excess_kurtosis == pytest.approx(float(stats.kurtosis(values)), **close)
    want = stats.jarque_bera(values)
    assert got.statistic == pytest.approx(float(want.statistic), rel=1e-5)
    assert got.p_value == pytest.approx(float(want.pvalue), rel=1e-4, abs=1e-12)
    assert (got.mean - level, got.sd) == (pytest.approx(values.mean(), abs=1e-7), pytest.approx(values.std(ddof=1), rel=1e-7))
    curve = 900 * np.diff(stats.norm(got.mean, got.sd).cdf(got.edges))
    np.testing.assert_allclose(got.normal, curve, atol=1e-6)
    assert got.beyond_two_sd == pytest.approx(np.mean(np.abs(values - values.mean()) > 2 * values.std(ddof=1)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=80).filter(lambda values: np.ptp(values) > 1e-6))
def test_every_value_lies_in_a_bin(values):
    got = distribution(values)
    assert got.counts.sum() == got.n == len(values)
    assert got.edges.size == got.counts.size + 1 == got.normal.size + 1
    assert 8 <= got.counts.size <= 60
    assert got.normal.sum() <= got.n + 1e-6


def test_refusals():
    with pytest.raises(TooShort):
        distribution(np.arange(7.0))
    with pytest.raises(NotFinite):
        distribution([*range(9), np.inf])
    with pytest.raises(Constant):
        distribution(np.full(20, 3.0))
