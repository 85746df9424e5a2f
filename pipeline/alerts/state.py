"""The state machine of an alert: one instance per rule and series, no clock, no input or output.

                  condition holds                 held for ``for_s``
        NORMAL  ------------------->  PENDING  ----------------------->  FIRING  <----+
          ^  ^                           |                                |    |      |
          |  +---------------------------+            at the recovery     |    |      | not at it
          |        no longer holds                    threshold           v    |      |
          +------------------------------------------------------- RECOVERING -(------+
          |          stayed there for ``keep_firing_for_s``                    |
          +--------------------------------------------------------------------+
                                        without ``keep_firing_for_s``

    any of them -> NODATA when there is no value, -> ERROR when it cannot be computed. Out of both by the next value: an
    alert that was firing fires on (or recovers), anything else starts anew, its pending time included.

Time is journal time, on a grid of `GRID_US`. A value that becomes known at time t takes effect at the first grid
point at or after t (`grid_us`), and that point is evaluated once, when journal time has passed it. So where the
input is cut into batches changes nothing.

`step` evaluates one grid point. Stepping every point, and stepping only those where the value changes and those that
`deadline_us` names (or any points in addition to these), give the same events and states. `quiet` tells which values change nothing.

Beside its phase an instance remembers what people asked for and what they know. It is silenced while it is muted, snoozed,
or outside the rule's active hours: it goes through its phases all the same, and history is written, but nobody is told, except
that something is over which they were told of. When the silence ends they are told what still stands (REMINDED).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from pipeline.alerts.event import AlertEvent, EventKind, Phase, make_event
from pipeline.alerts.reading import Reading
from pipeline.alerts.record import Record
from pipeline.alerts.rule import Evaluate, Rule

GRID_US = 100_000
"""Distance of evaluation points, in microseconds of journal time."""

Stepped = tuple["AlertState", tuple[AlertEvent, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState(Record):
    """Everything that an alert remembers. Made with a rule's id and a series, it is that of an alert that has seen nothing.

    Attributes:
        rule_id: the rule's id.
        series: the symbol or pair.
        phase: where it stands; NODATA before the first value.
        since_us: when it entered the phase; None before the first value.
        value: value at the last transition.
        fired_us: when it began to fire; kept through RECOVERING, NODATA and ERROR; None when nothing fires.
        armed: of a crossing, whether the near side has been seen.
        acknowledged_us: when somebody took note of the firing; None when nobody has.
        acknowledged_by: who did.
        reason: why there is no value: why it went, or, before the first one, why there is none now; empty when there is one.
        snoozed_until_us: until when nobody is told; None when it is not snoozed.
        snoozed_by: who wanted that.
        muted: whether nobody is told until somebody says otherwise.
        muted_by: who wanted that.
        untold: whether people have not been told that it fires.
        untold_missing: whether people have not been told that there is no value.
        spent: whether its rule, which fires once, has done so on this series.
        acted_us: when somebody last did something with it; no two such events have one time.
    """

    record_name: ClassVar[str] = "alert state"

    rule_id: str
    series: str
    phase: Phase = Phase.NODATA
    since_us: int | None = None
    value: float | None = None
    fired_us: int | None = None
    armed: bool = False
    acknowledged_us: int | None = None
    acknowledged_by: str | None = None
    reason: str = ""
    snoozed_until_us: int | None = None
    snoozed_by: str | None = None
    muted: bool = False
    muted_by: str | None = None
    untold: bool = False
    untold_missing: bool = False
    spent: bool = False
    acted_us: int | None = None

    @property
    def active(self) -> bool:
        """Whether it fires, also while it recovers and while its data is missing."""
        return self.fired_us is not None

    @property
    def acknowledged(self) -> bool:
        """Whether somebody took note of the firing."""
        return self.acknowledged_us is not None

    def snoozed(self, now_us: int) -> bool:
        """Whether it is snoozed at a time."""
        return self.snoozed_until_us is not None and now_us < self.snoozed_until_us

    def silenced(self, rule: Rule, now_us: int) -> bool:
        """Whether nobody is told at a time: muted, snoozed, or outside the rule's active hours."""
        return self.muted or self.snoozed(now_us) or not (rule.active_hours is None or rule.active_hours.contains(now_us))


