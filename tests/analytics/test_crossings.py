"""Crossings of a level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import crossings
from pipeline.errors import AnalyticsError, NotFinite, TooShort

MINUTE = 60_000_000


def times(n):
    return np.arange(n) * MINUTE


def test_by_hand():
    result = crossings([1.0, -1.0, 0.0, -2.0, 0.0, 3.0, 4.0], times(7), level=0.0)
    assert result.at.tolist() == [1, 5]  # to touch 0 and turn back is no crossing
    assert (result.count, result.last_ts, result.bars_since, result.us_since) == (2, 5 * MINUTE, 1, MINUTE)
    assert result.per_day == pytest.approx(2 / (6 / 1_440))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=40))
def test_equals_a_walk_through_the_bars(values):
    result = crossings(values, times(len(values)), level=0.0)
    side, at = 0, []
    for i, value in enumerate(values):
        here = (value > 0) - (value < 0)
        if here and side and here != side:
            at.append(i)
        side = here or side
    assert result.at.tolist() == at
    assert result.count == len(at)
    if at:
        assert result.bars_since == len(values) - 1 - at[-1]


def test_frequency_of_an_autoregression_is_rices():
    rng = np.random.default_rng(1)
    s = np.zeros(40_000)
    for t in range(1, s.size):
        s[t] = 0.95 * s[t - 1] + rng.normal()
    assert crossings(s, times(s.size)).count / s.size == pytest.approx(math.acos(0.95) / math.pi, rel=0.05)


def test_the_past_does_not_change_under_a_level_that_was_known():
    s = np.random.default_rng(2).normal(size=100)
    whole = crossings(s, times(100), level=0.1).at
    for cut in (1, 10, 50):
        assert crossings(s[:cut], times(cut), level=0.1).at.tolist() == whole[whole < cut].tolist()


def test_none_and_refusals():
    quiet = crossings([1.0, 2.0, 3.0], times(3), level=0.0)
    assert (quiet.count, quiet.per_day, quiet.last_ts, quiet.bars_since, quiet.us_since) == (0, 0.0, None, None, None)
    one = crossings([5.0], [0])
    assert (one.level, one.per_day, one.count) == (5.0, None, 0)
    assert crossings(np.full(9, 0.1), times(9)).count == 0
    assert crossings(np.full(9, 1e8 + 0.1), times(9)).count == 0
    with pytest.raises(TooShort):
        crossings([], [])
    with pytest.raises(NotFinite):
        crossings([1.0, np.nan], times(2))
    with pytest.raises(NotFinite, match="level"):
        crossings([1.0, 2.0], times(2), level=math.nan)
    for ts in ([0], [0, 0]):
        with pytest.raises(AnalyticsError, match="strictly increasing"):
            crossings([1.0, 2.0], ts)
