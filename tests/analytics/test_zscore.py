"""Rolling z-score: definition, bound, stability, no look-ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analytics import rolling_zscore, zscore_bound
from pipeline.errors import AnalyticsError, TooShort

VALUES = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 6))


def by_definition(s: np.ndarray, window: int) -> np.ndarray:
    out = np.full(s.size, np.nan)
    for t in range(window - 1, s.size):
        part = s[t - window + 1 : t + 1]
        if part.min() < part.max():
            out[t] = (part[-1] - part.mean()) / part.std(ddof=1)
    return out


def test_small_example_by_hand():
    # 1, 2, 6: mean 3, sd sqrt(7)
    assert rolling_zscore([1.0, 2.0, 6.0], 3).tolist()[2] == pytest.approx(3 / np.sqrt(7), rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(0, 60), elements=VALUES), st.integers(3, 12))
def test_equals_its_definition_and_stays_within_the_bound(s, window):
    z = rolling_zscore(s, window)
    np.testing.assert_allclose(z, by_definition(s, window), rtol=1e-8, atol=1e-8)
    assert np.all(np.isnan(z) | (np.abs(z) <= zscore_bound(window) * (1 + 1e-12)))


def test_level_and_noise_cost_no_precision():
    noise = np.random.default_rng(1).normal(size=5_000)
    for level, size, tolerance in ((60_000.0, 0.01, 1e-8), (1e8, 1e-3, 1e-3)):
        s = level + noise * size
        exact = by_definition((s - level) / size, 50)  # the subtraction is exact
        np.testing.assert_allclose(rolling_zscore(s, 50), exact, rtol=tolerance, atol=1e-7)


def test_an_outlier_that_left_the_window_leaves_nothing_behind():
    s = np.random.default_rng(2).normal(size=400)
    spoiled = s.copy()
    spoiled[100] = 1e15
    np.testing.assert_array_equal(rolling_zscore(spoiled, 20)[121:], rolling_zscore(s, 20)[121:])


def test_a_value_depends_on_its_window_alone_to_the_last_bit():
    s = np.random.default_rng(3).normal(size=5_000).cumsum() + 60_000
    whole = rolling_zscore(s, 20)
    for stop in (20, 21, 2_047, 2_048, 2_049, 4_999):
        assert rolling_zscore(s[:stop], 20)[-1] == whole[stop - 1]
        assert rolling_zscore(s[stop - 20 : stop], 20)[-1] == whole[stop - 1]


def test_constant_window_nan_and_short_series_are_nan():
    s = np.array([0.1] * 30 + [0.2])
    z = rolling_zscore(s, 20)
    assert np.isnan(z[:30]).all()
    assert z[30] == pytest.approx(zscore_bound(20))
    holed = np.arange(40.0) ** 2
    holed[20] = np.nan
    assert np.isnan(rolling_zscore(holed, 5)[20:25]).all()
    assert np.isfinite(rolling_zscore(holed, 5)[25:]).all()
    assert np.isnan(rolling_zscore([1.0, 2.0], 3)).all()
    assert rolling_zscore([], 3).size == 0


def test_bound():
    assert zscore_bound(10) == pytest.approx(2.846049894)  # (10 - 1) / sqrt(10): three sigma can never fire
    with pytest.raises(TooShort, match="window of 2 bars"):
        zscore_bound(2)
    with pytest.raises(TooShort):
        rolling_zscore([1.0, 2.0], 2)
    with pytest.raises(AnalyticsError, match="2 dimensions"):
        rolling_zscore(np.zeros((2, 2)), 3)
