"""The last value of a window, beside the array functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.analytics import log_returns, rolling_correlation, rolling_zscore
from pipeline.analytics.latest import latest_correlation, latest_log_returns, latest_zscore
from pipeline.errors import NotFinite

windows = st.tuples(st.integers(0, 2**31), st.integers(3, 60), st.sampled_from([0.0, 1.0, 60_000.0]), st.sampled_from([1e-2, 1.0, 100.0]))


@settings(max_examples=200, deadline=None)
@given(shape=windows)
@example((41, 41, 60_000.0, 0.01))
def test_they_are_the_last_values_of_the_array_functions(shape):
    seed, count, level, noise = shape
    rng = np.random.default_rng(seed)
    a, b = (level + noise * rng.standard_normal((2, count))).round(4)
    for ours, theirs in [
        (latest_zscore(a.tolist()), rolling_zscore(a, count)[-1]),
        (latest_correlation(a.tolist(), b.tolist()), rolling_correlation(a, b, count)[-1]),
    ]:
        assert np.isnan(theirs) if ours is None else ours == pytest.approx(theirs, rel=1e-8, abs=1e-12)
    prices = np.abs(a) + 1.0
    assert latest_log_returns(prices.tolist()) == pytest.approx(log_returns(prices)[1:], rel=1e-12, abs=1e-18)


def test_what_is_undefined_is_none():
    assert latest_zscore([1.5] * 20) is None
    assert latest_zscore([1.0, 2.0]) is None
    assert latest_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert latest_correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)
    with pytest.raises(NotFinite, match="above zero"):
        latest_log_returns([1.0, 0.0])
