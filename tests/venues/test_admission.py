"""How often and when an address connects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.venues.admission import CONNECTS, WINDOW_S, Admission


def connect(admission: Admission, now: float) -> float:
    """Wait as told and connect; when that was."""
    while (wait_s := admission.wait_s(now)) > 0:
        now += wait_s
    admission.attempt(now)
    return now


def test_the_limits_are_those_of_the_venue_with_room_for_others():
    assert CONNECTS <= 300 * 0.8
    assert WINDOW_S == 300


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 10))
def test_no_window_sees_more_attempts_than_allowed(pauses: list[float], connects: int):
    admission = Admission(connects=connects, window_s=60.0)
    now, made = 0.0, []
    for pause in pauses:
        now = connect(admission, now + pause)
        made.append(now)
    assert all(later - earlier >= 60.0 - 1e-6 for earlier, later in zip(made, made[connects:], strict=False))


def test_a_wish_to_be_left_alone_is_kept_and_never_shortened():
    admission = Admission()
    assert (admission.wait_s(5.0), admission.held_s(5.0)) == (0.0, 0.0)
    admission.hold(5.0, 120.0)
    admission.hold(6.0, 10.0)
    assert (admission.wait_s(6.0), admission.held_s(6.0)) == (119.0, 119.0)
    assert connect(admission, 7.0) == 125.0
    assert admission.held_s(125.0) == 0.0


@given(st.lists(st.floats(0, 60), max_size=20), st.floats(0, 100))
def test_the_next_process_knows_what_the_one_before_did(pauses: list[float], away_s: float):
    first = Admission(connects=5, window_s=60.0)
    now, made = 0.0, []
    for pause in pauses:
        now = connect(first, now + pause)
        made.append(now)
    first.hold(now, 30.0)
    ages, held_s = first.memory(now)
    second = Admission(connects=5, window_s=60.0)
    later = 1_000.0  # its time begins elsewhere
    second.recall([age + away_s for age in ages], held_s - away_s, later)
    assert abs(second.held_s(later) - max(0.0, 30.0 - away_s)) < 1e-6
    for _ in range(6):
        later = connect(second, later)
        made.append(later - 1_000.0 + now + away_s)
    assert all(after - before >= 60.0 - 1e-6 for before, after in zip(made, made[5:], strict=False))


def test_what_cannot_be_true_is_not_recalled():
    admission = Admission(connects=2)
    admission.recall([-5.0, 1e9], 1e12, 0.0)
    assert admission.wait_s(0.0) == 0.0
    assert admission.memory(0.0) == ([], 0.0)
