"""Entries and exits of a z-score, beside a walk through every bar."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analytics import threshold_marks
from pipeline.errors import UsageError


def walked(zscore, entry, leave):
    side, longs, shorts, left, held = 0, [], [], [], []
    for at, z in enumerate(zscore):
        if not math.isnan(z):
            if (side == 1 and z >= -leave) or (side == -1 and z <= leave):
                side = 0
                left.append(at)
            if side == 0 and z >= entry:
                side = -1
                shorts.append(at)
            elif side == 0 and z <= -entry:
                side = 1
                longs.append(at)
        held.append(side)
    return longs, shorts, left, held


@given(
    st.lists(st.one_of(st.floats(-4, 4), st.sampled_from([math.nan, 2.0, -2.0, 0.5, -0.5, 0.0])), max_size=60),
    st.sampled_from([(2.0, 0.5), (2.0, 0.0), (1.0, 0.99)]),
)
def test_equals_a_walk_through_every_bar(zscore, thresholds):
    entry, leave = thresholds
    got = threshold_marks(zscore, entry=entry, leave=leave)
    assert (got.enter_long.tolist(), got.enter_short.tolist(), got.leave.tolist(), got.position.tolist()) == walked(zscore, entry, leave)


def test_an_example_by_hand():
    got = threshold_marks([math.nan, 1.0, 2.5, 3.0, 0.6, 0.4, -2.0, math.nan, 2.2, 0.0], entry=2.0, leave=0.5)
    assert got.enter_short.tolist() == [2, 8]
    assert got.enter_long.tolist() == [6]
    assert got.leave.tolist() == [5, 8, 9]
    assert got.position.tolist() == [0, 0, -1, -1, -1, 0, 1, 1, -1, 0]


@pytest.mark.parametrize(("entry", "leave"), [(0.5, 0.5), (2.0, -0.1), (math.inf, 1.0), (math.nan, 0.5), (2.0, math.nan)])
def test_thresholds_that_make_no_sense(entry, leave):
    with pytest.raises(UsageError, match=r"such as 2 and 0\.5"):
        threshold_marks([0.0], entry=entry, leave=leave)
