"""What people do with an alert instance: take note of it, snooze it, mute it. Nobody is told of these; history has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.alerts.event import AlertEvent, EventKind, make_event
from pipeline.alerts.reading import Reading
from pipeline.alerts.rule import Rule
from pipeline.alerts.state import AlertState, Stepped


def acknowledge(rule: Rule, state: AlertState, now_us: int, by: str) -> Stepped:
    """Take note of a firing alert, until it is resolved.

    Args:
        rule: the rule.
        state: the state so far.
        now_us: journal time, in microseconds.
        by: who takes note.

    Returns:
        The state and an event for the history; the same state and none when nothing fires or somebody has done it already.
    """
    if state.fired_us is None or state.acknowledged:
        return state, ()
    at_us = _at(state, now_us)
    return _done(rule, replace(state, acknowledged_us=at_us, acknowledged_by=by), EventKind.ACKNOWLEDGED, at_us, f"(by {by})")


def snooze(rule: Rule, state: AlertState, now_us: int, until_us: int, by: str) -> Stepped:
    """Have nobody told until a time; what still fires then is told again. A later call replaces an earlier one."""
    if until_us <= now_us or until_us == state.snoozed_until_us:
        return state, ()
    at_us = _at(state, now_us)
    after = replace(state, snoozed_until_us=until_us, snoozed_by=by)
    return _done(rule, after, EventKind.SNOOZED, at_us, f"(by {by}, until {utc(until_us)})")


def unsnooze(rule: Rule, state: AlertState, now_us: int, by: str) -> Stepped:
    """End a snooze; what people were not told and still stands is told at the next evaluation."""
    if state.snoozed_until_us is None:
        return state, ()
    after = replace(state, snoozed_until_us=None, snoozed_by=None)
    return _done(rule, after, EventKind.UNSNOOZED, _at(state, now_us), f"(by {by})")


def mute(rule: Rule, state: AlertState, now_us: int, by: str) -> Stepped:
    """Have nobody told until `unmute`."""
    if state.muted:
        return state, ()
    return _done(rule, replace(state, muted=True, muted_by=by), EventKind.MUTED, _at(state, now_us), f"(by {by})")


def unmute(rule: Rule, state: AlertState, now_us: int, by: str) -> Stepped:
    """End that; what people were not told and still stands is told at the next evaluation."""
    if not state.muted:
        return state, ()
    return _done(rule, replace(state, muted=False, muted_by=None), EventKind.UNMUTED, _at(state, now_us), f"(by {by})")


def utc(time_us: int) -> str:
    """A time for people: ``2024-08-08 23:54:15 UTC``."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _at(state: AlertState, now_us: int) -> int:
    """Journal time may stand still between two acts; their events must not have one id."""
    return now_us if state.acted_us is None else max(now_us, state.acted_us + 1)


def _done(rule: Rule, after: AlertState, kind: EventKind, at_us: int, said: str) -> tuple[AlertState, tuple[AlertEvent]]:
    event = make_event(
        rule,
        after.series,
        kind,
        at_us,
        Reading(after.value),
        previous=after.phase,
        phase=after.phase,
        active_since_us=after.fired_us,
        said=said,
    )
    return replace(after, acted_us=at_us), (event,)
