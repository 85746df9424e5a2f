"""The state machine against a plain specification that reads phases and what people know off the whole series."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import (
    GRID_US,
    ActiveHours,
    AlertEvent,
    AlertState,
    Condition,
    Evaluate,
    EventKind,
    Metric,
    Phase,
    Reading,
    Rule,
    acknowledge,
    deadline_us,
    look,
    mute,
    quiet,
    retire,
    snooze,
    step,
    unmute,
    unsnooze,
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
)
NEW = AlertState(rule_id="r1", series="ETHUSDT/BTCUSDT")
KIND = EventKind
FAILED = "failed"


def at(k):
    return START + k * GRID_US


def reading(value):
    if value is None:
        return Reading(None, why="BTCUSDT has been silent since then")
    return Reading(None, why="a price of 0 has no logarithm", failed=True) if value == FAILED else Reading(value)


# --- phases -----------------------------------------------------------------------------------------------------

VALUES = [None, FAILED, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]
series = st.lists(st.sampled_from(VALUES), max_size=40)
held_series = st.lists(st.tuples(st.sampled_from(VALUES), st.integers(1, 7)), max_size=12).map(
    lambda runs: [value for value, length in runs for _ in range(length)]
)
CONDITIONS = [
    (Condition.ABOVE, 1.0, 0.0),
    (Condition.ABOVE, 1.0, None),
    (Condition.BELOW, -1.0, 0.5),
    (Condition.OUTSIDE, 2.0, 0.5),
    (Condition.INSIDE, 1.0, 2.0),
    (Condition.INSIDE, 1.0, None),
    (Condition.CROSSES_UP, 1.0, -0.5),
    (Condition.CROSSES_DOWN, -0.5, None),
]
all_rules = st.builds(
    lambda condition, for_s, keep_s, evaluate: replace(
        RULE,
        condition=condition[0],
        threshold=condition[1],
        recovery_threshold=condition[2],
        for_s=for_s,
        keep_firing_for_s=keep_s,
        evaluate=evaluate,
    ),
    st.sampled_from(CONDITIONS),
    st.sampled_from([0.0, 0.1, 0.25, 0.5]),
    st.sampled_from([0.0, 0.1, 0.25, 0.4]),
    st.sampled_from([Evaluate.EVERY_UPDATE, Evaluate.ONCE]),
)


def specification(rule, values):
    """Phases at each grid point. Nothing is carried along but where the last alert ended."""
    need, keep = math.ceil(rule.for_us / GRID_US), math.ceil(rule.keep_firing_for_us / GRID_US)
    phases = [None] * len(values)

    def seen(j):
        return values[j] not in (None, FAILED)

    def missing(j):
        return Phase.ERROR if values[j] == FAILED else Phase.NODATA

    def holds(j):
        near = any(seen(i) and not rule.breached(values[i]) for i in range(j))
        return seen(j) and rule.breached(values[j]) and (near or not rule.condition.is_crossing)

    def over(j):
        return seen(j) and rule.recovered(values[j])

    k, spent = 0, False
    while k < len(values):
        length = 0 if spent else len(list(itertools.takewhile(holds, range(k, len(values)))))
        phases[k : k + min(length, need)] = [Phase.PENDING] * min(length, need)
        k += min(length, need)
        if length <= need:
            if k < len(values):
                phases[k] = Phase.NORMAL if seen(k) else missing(k)
            k += 1
            continue
        fires = k
        while k < len(values):
            # It is over at the end of the first stretch of recovered values, after it began to fire, that is long enough.
            back = len(list(itertools.takewhile(over, reversed(range(fires + 1, k + 1)))))
            if back > keep:
                break
            phases[k] = Phase.RECOVERING if back else Phase.FIRING if seen(k) else missing(k)
            k += 1
        if k < len(values):
            phases[k] = Phase.NORMAL
            spent = rule.evaluate is Evaluate.ONCE
            k += 1
    return phases


@settings(max_examples=500, deadline=None)
@given(rule=all_rules, values=series | held_series)
def test_phases_are_those_of_the_specification(rule, values):
    phases, events, state = [], [], NEW
    for k, value in enumerate(values):
        state, new = step(rule, state, at(k), reading(value))
        phases.append(state.phase)
        assert len(new) <= 1  # nothing is silenced here
        for event in new:
            assert event.at_us == state.since_us == at(k)
            assert event.value == (value if value != FAILED else None)
            assert event.phase is state.phase
            assert event.reason == reading(value).why
        events += new
    assert phases == specification(rule, values)
    # an event at every change of phase, and only there; the first value may be silent
    changes = [at(k) for k in range(len(phases)) if phases[k] is not (phases[k - 1] if k else Phase.NODATA)]
    silent = {at(k) for k in range(len(values)) if phases[k] is Phase.NORMAL and all(value is None for value in values[:k])}
    assert [event.at_us for event in events] == [time for time in changes if time not in silent]
    assert len({event.event_id for event in events}) == len(events)
    # firing and resolved alternate, firing first
    ends = [event.kind for event in events if event.kind in {KIND.FIRING, KIND.RESOLVED}]
    assert ends == [KIND.FIRING, KIND.RESOLVED] * (len(ends) // 2) + [KIND.FIRING] * (len(ends) % 2)
    if rule.evaluate is Evaluate.ONCE:
        assert len(ends) <= 2


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: f"{condition[0]} {condition[1]:g} {condition[2]}")
def test_every_series_of_five_values_exhaustively(condition):
    """All of them, of one value in each region of the condition, and of no value."""
    rule = replace(RULE, condition=condition[0], threshold=condition[1], recovery_threshold=condition[2])
    regions = {}
    for value in [-3.0, -1.0, -0.75, -0.5, 0.0, 0.25, 0.75, 1.0, 1.5, 2.5]:
        regions.setdefault((rule.breached(value), rule.recovered(value)), value)
    for for_s, keep_s in [(0.0, 0.0), (0.2, 0.1)]:
        timed = replace(rule, for_s=for_s, keep_firing_for_s=keep_s)
        for values in itertools.product([None, *regions.values()], repeat=5):
            state, phases = NEW, []
            for k, value in enumerate(values):
                state, _ = step(timed, state, at(k), reading(value))
                phases.append(state.phase)
            assert phases == specification(timed, values), values


@settings(max_examples=400, deadline=None)
@given(rule=all_rules, values=held_series, extra=st.sets(st.integers(0, 90)))
def test_only_changes_and_deadlines_need_a_look_and_any_other_point_does_no_harm(rule, values, extra):
    dense, state = [], NEW
    for k, value in enumerate(values):
        state, new = step(rule, state, at(k), reading(value))
        dense += new
    sparse, other, deadline = [], NEW, None
    for k, value in enumerate(values):
        if k == 0 or value != values[k - 1] or k in extra or deadline == at(k):
            other, new = step(rule, other, at(k), reading(value))
            sparse += new
            deadline = deadline_us(rule, other, at(k))
    assert (sparse, other) == (dense, state)


@settings(max_examples=600, deadline=None)
@given(rule=all_rules, values=held_series, later=st.lists(st.sampled_from(VALUES[2:]) | st.floats(-4, 4), max_size=20))
def test_quiet_values_change_nothing(rule, values, later):
    state = NEW
    for k, value in enumerate(values):
        state, _ = step(rule, state, at(k), reading(value))
    if not values or values[-1] in (None, FAILED):
        return
    low, high = quiet(rule, state, values[-1])
    deadline = deadline_us(rule, state, at(len(values) - 1))
    assert state.phase.is_missing or low <= values[-1] <= high
    if deadline == at(len(values)):
        return
    nudged = [math.nextafter(end, far) for end in (low, high) for far in (-9, 9) if math.isfinite(end)]
    for value in [*later, *nudged, *(end for end in (low, high) if math.isfinite(end))]:
        if low <= value <= high:
            assert step(rule, state, at(len(values)), Reading(value)) == (state, ())


@settings(max_examples=200, deadline=None)
@given(rule=all_rules, values=held_series, jumps=st.dictionaries(st.integers(0, 80), st.integers(1, 10_000), max_size=3))
def test_a_jump_of_the_clock_is_time_in_which_the_value_stood(rule, values, jumps):
    """The journal's clock leaps ahead: what was held is held through the leap, and deadlines in it come at their own time."""
    state, events, now, ends = NEW, [], START, []
    for k, value in enumerate(values):
        now += GRID_US * jumps.get(k, 1)
        while (deadline := deadline_us(rule, state, ends[-1] if ends else 0)) is not None and deadline < now:
            state, new = step(rule, state, deadline, reading(values[k - 1]))
            events += new
            ends.append(deadline)
        state, new = step(rule, state, now, reading(value))
        events += new
        ends.append(now)
    plain, expected, time = NEW, [], START
    for k, value in enumerate(values):
        for _ in range(jumps.get(k, 1) - 1):
            time += GRID_US
            if k:
                plain, new = step(rule, plain, time, reading(values[k - 1]))
                expected += new
        time += GRID_US
        plain, new = step(rule, plain, time, reading(value))
        expected += new
    assert (events, state) == (expected, plain)


