"""When connections are replaced, told over weeks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.venues.rotation import DAY_S, rotate_after_s, time_of_day_s

HOUR_S = 3_600.0
AT_S = time_of_day_s("04:30")


def rotations(opened_s, days, **options):
    """The moments at which a place changes its connection."""
    moments = []
    while opened_s < days * DAY_S:
        opened_s += rotate_after_s(opened_s, **options)
        moments.append(opened_s)
    return moments


def test_a_time_of_day_is_read():
    assert [time_of_day_s(text) for text in ("00:00", "04:30", "23:59")] == [0, 16_200, 86_340]


def test_without_a_time_of_day_the_life_decides_and_places_are_apart():
    lives = [rotate_after_s(0.0, life_s=23 * HOUR_S, place=place) for place in range(5)]
    assert lives[0] == 23 * HOUR_S
    assert [earlier - later for earlier, later in pairwise(lives)] == [60.0] * 4


def test_the_time_that_the_user_sets_is_kept_every_day():
    moments = rotations(10 * HOUR_S, 14, life_s=23 * HOUR_S, at_s=AT_S)
    assert [moment / HOUR_S for moment in moments[:4]] == [28.5, 51.5, 52.5, 75.5]  # 04:30, then each day 03:30 and 04:30
    assert all(AT_S - HOUR_S <= moment % DAY_S <= AT_S for moment in moments)


def test_a_connection_that_has_just_been_opened_is_left_alone():
    assert rotate_after_s(AT_S - 60.0, life_s=23 * HOUR_S, at_s=AT_S) == 23 * HOUR_S
    assert rotate_after_s(AT_S - 900.0, life_s=23 * HOUR_S, at_s=AT_S) == 900.0


@given(
    st.floats(0, 2e9),
    st.floats(0.001, 23.9),
    st.none() | st.integers(0, 1_439).map(lambda minute: minute * 60.0),
    st.integers(0, 100),
)
def test_every_connection_ends_before_the_venue_ends_it(opened_s, hours, at_s, place):
    life_s = hours * HOUR_S
    assert life_s / 100 < rotate_after_s(opened_s, life_s=life_s, at_s=at_s, place=place) <= life_s


@pytest.mark.parametrize("hours", [20.0, 23.0, 23.9])
@given(st.floats(0, DAY_S), st.integers(0, 1_439).map(lambda minute: minute * 60.0), st.integers(0, 29), st.floats(0, 20))
def test_it_never_drifts_into_other_hours(hours, opened_s, at_s, place, slow_s):
    """Nor when each change takes a while."""
    moment, seen = opened_s, []
    while moment < 10 * DAY_S:
        moment += rotate_after_s(moment, life_s=hours * HOUR_S, at_s=at_s, place=place) + slow_s
        seen.append(moment)
    before_s = (24 - hours) * HOUR_S + 40 * 60
    settled = [moment for moment in seen if moment > 3 * DAY_S]
    assert all((moment - at_s + before_s) % DAY_S <= before_s + 30 * 60 for moment in settled)
    assert len(settled) <= 2 * 8 + 2


@given(st.floats(0, DAY_S), st.none() | st.integers(0, 1_439).map(lambda minute: minute * 60.0))
def test_connections_are_not_replaced_all_at_once(opened_s, at_s):
    """At the end of a life one place may meet another one that comes to the time of day; never a third."""
    moments = sorted(moment for place in range(12) for moment in rotations(opened_s, 4, life_s=23 * HOUR_S, at_s=at_s, place=place))
    assert all(later - earlier >= 20.0 for earlier, later in zip(moments, moments[2:], strict=False))