def grid_us(time_us: int) -> int:
    """The first grid point at or after ``time_us``."""
    return -(-time_us // GRID_US) * GRID_US


def held_until_us(rule: Rule, state: AlertState) -> int | None:
    """The grid point at which the instance fires, or is over, if its value stays; None unless it is pending or recovering."""
    if state.since_us is None:
        return None
    if state.phase is Phase.PENDING:
        return grid_us(state.since_us + rule.for_us)
    if state.phase is Phase.RECOVERING:
        return grid_us(state.since_us + rule.keep_firing_for_us)
    return None


def deadline_us(rule: Rule, state: AlertState, after_us: int) -> int | None:
    """The next grid point behind ``after_us`` at which time alone changes something, None when there is none.

    It may be early: a step there then changes nothing, and the next deadline is later. A rule that looks on bar close fires and is
    over at bar closes only, so that these are no deadlines of its own.
    """
    found = []
    held = None if rule.on_bar_close else held_until_us(rule, state)
    if held is not None:
        found.append(held)
    if state.snoozed_until_us is not None:
        found.append(grid_us(state.snoozed_until_us))
    if _untold(state) and not state.silenced(rule, after_us + GRID_US):
        found.append(grid_us(after_us + 1))
    elif rule.active_hours is not None and _untold(state):
        found.append(grid_us(rule.active_hours.next_start_us(after_us)))
    return min((point for point in found if point > after_us), default=None)


def step(rule: Rule, state: AlertState, now_us: int, reading: Reading) -> Stepped:
    """Evaluate one grid point.

    Args:
        rule: a validated rule.
        state: the state after the grid point before.
        now_us: journal time of this grid point, in microseconds. An instance changes its phase at most once at one
            time: a step at or before its last transition changes no phase.
        reading: what the metric shows there; NaN counts as no value. Infinite values are compared as they are.

    Returns:
        The state after it, the very same object when nothing changed, and the events in order, two at most. The
        first value of all makes no event unless the condition holds.
    """
    after: AlertState = state
    events: tuple[AlertEvent, ...] = ()
    if state.since_us is None or now_us > state.since_us:
        after, events = _judge(rule, state, now_us, reading)
    return _lift(rule, after, now_us, reading, events)


def look(rule: Rule, state: AlertState, now_us: int, reading: Reading) -> Stepped:
    """A point at which only time counts: `step` without the value, for a rule that looks on bar close, between the closes."""
    return _lift(rule, state, now_us, reading, ())


def retire(rule: Rule, state: AlertState, now_us: int, reason: str) -> Stepped:
    """End an instance whose rule was switched off, changed, deleted or has expired, or whose series left the universe.

    Args:
        rule: the rule as it was.
        state: the state so far.
        now_us: journal time, in microseconds.
        reason: one phrase for the event, such as ``the rule was deleted``.

    Returns:
        A state that has seen nothing, and a RESOLVED event if it was firing.
    """
    fresh = AlertState(rule_id=state.rule_id, series=state.series)
    if state.fired_us is None:
        return fresh, ()
    event = make_event(
        rule,
        state.series,
        EventKind.RESOLVED,
        now_us,
        Reading(state.value),
        previous=state.phase,
        phase=Phase.NODATA,
        active_since_us=state.fired_us,
        notifies=not state.untold,
        said=f"({reason})",
    )
    return fresh, (event,)


def _untold(state: AlertState) -> bool:
    """Whether something stands that people have not been told of."""
    return (state.active and state.untold) or (state.phase.is_missing and state.untold_missing)


def _judge(rule: Rule, state: AlertState, now_us: int, reading: Reading) -> Stepped:
    """What the value does to the phase."""
    value = reading.value
    if value is None or math.isnan(value):
        return _missing(rule, state, now_us, reading)
    if state.spent:
        return _move(rule, state, now_us, reading, Phase.NORMAL, EventKind.RESTORED) if state.phase is not Phase.NORMAL else (state, ())
    if state.fired_us is not None:
        return _judge_active(rule, state, now_us, reading, value)
    breached = rule.breached(value)
    if rule.condition.is_crossing and not state.armed:
        if not breached:
            state = replace(state, armed=True)
        breached = False
    if breached:
        return _judge_breached(rule, state, now_us, reading)
    match state.phase:
        case Phase.PENDING:
            return _move(rule, state, now_us, reading, Phase.NORMAL, EventKind.CLEARED)
        case Phase.NODATA | Phase.ERROR:
            return _move(rule, state, now_us, reading, Phase.NORMAL, EventKind.RESTORED)
        case _:
            return state, ()


def _missing(rule: Rule, state: AlertState, now_us: int, reading: Reading) -> Stepped:
    reading = reading._replace(value=None)
    if reading.failed:
        return (state, ()) if state.phase is Phase.ERROR else _move(rule, state, now_us, reading, Phase.ERROR, EventKind.ERROR)
    if state.phase is not Phase.NODATA:
        return _move(rule, state, now_us, reading, Phase.NODATA, EventKind.NODATA)
    if state.since_us is None and state.reason != reading.why:
        return replace(state, reason=reading.why), ()
    return state, ()


def _judge_active(rule: Rule, state: AlertState, now_us: int, reading: Reading, value: float) -> Stepped:
    if not rule.recovered(value):
        if state.phase is Phase.FIRING:
            return state, ()
        kind = EventKind.RELAPSED if state.phase is Phase.RECOVERING else EventKind.RESTORED
        return _move(rule, state, now_us, reading, Phase.FIRING, kind)
    if rule.keep_firing_for_us == 0:
        return _move(rule, state, now_us, reading, Phase.NORMAL, EventKind.RESOLVED)
    if state.phase is not Phase.RECOVERING or state.since_us is None:
        kind = EventKind.RECOVERING if state.phase is Phase.FIRING else EventKind.RESTORED
        return _move(rule, state, now_us, reading, Phase.RECOVERING, kind)
    if now_us - state.since_us >= rule.keep_firing_for_us:
        return _move(rule, state, now_us, reading, Phase.NORMAL, EventKind.RESOLVED)
    return state, ()


def _judge_breached(rule: Rule, state: AlertState, now_us: int, reading: Reading) -> Stepped:
    if state.phase is Phase.PENDING and state.since_us is not None:
        if now_us - state.since_us >= rule.for_us:
            return _move(rule, state, now_us, reading, Phase.FIRING, EventKind.FIRING)
        return state, ()
    if rule.for_us == 0:
        return _move(rule, state, now_us, reading, Phase.FIRING, EventKind.FIRING)
    told_of = state.phase.is_missing and state.since_us is not None
    return _move(rule, state, now_us, reading, Phase.PENDING, EventKind.RESTORED if told_of else EventKind.PENDING)


def _move(  # noqa: PLR0917  from what, when and why, and to what
    rule: Rule, state: AlertState, now_us: int, reading: Reading, phase: Phase, kind: EventKind
) -> Stepped:
    """Enter ``phase``; silent when the first value of all finds nothing to say."""
    silenced = state.silenced(rule, now_us)
    fired_us = now_us if kind is EventKind.FIRING else state.fired_us
    untold = silenced if kind is EventKind.FIRING else state.untold
    over = kind is EventKind.RESOLVED
    match kind:
        case EventKind.RESOLVED:
            notifies = not state.untold  # a receiver must not be left with something open
        case EventKind.RESTORED:
            notifies = not state.untold_missing
        case EventKind.FIRING | EventKind.NODATA | EventKind.ERROR:
            notifies = not silenced
        case _:
            notifies = False
    after = replace(
        state,
        phase=phase,
        since_us=now_us,
        value=reading.value,
        reason=reading.why if phase.is_missing else "",
        fired_us=None if over else fired_us,
        acknowledged_us=None if over else state.acknowledged_us,
        acknowledged_by=None if over else state.acknowledged_by,
        untold=untold and not over,
        untold_missing=phase.is_missing and silenced,
        spent=state.spent or (over and rule.evaluate is Evaluate.ONCE),
    )
    if kind is EventKind.RESTORED and state.since_us is None:
        return after, ()
    event = make_event(
        rule, state.series, kind, now_us, reading, previous=state.phase, phase=phase, active_since_us=fired_us, notifies=notifies
    )
    return after, (event,)


def _lift(rule: Rule, state: AlertState, now_us: int, reading: Reading, events: tuple[AlertEvent, ...]) -> Stepped:
    """Tell what still stands, when a silence is over."""
    woken = state.snoozed_until_us is not None and now_us >= state.snoozed_until_us
    if woken:
        state = replace(state, snoozed_until_us=None, snoozed_by=None)
    if not (_untold(state) or (woken and state.active)) or state.silenced(rule, now_us):
        return state, events
    told = any(event.kind in _TELLS_ENOUGH and event.notifies for event in events)
    state = replace(state, untold=False, untold_missing=False)
    if told:
        return state, events
    shown = Reading(None, why=state.reason, failed=state.phase is Phase.ERROR) if state.phase.is_missing else reading
    event = make_event(
        rule,
        state.series,
        EventKind.REMINDED,
        now_us,
        shown,
        previous=state.phase,
        phase=state.phase,
        active_since_us=state.fired_us,
        notifies=True,
    )
    return state, (*events, event)


_TELLS_ENOUGH = frozenset({EventKind.FIRING, EventKind.NODATA, EventKind.ERROR, EventKind.RESTORED})