# --- what people are told ---------------------------------------------------------------------------------------


@dataclass
class Act:
    """What somebody does before the grid point ``k``."""

    k: int
    what: str

    def __call__(self, rule, state):
        now = at(self.k) - 7
        match self.what:
            case "ack":
                return acknowledge(rule, state, now, "ann")
            case "snooze":
                return snooze(rule, state, now, at(self.k + 4), "ann")
            case "unsnooze":
                return unsnooze(rule, state, now, "ann")
            case "mute":
                return mute(rule, state, now, "ann")
            case _:
                return unmute(rule, state, now, "ann")


acts = st.lists(st.builds(Act, st.integers(0, 40), st.sampled_from(["ack", "snooze", "unsnooze", "mute", "unmute"])), max_size=5).map(
    lambda found: sorted(found, key=lambda act: act.k)
)


def play(rule, values, doings, restart=lambda state, k: state):
    state, events = NEW, []
    for k, value in enumerate(values):
        for act in doings:
            if act.k == k:
                state, new = act(rule, state)
                events += new
        state = restart(state, k)
        state, new = step(rule, state, at(k), reading(value))
        events += new
    return state, events


@settings(max_examples=500, deadline=None)
@given(rule=all_rules, values=held_series, doings=acts)
def test_nobody_is_told_in_a_silence_and_everybody_learns_what_stands_after_it(rule, values, doings):
    state, events = play(rule, values, doings)
    snoozed_until, muted, firing_known, missing_known = 0, False, False, False
    by_time = {}
    for event in events:
        by_time.setdefault(event.at_us, []).append(event)
    silent = [
        event.kind for event in events if event.kind not in {KIND.ACKNOWLEDGED, KIND.SNOOZED, KIND.UNSNOOZED, KIND.MUTED, KIND.UNMUTED}
    ]
    assert [kind for kind in silent if kind is not KIND.REMINDED] == [event.kind for event in play(rule, values, [])[1]]
    for event in events:
        match event.kind:
            case KIND.SNOOZED:
                snoozed_until = next(at(act.k + 4) for act in reversed(doings) if act.what == "snooze" and at(act.k) - 7 <= event.at_us)
            case KIND.UNSNOOZED:
                snoozed_until = 0
            case KIND.MUTED:
                muted = True
            case KIND.UNMUTED:
                muted = False
        silenced = muted or event.at_us < snoozed_until
        if event.kind is KIND.RESOLVED:
            assert event.notifies == firing_known  # what people know of, they learn the end of: once
            firing_known = False
        elif event.notifies:
            assert not silenced or (event.kind is KIND.RESTORED and missing_known)
            assert event.kind.notifies
        if event.notifies and event.active_since_us is not None and event.kind is not KIND.RESOLVED:
            firing_known = True
        if event.kind in {KIND.NODATA, KIND.ERROR}:
            missing_known = event.notifies
        if event.kind is KIND.REMINDED and event.phase.is_missing:
            missing_known = True
    if not state.silenced(rule, at(len(values) - 1)) and values:
        assert firing_known == state.active or state.phase.is_missing
        assert not state.untold
        assert not state.untold_missing
    assert len({event.event_id for event in events}) == len(events)
    assert [AlertEvent.from_json(event.to_json()) for event in events] == events


