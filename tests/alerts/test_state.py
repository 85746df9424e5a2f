from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import (
    GRID_US,
    AlertEvent,
    AlertState,
    Condition,
    EventKind,
    Metric,
    Phase,
    Rule,
    acknowledge,
    advance,
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
        state, event = step(rule, state, at(k), value)
        if event is not None:
            events.append(event)
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
    acked, event = acknowledge(RULE, state, at(4) + 7, "ann")
    assert acked.acknowledged
    assert (acked.acknowledged_by, event.kind, event.notifies, event.at_us) == ("ann", KIND.ACKNOWLEDGED, False, at(4) + 7)
    assert acknowledge(RULE, acked, at(5), "bob") == (acked, None)
    missing, _ = run(RULE, [None], acked, 6)
    assert missing.acknowledged
    over, _ = run(RULE, [0], missing, 7)
    assert not over.acknowledged
    assert over.acknowledged_by is None
    assert acknowledge(RULE, over, at(8), "ann") == (over, None)


def test_retiring_resolves_what_fires_and_forgets():
    state, _ = run(RULE, [3, 3, 3, 3])
    fresh, event = retire(RULE, state, at(4), "the rule was deleted")
    assert (fresh, event.kind) == (NEW, KIND.RESOLVED)
    assert event.text == "resolved: ETHUSDT/BTCUSDT z-score 1m (the rule was deleted) [rich]"
    assert retire(RULE, replace(state, fired_us=None, phase=Phase.NORMAL), at(4), "x") == (NEW, None)


def test_time_that_stands_still_or_runs_back_changes_nothing():
    state, _ = run(RULE, [3, 3, 3, 3])
    for now in (at(3), at(0), 0):
        assert step(RULE, state, now, 0.0) == (state, None)
    assert step(RULE, state, at(4), 0.0)[1].kind is KIND.RESOLVED


def test_a_state_that_did_not_change_is_the_same_object():
    state, _ = run(RULE, [0])
    assert step(RULE, state, at(1), 1.0)[0] is state
    firing, _ = run(RULE, [3, 3, 3, 3])
    assert step(RULE, firing, at(4), 2.2)[0] is firing


def test_event_ids_are_fixed_for_ever():
    assert event_id("r1", "BTCUSDT", START, KIND.FIRING) == event_id("r1", "BTCUSDT", START, KIND.FIRING)
    assert event_id("r1", "ETHUSDT/BTCUSDT", 1_723_161_255_300_000, KIND.FIRING) == "2e629734551a7a95ab37ebdc6a65eaca"


def test_grid_points():
    assert [grid_us(time) for time in (0, 1, GRID_US - 1, GRID_US, GRID_US + 1)] == [0, GRID_US, GRID_US, GRID_US, 2 * GRID_US]
    state, _ = run(replace(RULE, for_s=0.25), [0, 3])
    assert deadline_us(replace(RULE, for_s=0.25), state) == at(4)
    assert deadline_us(RULE, NEW) is None


def test_a_deadline_that_was_slept_through_fires_with_the_value_of_then():
    state, _ = run(RULE, [0, 3, 2.5])
    state, events = advance(RULE, state, at(9), 0.0)
    assert told(events) == [(4, KIND.FIRING), (9, KIND.RESOLVED)]
    assert events[0].value == 2.5


# --- against a plain specification ------------------------------------------------------------------------------

VALUES = [None, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]
series = st.lists(st.sampled_from(VALUES), max_size=40)
held_series = st.lists(st.tuples(st.sampled_from(VALUES), st.integers(1, 7)), max_size=12).map(
    lambda runs: [value for value, length in runs for _ in range(length)]
)
all_rules = st.sampled_from(
    [
        replace(RULE, condition=condition, threshold=threshold, recovery_threshold=recovery, for_s=for_s)
        for condition, threshold, recovery in [
            (Condition.ABOVE, 1.0, 0.0),
            (Condition.ABOVE, 1.0, None),
            (Condition.BELOW, -1.0, 0.5),
            (Condition.OUTSIDE, 2.0, 0.5),
            (Condition.INSIDE, 1.0, 2.0),
            (Condition.CROSSES_UP, 1.0, -0.5),
            (Condition.CROSSES_DOWN, -0.5, None),
        ]
        for for_s in (0.0, 0.1, 0.25, 0.5)
    ]
)


def specification(rule, values):
    """Phases at each grid point, read off the whole series: no state is carried but the end of the last alert."""
    need = math.ceil(rule.for_us / GRID_US)
    phases = [None] * len(values)

    def seen(k):
        return values[k] is not None

    def holds(k):
        near = any(seen(j) and not rule.breached(values[j]) for j in range(k))
        return seen(k) and rule.breached(values[k]) and (near or not rule.condition.is_crossing)

    k = 0
    while k < len(values):
        run = next((j for j in range(k, len(values)) if not holds(j)), len(values)) - k
        if run > need:
            fires = k + need
            ends = next((j for j in range(fires + 1, len(values)) if seen(j) and rule.recovered(values[j])), len(values))
            phases[k:fires] = [Phase.PENDING] * need
            phases[fires:ends] = [Phase.FIRING if seen(j) else Phase.NODATA for j in range(fires, ends)]
            k = ends
        elif run:
            phases[k : k + run] = [Phase.PENDING] * run
            k += run
        if k < len(values) and not holds(k):
            phases[k] = Phase.NORMAL if seen(k) else Phase.NODATA
            k += 1
    return phases


@settings(max_examples=600, deadline=None)
@given(rule=all_rules, values=series | held_series)
def test_phases_are_those_of_the_specification(rule, values):
    phases, events, state = [], [], NEW
    for k, value in enumerate(values):
        state, event = step(rule, state, at(k), value)
        phases.append(state.phase)
        if event is not None:
            events.append(event)
            assert event.at_us == state.since_us == at(k)
            assert event.value == value
            assert event.phase is state.phase
    assert phases == specification(rule, values)
    # an event at every change of phase, and only there; the first value may be silent
    changes = [at(k) for k in range(len(phases)) if phases[k] is not (phases[k - 1] if k else Phase.NODATA)]
    silent = {at(k) for k in range(len(values)) if all(value is None for value in values[:k]) and phases[k] is Phase.NORMAL}
    assert [event.at_us for event in events] == [time for time in changes if time not in silent]
    assert len({event.event_id for event in events}) == len(events)
    # firing and resolved alternate, firing first
    ends = [event.kind for event in events if event.kind in {KIND.FIRING, KIND.RESOLVED}]
    assert ends == [KIND.FIRING, KIND.RESOLVED] * (len(ends) // 2) + [KIND.FIRING] * (len(ends) % 2)


@settings(max_examples=400, deadline=None)
@given(rule=all_rules, values=held_series, extra=st.sets(st.integers(0, 90)))
def test_stepping_only_where_the_value_changes_or_anywhere_besides_tells_the_same(rule, values, extra):
    dense_state, dense = run(rule, values)
    state, events = NEW, []
    for k, value in enumerate(values):
        changed = k == 0 or value != values[k - 1]
        if changed or k in extra or k == len(values) - 1:
            state, new = advance(rule, state, at(k), value)
            events.extend(new)
    assert events == dense
    assert state == dense_state


@settings(max_examples=300, deadline=None)
@given(rule=all_rules, values=held_series, restarts=st.sets(st.integers(0, 90)), acks=st.sets(st.integers(0, 90), max_size=3))
def test_a_restart_anywhere_changes_nothing(rule, values, restarts, acks):
    outcomes = []
    for restarting in (False, True):
        state, events = NEW, []
        for k, value in enumerate(values):
            state, event = step(rule, state, at(k), value)
            events += [event] if event else []
            if k in acks:
                state, event = acknowledge(rule, state, at(k), "ann")
                events += [event] if event else []
            if restarting and k in restarts:
                state = AlertState.from_json(state.to_json()) if k % 2 else AlertState.from_row(state.as_row())
        outcomes.append((state, events))
        assert [AlertEvent.from_json(event.to_json()) for event in events] == events
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("value", [True, "1"])
def test_a_state_of_another_shape_is_refused(value):
    from pipeline.errors import RuleError

    with pytest.raises(RuleError, match="alert state field since_us"):
        AlertState.from_row({"rule_id": "r", "series": "S", "since_us": value})
