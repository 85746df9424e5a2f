"""The state machine of an alert: one instance per rule and series, no clock, no input or output.

                    condition holds                held for ``for_s``
          NORMAL  ------------------->  PENDING  ---------------------->  FIRING
            ^  ^                           |                                 |
            |  +---------------------------+                                 |
            |        no longer holds                                         |
            +----------------------------------------------------------------+
                                  value at the recovery threshold

    any of them -> NODATA when there is no value. Out of it by the next value: an alert that was firing fires on
    (or resolves), anything else starts anew, its pending time included.

Time is journal time, on a grid of `GRID_US`. A value that becomes known at time t takes effect at the first grid
point at or after t (`grid_us`), and that point is evaluated once, when journal time has passed it. So where the
input is cut into batches changes nothing.

`step` evaluates one grid point. Stepping every point and calling `advance` at the points where the value changes (or at
any points in addition to these) give the same events and states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from pipeline.alerts.event import AlertEvent, EventKind, Phase, make_event
from pipeline.alerts.record import Record
from pipeline.alerts.rule import Rule

GRID_US = 100_000
"""Distance of evaluation points, in microseconds of journal time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState(Record):
    """Everything that an alert remembers. Made with a rule's id and a series, it is that of an alert that has seen nothing.

    Attributes:
        rule_id: the rule's id.
        series: the symbol or pair.
        phase: where it stands; NODATA before the first value.
        since_us: when it entered the phase; None before the first value.
        value: value at the last transition, or, while pending, the latest.
        fired_us: when it began to fire; kept through NODATA; None when nothing fires.
        armed: of a crossing, whether the near side has been seen.
        acknowledged_us: when somebody took note of the firing; None when nobody has.
        acknowledged_by: who did.
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

    @property
    def active(self) -> bool:
        """Whether it fires, also while its data is missing."""
        return self.fired_us is not None

    @property
    def acknowledged(self) -> bool:
        """Whether somebody took note of the firing."""
        return self.acknowledged_us is not None


def grid_us(time_us: int) -> int:
    """The first grid point at or after ``time_us``."""
    return -(-time_us // GRID_US) * GRID_US


def deadline_us(rule: Rule, state: AlertState) -> int | None:
    """The grid point at which the instance fires if its value stays; None unless it is pending."""
    if state.phase is not Phase.PENDING or state.since_us is None:
        return None
    return grid_us(state.since_us + rule.for_us)


def step(rule: Rule, state: AlertState, now_us: int, value: float | None) -> tuple[AlertState, AlertEvent | None]:
    """Evaluate one grid point.

    Args:
        rule: a validated rule.
        state: the state after the grid point before.
        now_us: journal time of this grid point, in microseconds. An instance changes its phase at most once at one
            time: a step at or before its last transition changes nothing.
        value: the metric's value there, None (or NaN) when it has none. Infinite values are compared as they are.

    Returns:
        The state after it, the very same object when nothing changed, and the event if the phase changed. The
        first value of all makes no event unless the condition holds.
    """
    if state.since_us is not None and now_us <= state.since_us:
        return state, None
    if value is None or math.isnan(value):
        if state.phase is Phase.NODATA:
            return state, None
        return _move(rule, state, now_us, None, phase=Phase.NODATA, kind=EventKind.NODATA)
    if state.fired_us is not None:
        return _step_active(rule, state, now_us, value)
    breached = rule.breached(value)
    if rule.condition.is_crossing and not state.armed:
        if not breached:
            state = replace(state, armed=True)
        breached = False
    if breached:
        return _step_breached(rule, state, now_us, value)
    match state.phase:
        case Phase.PENDING:
            return _move(rule, state, now_us, value, phase=Phase.NORMAL, kind=EventKind.CLEARED)
        case Phase.NODATA:
            return _move(rule, state, now_us, value, phase=Phase.NORMAL, kind=EventKind.RESTORED)
        case _:
            return state, None


def advance(rule: Rule, state: AlertState, now_us: int, value: float | None) -> tuple[AlertState, tuple[AlertEvent, ...]]:
    """As if every grid point since the last call had been stepped, with the value then known, and now this one.

    Call it at each grid point at which the value changes, and, to be in time, at `deadline_us`.

    Args:
        rule: a validated rule.
        state: the state after the last call.
        now_us: journal time of this grid point, in microseconds.
        value: the value from this grid point on.

    Returns:
        The state after it, and the events in order, two at most.
    """
    deadline = deadline_us(rule, state)
    events: tuple[AlertEvent, ...] = ()
    if deadline is not None and deadline < now_us:
        state, event = step(rule, state, deadline, state.value)
        events = () if event is None else (event,)
    state, event = step(rule, state, now_us, value)
    return state, events if event is None else (*events, event)


def acknowledge(rule: Rule, state: AlertState, now_us: int, by: str) -> tuple[AlertState, AlertEvent | None]:
    """Take note of a firing alert, until it is resolved.

    Args:
        rule: the rule.
        state: the state so far.
        now_us: journal time, in microseconds.
        by: who takes note.

    Returns:
        The state and an event for the history; the same state and None when nothing fires or somebody has done it already.
    """
    if state.fired_us is None or state.acknowledged:
        return state, None
    after = replace(state, acknowledged_us=now_us, acknowledged_by=by)
    event = make_event(
        rule,
        state.series,
        EventKind.ACKNOWLEDGED,
        now_us,
        state.value,
        previous=state.phase,
        phase=state.phase,
        active_since_us=state.fired_us,
        said=f"(by {by})",
    )
    return after, event


def retire(rule: Rule, state: AlertState, now_us: int, reason: str) -> tuple[AlertState, AlertEvent | None]:
    """End an instance whose rule was switched off, changed or deleted, or whose series left the universe.

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
        return fresh, None
    event = make_event(
        rule,
        state.series,
        EventKind.RESOLVED,
        now_us,
        state.value,
        previous=state.phase,
        phase=Phase.NODATA,
        active_since_us=state.fired_us,
        said=f"({reason})",
    )
    return fresh, event


