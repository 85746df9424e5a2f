"""What a chart loads, and how fine."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.tables.bars import COLUMNS, Bars, ms_of
from dashboards.tables.history import LEAST_PX, Stretch, Window, missing, step_for, steps
from pipeline.model.timeframe import Timeframe

DAY = 86_400_000.0
NOW = ms_of(datetime(2026, 3, 2, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("timeframe", "span", "width", "step"),
    [
        ("1s", DAY, 950, 300),
        ("1s", 150_000, 950, 1),
        ("1s", DAY, 300, 600),
        ("1m", DAY / 4, 950, 60),
        ("1m", DAY, 950, 300),
        ("5m", 7 * DAY, 950, 1_800),
        ("1d", 2_500 * DAY, 950, 10 * 86_400),
        ("1s", 1e15, 950, 300 * 86_400),
    ],
)
def test_the_step_follows_what_is_seen(timeframe, span, width, step):
    assert step_for(Timeframe.parse(timeframe), span, width) == step


@given(st.sampled_from(["1s", "7s", "1m", "3m", "4h", "1d"]).filter(lambda name: 86_400 % int(name[:-1]) == 0), st.floats(1e3, 1e12))
def test_a_step_is_whole_bars_and_no_wider_than_it_must_be(name, span):
    timeframe = Timeframe.parse(name)
    step = step_for(timeframe, span, 950)
    assert step % timeframe.seconds == 0
    narrower = [other for other in steps(timeframe) if other < step]
    assert all(950 * other * 1000 / span < LEAST_PX for other in narrower)


def test_nothing_is_loaded_where_the_live_candles_reach():
    assert missing(Window(NOW - 1_000_000, NOW, 950), None, NOW - 9_000_000, 60) is None


def test_panning_left_loads_a_window_to_each_side_up_to_the_live_candles():
    seen = Window(NOW - 2 * DAY, NOW - DAY, 950)
    found = missing(seen, None, NOW - 1.5 * DAY, 300)
    assert found is not None
    assert ms_of(found.start) == NOW - 3 * DAY
    assert ms_of(found.end) == NOW - 1.5 * DAY
    assert missing(seen, found, NOW - 1.5 * DAY, 300) is None
    further = Window(seen.start_ms - 0.9 * DAY, seen.end_ms - 0.9 * DAY, 950)
    assert missing(further, found, NOW - 1.5 * DAY, 300) is not None


@given(st.floats(-1e14, 1e14), st.floats(1, 1e13), st.sampled_from([1, 60, 300, 86_400]))
def test_what_was_loaded_suffices_wherever_the_chart_was_dragged(start, span, step):
    seen = Window(start, start + span, 950)
    found = missing(seen, None, NOW, step)
    if found is not None and start > -1e12 and start + span < 5e12 and span < 1e11:
        assert missing(seen, found, NOW, step) is None


def bars(ts: list[float], value: float) -> Bars:
    columns = {name: np.full(len(ts), value) for name in COLUMNS} | {"ts": np.array(ts, float)}
    return Bars("A", Timeframe.parse("1s"), 1, datetime.now(UTC), 0.0, 2, **columns)


def test_later_candles_stand_in_the_place_of_earlier_ones():
    joined = bars([1, 2, 3, 4], 1.0).then(bars([3, 4, 5], 2.0))
    assert joined.ts.tolist() == [1, 2, 3, 4, 5]
    assert joined.close.tolist() == [1, 1, 2, 2, 2]
    assert bars([1, 2], 1.0).then(bars([], 2.0)).ts.tolist() == [1, 2]
    assert not joined.same(bars([1, 2, 3, 4, 5], 2.0), last=5)
    assert joined.same(joined, last=5)


def test_a_stretch_knows_what_lies_in_it():
    stretch = Stretch(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert stretch.reaches(NOW - 1.5 * DAY, NOW - 0.5 * DAY)
    assert not stretch.reaches(NOW - 1.6 * DAY, NOW - 0.5 * DAY)
