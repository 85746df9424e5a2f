"""Spread, returns, correlation, and the live series of a pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import log_returns, rolling_correlation, rolling_zscore, signal_series, spread
from pipeline.errors import AnalyticsError, NotFinite, TooShort, UsageError


def test_spread_on_both_scales():
    assert spread([10.0, 12.0], [4.0, 5.0], 2.0).tolist() == [2.0, 2.0]
    np.testing.assert_allclose(spread([np.e, 1.0], [1.0, np.e], 3.0, scale="log"), [1.0, -3.0], rtol=1e-15)
    assert np.isnan(spread([np.nan], [1.0], 1.0)).all()
    with pytest.raises(NotFinite, match="y is 0 at position 1"):
        spread([1.0, 0.0], [1.0, 1.0], 1.0, scale="log")
    with pytest.raises(UsageError, match="price or log"):
        spread([1.0], [1.0], 1.0, scale="square")
    with pytest.raises(AnalyticsError, match="same number"):
        spread([1.0, 2.0], [1.0], 1.0)
    with pytest.raises(UsageError, match="use rolling_spread"):
        spread([1.0, 2.0], [1.0, 1.0], np.array([1.0, 2.0]))


def test_log_returns_stay_beside_their_bars():
    prices = np.array([100.0, 101.0, np.nan, 99.0, 99.0])
    returns = log_returns(prices)
    assert np.isnan(returns[[0, 2, 3]]).all()
    assert returns[1] == pytest.approx(np.log(1.01), rel=1e-15)
    assert returns[4] == 0.0
    assert log_returns([]).size == 0
    with pytest.raises(NotFinite):
        log_returns([1.0, -1.0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 80), st.integers(3, 20), st.sampled_from([0.0, 60_000.0]))
def test_correlation_equals_numpy(seed, n, window, level):
    a, b = level + np.random.default_rng(seed).normal(size=(2, n))
    rolled = rolling_correlation(a, b, window)
    assert rolled.size == n
    for stop in range(window, n + 1):
        part = slice(stop - window, stop)
        assert rolled[stop - 1] == pytest.approx(np.corrcoef(a[part], b[part])[0, 1], abs=1e-9)
    assert np.isnan(rolled[: window - 1]).all()


def test_correlation_at_its_ends_and_where_undefined():
    a = np.random.default_rng(1).normal(size=50)
    np.testing.assert_allclose(rolling_correlation(a, 3 * a + 1, 10)[9:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(rolling_correlation(a, -a, 10)[9:], -1.0, rtol=1e-12)
    assert np.nanmax(np.abs(rolling_correlation(a, a * 1e-7, 5))) <= 1.0
    assert np.isnan(rolling_correlation(a, np.full(50, 0.1), 10)).all()
    with pytest.raises(TooShort):
        rolling_correlation(a, a, 2)
    with pytest.raises(AnalyticsError, match="a has 50"):
        rolling_correlation(a, a[1:], 5)


def test_signals_are_their_parts_and_need_only_their_windows():
    rng = np.random.default_rng(2)
    x = 60_000 + rng.normal(size=400).cumsum()
    y = 3_000 + 0.05 * x + rng.normal(size=400)
    for scale in ("price", "log"):
        whole = signal_series(y, x, 0.05, scale=scale, zscore_window=20, correlation_window=50)
        values = spread(y, x, 0.05, scale=scale)
        np.testing.assert_array_equal(whole.spread, values)
        np.testing.assert_array_equal(whole.zscore, rolling_zscore(values, 20))
        assert np.isnan(whole.correlation[:50]).all()
        assert np.isfinite(whole.correlation[50:]).all()
        tail = signal_series(y[-51:], x[-51:], 0.05, scale=scale, zscore_window=20, correlation_window=50)
        assert (tail.spread[-1], tail.zscore[-1], tail.correlation[-1]) == (whole.spread[-1], whole.zscore[-1], whole.correlation[-1])


def test_signals_of_nothing_yet():
    empty = signal_series([], [], 1.0, zscore_window=20, correlation_window=50)
    assert (empty.spread.size, empty.zscore.size, empty.correlation.size) == (0, 0, 0)
    one = signal_series([2.0], [1.0], 1.0, zscore_window=20, correlation_window=50)
    assert one.spread.tolist() == [1.0]
    assert np.isnan([one.zscore[0], one.correlation[0]]).all()