def _step_active(rule: Rule, state: AlertState, now_us: int, value: float) -> tuple[AlertState, AlertEvent | None]:
    if rule.recovered(value):
        return _move(rule, state, now_us, value, phase=Phase.NORMAL, kind=EventKind.RESOLVED)
    if state.phase is Phase.NODATA:
        return _move(rule, state, now_us, value, phase=Phase.FIRING, kind=EventKind.RESTORED)
    return state, None


def _step_breached(rule: Rule, state: AlertState, now_us: int, value: float) -> tuple[AlertState, AlertEvent | None]:
    if state.phase is Phase.PENDING and state.since_us is not None:
        if now_us - state.since_us >= rule.for_us:
            return _move(rule, state, now_us, value, phase=Phase.FIRING, kind=EventKind.FIRING)
        return (state if value == state.value else replace(state, value=value)), None
    if rule.for_us == 0:
        return _move(rule, state, now_us, value, phase=Phase.FIRING, kind=EventKind.FIRING)
    told_of_nodata = state.phase is Phase.NODATA and state.since_us is not None
    return _move(rule, state, now_us, value, phase=Phase.PENDING, kind=EventKind.RESTORED if told_of_nodata else EventKind.PENDING)


def _move(
    rule: Rule, state: AlertState, now_us: int, value: float | None, *, phase: Phase, kind: EventKind
) -> tuple[AlertState, AlertEvent | None]:
    """Enter ``phase``; silent when the first value of all finds nothing to say."""
    fired_us = now_us if kind is EventKind.FIRING else state.fired_us
    over = kind is EventKind.RESOLVED
    after = replace(
        state,
        phase=phase,
        since_us=now_us,
        value=value,
        fired_us=None if over else fired_us,
        acknowledged_us=None if over else state.acknowledged_us,
        acknowledged_by=None if over else state.acknowledged_by,
    )
    if kind is EventKind.RESTORED and state.since_us is None:
        return after, None
    event = make_event(rule, state.series, kind, now_us, value, previous=state.phase, phase=phase, active_since_us=fired_us)
    return after, event