@settings(max_examples=300, deadline=None)
@given(rule=all_rules, values=held_series, doings=acts, restarts=st.sets(st.integers(0, 90)))
def test_a_restart_in_every_state_changes_nothing(rule, values, doings, restarts):
    def restart(state, k):
        if k not in restarts:
            return state
        return AlertState.from_json(state.to_json()) if k % 2 else AlertState.from_row(state.as_row())

    assert play(rule, values, doings, restart) == play(rule, values, doings)


def test_what_fires_through_a_snooze_is_told_again_at_its_end():
    state, events = play(RULE, [0, 3, 3, 3, 3, 3, 3, 3, 0], [Act(3, "snooze")])
    assert [(event.kind, (event.at_us - START) // GRID_US) for event in events if event.notifies] == [
        (KIND.FIRING, 1),
        (KIND.REMINDED, 7),
        (KIND.RESOLVED, 8),
    ]
    assert state.snoozed_until_us is None
    assert events[2].text == "warning reminded: ETHUSDT/BTCUSDT z-score 1m is 3, still firing [rich]"
    assert "until 2024-08-08 23:54:15 UTC" in events[1].text


def test_what_begins_and_ends_in_silence_is_history_only():
    _, events = play(RULE, [0, 3, 0, 3, 0], [Act(0, "mute")])
    assert [event.kind for event in events] == [KIND.MUTED, KIND.FIRING, KIND.RESOLVED, KIND.FIRING, KIND.RESOLVED]
    assert not any(event.notifies for event in events)


def test_unmuting_tells_what_still_fires_at_once():
    state, _ = play(RULE, [0, 3], [Act(0, "mute")])
    state, _ = unmute(RULE, state, at(1) + 5, "ann")
    assert deadline_us(RULE, state, at(1)) == at(2)
    state, (event,) = step(RULE, state, at(2), Reading(3.0))
    assert (event.kind, event.notifies) == (KIND.REMINDED, True)
    assert deadline_us(RULE, state, at(2)) is None


def test_outside_active_hours_nobody_is_told_until_they_begin():
    midnight = START + 345_000_000  # the series starts at 23:54:15
    rule = replace(RULE, active_hours=ActiveHours.parse("00:00-08:00"))
    state, (event,) = step(rule, NEW, START, Reading(3.0))
    assert (event.kind, event.notifies, state.untold) == (KIND.FIRING, False, True)
    assert deadline_us(rule, state, START) == midnight
    state, (event,) = step(rule, state, midnight, Reading(3.0))
    assert (event.kind, event.notifies) == (KIND.REMINDED, True)
    _, (event,) = step(rule, state, midnight + GRID_US, Reading(0.0))
    assert (event.kind, event.notifies) == (KIND.RESOLVED, True)


def test_on_bar_close_time_alone_neither_fires_nor_ends_anything():
    rule = replace(RULE, evaluate=Evaluate.BAR_CLOSE, for_s=1.0, keep_firing_for_s=1.0)
    state, _ = step(rule, NEW, at(0), Reading(3.0))
    assert (state.phase, deadline_us(rule, state, at(0))) == (Phase.PENDING, None)
    state, _ = step(rule, state, at(600), Reading(3.0))
    assert state.phase is Phase.FIRING
    state, _ = snooze(rule, state, at(600), at(700), "ann")
    assert deadline_us(rule, state, at(600)) == at(700)
    state, (event,) = look(rule, state, at(700), Reading(3.0))
    assert event.kind is KIND.REMINDED
    state, _ = step(rule, state, at(1200), Reading(0.0))
    assert (state.phase, deadline_us(rule, state, at(1200))) == (Phase.RECOVERING, None)


def test_retiring_tells_only_those_who_knew():
    state, _ = play(RULE, [3], [])
    assert retire(RULE, state, at(1), "the rule has expired")[1][0].notifies
    state, _ = play(RULE, [3], [Act(0, "mute")])
    assert not retire(RULE, state, at(1), "the rule has expired")[1][0].notifies
