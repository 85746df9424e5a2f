from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pipeline.alerts import (
    GRID_US,
    AlertEvent,
    AlertState,
    Condition,
    EventKind,
    Metric,
    Phase,
    Reading,
    Rule,
    acknowledge,
    deadline_us,
    event_id,
    grid_us,
    retire,
    step,
)
from pipeline.model.timeframe import Timeframe

START = 1_723_161_255_000_000
RULE = Rule(
    rule_id="r1",
    name="rich",
    target="*",
    metric=Metric.ZSCORE,
    timeframe=Timeframe.parse("1m"),
    condition=Condition.ABOVE,
    threshold=2.0,
    recovery_threshold=0.5,
    for_s=0.3,
)
NEW = AlertState(rule_id="r1", series="ETHUSDT/BTCUSDT")
KIND = EventKind


def at(k):
    return START + k * GRID_US


def run(rule, values, state=NEW, start=0):
    events = []
    for k, value in enumerate(values, start):
        state, new = step(rule, state, at(k), Reading(value))
        events += new
    return state, events


def told(events):
    return [((event.at_us - START) // GRID_US, event.kind) for event in events]


def test_pending_then_firing_then_recovering_with_hysteresis():
    values = [0, 3, 3, 3, 3, 1.9, 0.6, 2.5, 0.5, 0.4]
    state, events = run(RULE, values)
    assert told(events) == [(1, KIND.PENDING), (4, KIND.FIRING), (8, KIND.RESOLVED)]
    assert [event.threshold for event in events] == [2.0, 2.0, 0.5]
    assert [event.value for event in events] == [3, 3, 0.5]
    assert [event.active_since_us for event in events] == [None, at(4), at(4)]
    assert state == replace(NEW, phase=Phase.NORMAL, since_us=at(8), value=0.5)
    assert [event.notifies for event in events] == [False, True, True]


def test_a_condition_that_does_not_hold_long_enough_never_fires():
    _, events = run(RULE, [0, 3, 3, 3, 2, 3, 3, 2])
    assert told(events) == [(1, KIND.PENDING), (4, KIND.CLEARED), (5, KIND.PENDING), (7, KIND.CLEARED)]


def test_without_pending_time_it_fires_at_once_even_on_the_first_value():
    _, events = run(replace(RULE, for_s=0.0), [3, 3, 0])
    assert told(events) == [(0, KIND.FIRING), (2, KIND.RESOLVED)]


def test_before_the_first_value_there_is_no_data_and_no_event():
    state, events = run(RULE, [None, None, math.nan])
    assert (state, events) == (NEW, [])
    state, events = run(RULE, [0], state)
    assert (state.phase, events) == (Phase.NORMAL, [])


def test_no_data_interrupts_pending_and_is_told_once_and_taken_back():
    _, events = run(RULE, [0, 3, 3, None, None, 3, 3, 3, 3, 0])
    assert told(events) == [(1, KIND.PENDING), (3, KIND.NODATA), (5, KIND.RESTORED), (8, KIND.FIRING), (9, KIND.RESOLVED)]
    assert events[1].value is None
    assert events[2].phase is Phase.PENDING


def test_an_alert_fires_on_through_missing_data():
    values = [3, 3, 3, 3, None, 1.0, None, 0.0]
    state, events = run(RULE, values)
    assert told(events) == [(0, KIND.PENDING), (3, KIND.FIRING), (4, KIND.NODATA), (5, KIND.RESTORED), (6, KIND.NODATA), (7, KIND.RESOLVED)]
    assert events[3].phase is Phase.FIRING
    assert {event.active_since_us for event in events[1:]} == {at(3)}
    assert not state.active


def test_a_crossing_needs_the_near_side_first():
    rule = replace(RULE, condition=Condition.CROSSES_UP, for_s=0.0)
    _, events = run(rule, [3, 3, 1, 3, 0, 3])
    assert told(events) == [(3, KIND.FIRING), (4, KIND.RESOLVED), (5, KIND.FIRING)]
    down = replace(RULE, condition=Condition.CROSSES_DOWN, threshold=-2.0, recovery_threshold=None, for_s=0.0)
    _, events = run(down, [-3, 0, None, -3, -2])
    assert told(events) == [(2, KIND.NODATA), (3, KIND.FIRING), (4, KIND.RESOLVED)]


def test_bands_say_which_end_decided():
    rule = replace(RULE, condition=Condition.OUTSIDE, for_s=0.0)
    _, events = run(rule, [0, -3, -0.6, -0.5, 3, 0.5])
    assert told(events) == [(1, KIND.FIRING), (3, KIND.RESOLVED), (4, KIND.FIRING), (5, KIND.RESOLVED)]
    assert [event.threshold for event in events] == [-2.0, -0.5, 2.0, 0.5]


def test_an_infinite_half_life_is_above_every_threshold():
    rule = replace(RULE, metric=Metric.HALF_LIFE, threshold=50.0, recovery_threshold=None, for_s=0.0)
    _, events = run(rule, [10.0, math.inf, 20.0])
    assert told(events) == [(1, KIND.FIRING), (2, KIND.RESOLVED)]
    assert AlertEvent.from_json(events[0].to_json()) == events[0]


def test_texts_for_people():
    _, events = run(RULE, [0, 3, 3, 3, 2.345678, None, 1, 0.25])
    assert [event.text for event in events] == [
        "pending: ETHUSDT/BTCUSDT z-score 1m is 3, above 2 for 0.3 s [rich]",
        "warning firing: ETHUSDT/BTCUSDT z-score 1m is 2.345678, above 2 for 0.3 s [rich]",
        "nodata: ETHUSDT/BTCUSDT z-score 1m has no value [rich]",
        "restored: ETHUSDT/BTCUSDT z-score 1m is 1 again, still firing [rich]",
        "resolved: ETHUSDT/BTCUSDT z-score 1m is 0.25, recovers under 0.5 [rich]",
    ]


def test_acknowledging_lasts_until_resolved():
    state, _ = run(RULE, [3, 3, 3, 3])
    acked, (event,) = acknowledge(RULE, state, at(4) + 7, "ann")
    assert acked.acknowledged
    assert (acked.acknowledged_by, event.kind, event.notifies, event.at_us) == ("ann", KIND.ACKNOWLEDGED, False, at(4) + 7)
    assert acknowledge(RULE, acked, at(5), "bob") == (acked, ())
    missing, _ = run(RULE, [None], acked, 6)
    assert missing.acknowledged
    over, _ = run(RULE, [0], missing, 7)
    assert not over.acknowledged
    assert over.acknowledged_by is None
    assert acknowledge(RULE, over, at(8), "ann") == (over, ())


def test_retiring_resolves_what_fires_and_forgets():
    state, _ = run(RULE, [3, 3, 3, 3])
    fresh, (event,) = retire(RULE, state, at(4), "the rule was deleted")
    assert (fresh, event.kind) == (NEW, KIND.RESOLVED)
    assert event.text == "resolved: ETHUSDT/BTCUSDT z-score 1m (the rule was deleted) [rich]"
    assert retire(RULE, replace(state, fired_us=None, phase=Phase.NORMAL), at(4), "x") == (NEW, ())


def test_time_that_stands_still_or_runs_back_changes_nothing():
    state, _ = run(RULE, [3, 3, 3, 3])
    for now in (at(3), at(0), 0):
        assert step(RULE, state, now, Reading(0.0)) == (state, ())
    assert step(RULE, state, at(4), Reading(0.0))[1][0].kind is KIND.RESOLVED


def test_a_state_that_did_not_change_is_the_same_object():
    state, _ = run(RULE, [0])
    assert step(RULE, state, at(1), Reading(1.0))[0] is state
    firing, _ = run(RULE, [3, 3, 3, 3])
    assert step(RULE, firing, at(4), Reading(2.2))[0] is firing


def test_event_ids_are_fixed_for_ever():
    assert event_id("r1", "BTCUSDT", START, KIND.FIRING) == event_id("r1", "BTCUSDT", START, KIND.FIRING)
    assert event_id("r1", "ETHUSDT/BTCUSDT", 1_723_161_255_300_000, KIND.FIRING) == "2e629734551a7a95ab37ebdc6a65eaca"


def test_grid_points():
    assert [grid_us(time) for time in (0, 1, GRID_US - 1, GRID_US, GRID_US + 1)] == [0, GRID_US, GRID_US, GRID_US, 2 * GRID_US]
    state, _ = run(replace(RULE, for_s=0.25), [0, 3])
    assert deadline_us(replace(RULE, for_s=0.25), state, at(1)) == at(4)
    assert deadline_us(RULE, NEW, 0) is None


@pytest.mark.parametrize("value", [True, "1"])
def test_a_state_of_another_shape_is_refused(value):
    from pipeline.errors import RuleError

    with pytest.raises(RuleError, match="alert state field since_us"):
        AlertState.from_row({"rule_id": "r", "series": "S", "since_us": value})
