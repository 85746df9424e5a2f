"""Two legs on one grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import align
from pipeline.errors import AnalyticsError, NotFinite

STEP = 60_000_000


def test_fills_at_most_max_fill_bars_and_says_so():
    y_ts, y = [0, STEP, 2 * STEP, 6 * STEP], [1.0, 2.0, 3.0, 4.0]
    x_ts, x = [STEP, 3 * STEP, 6 * STEP, 7 * STEP], [10.0, 30.0, 60.0, 70.0]
    rows = align(y_ts, y, x_ts, x, STEP, 1)
    assert (rows.ts // STEP).tolist() == [1, 2, 3, 6, 7]  # 4 and 5: y last traded two and three bars before
    assert rows.y.tolist() == [2.0, 3.0, 3.0, 4.0, 4.0]
    assert rows.x.tolist() == [10.0, 10.0, 30.0, 60.0, 70.0]
    assert rows.y_filled.tolist() == [False, False, True, False, True]
    assert rows.x_filled.tolist() == [False, True, False, False, False]
    assert len(rows) == 5


@settings(max_examples=80, deadline=None)
@given(
    st.sets(st.integers(0, 40), max_size=30),
    st.sets(st.integers(0, 40), max_size=30),
    st.integers(0, 6),
)
def test_equals_a_walk_over_the_grid(y_slots, x_slots, max_fill):
    legs = [(sorted(slots), {slot: slot * weight for slot in slots}) for slots, weight in ((y_slots, 1.5), (x_slots, 2.5))]
    (y_times, y), (x_times, x) = legs
    expected = []
    for slot in range(max([*y_slots, *x_slots], default=-1) + 1):
        last = [max((s for s in times if s <= slot), default=None) for times in (y_times, x_times)]
        if all(at is not None and slot - at <= max_fill for at in last):
            expected.append((slot * STEP, y[last[0]], x[last[1]], last[0] != slot, last[1] != slot))
    rows = align(
        np.array(y_times, np.int64) * STEP,
        [y[s] for s in y_times],
        np.array(x_times, np.int64) * STEP,
        [x[s] for s in x_times],
        STEP,
        max_fill,
    )
    got = list(zip(rows.ts.tolist(), rows.y.tolist(), rows.x.tolist(), rows.y_filled.tolist(), rows.x_filled.tolist(), strict=True))
    assert got == expected


def test_a_long_silence_costs_no_memory():
    rows = align([0, 10**15], [1.0, 2.0], [0, 10**15], [3.0, 4.0], 1_000_000, 5)
    assert len(rows) == 7


def test_refuses_what_is_no_grid():
    with pytest.raises(AnalyticsError, match="strictly increasing multiples"):
        align([0, 1], [1.0, 2.0], [0], [1.0], STEP, 1)
    with pytest.raises(AnalyticsError, match="strictly increasing multiples"):
        align([STEP, 0], [1.0, 2.0], [0], [1.0], STEP, 1)
    with pytest.raises(AnalyticsError, match="one close for each time"):
        align([0], [1.0, 2.0], [0], [1.0], STEP, 1)
    with pytest.raises(NotFinite):
        align([0], [np.nan], [0], [1.0], STEP, 1)
    with pytest.raises(AnalyticsError, match="positive step"):
        align([0], [1.0], [0], [1.0], 0, 1)
