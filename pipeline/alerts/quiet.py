"""Which values change nothing: what an engine of thousands of rules need not look at."""

from __future__ import annotations

import math

from pipeline.alerts.event import Phase
from pipeline.alerts.rule import Condition, Rule
from pipeline.alerts.state import AlertState

Interval = tuple[float, float]
"""Closed, with infinite ends; empty when its lower end is above its upper one."""

_INF = math.inf
EVERY: Interval = (-_INF, _INF)
NO_VALUE: Interval = (_INF, -_INF)


def quiet(rule: Rule, state: AlertState, value: float) -> Interval:
    """An interval around ``value`` in which no value changes the state.

    Args:
        rule: a validated rule.
        state: the state after a step with ``value``.
        value: that value, a number.

    Returns:
        Values with which `step` returns this very state until `deadline_us`. `NO_VALUE` when every value has to be looked at.
    """
    match state.phase:
        case Phase.NODATA | Phase.ERROR:
            return NO_VALUE
        case Phase.NORMAL:
            unarmed = rule.condition.is_crossing and not state.armed
            return EVERY if state.spent else _side(rule, value, breached=unarmed)
        case Phase.PENDING:
            return _side(rule, value, breached=True)
        case Phase.FIRING:
            return _firing(rule, value)
        case Phase.RECOVERING:
            return _recovered(rule, value)


def _side(rule: Rule, value: float, *, breached: bool) -> Interval:
    """The values on the side of ``value`` for which `Rule.breached` is ``breached``."""
    lower, upper = rule.lower, rule.threshold
    match rule.condition:
        case Condition.ABOVE | Condition.CROSSES_UP:
            return (_over(upper), _INF) if breached else (-_INF, upper)
        case Condition.BELOW | Condition.CROSSES_DOWN:
            return (-_INF, _under(upper)) if breached else (upper, _INF)
        case Condition.OUTSIDE:
            return _beyond(value, lower, upper) if breached else (lower, upper)
        case Condition.INSIDE:
            return (lower, upper) if breached else _beyond(value, lower, upper)


def _firing(rule: Rule, value: float) -> Interval:
    """The values on the side of ``value`` at which what fires is not over."""
    lower, upper = rule.recovery_lower, rule.recovery
    match rule.condition:
        case Condition.ABOVE | Condition.CROSSES_UP:
            return (_over(upper), _INF)
        case Condition.BELOW | Condition.CROSSES_DOWN:
            return (-_INF, _under(upper))
        case Condition.OUTSIDE:
            return _beyond(value, lower, upper)
        case Condition.INSIDE:
            return (min(rule.lower, _over(lower)), max(rule.threshold, _under(upper)))


def _recovered(rule: Rule, value: float) -> Interval:
    """The values on the side of ``value`` at which it is over."""
    lower, upper = rule.recovery_lower, rule.recovery
    match rule.condition:
        case Condition.ABOVE | Condition.CROSSES_UP:
            return (-_INF, upper)
        case Condition.BELOW | Condition.CROSSES_DOWN:
            return (upper, _INF)
        case Condition.OUTSIDE:
            return (lower, upper)
        case Condition.INSIDE:
            above = value > rule.threshold
            return (max(upper, _over(rule.threshold)), _INF) if above else (-_INF, min(lower, _under(rule.lower)))


def _beyond(value: float, lower: float, upper: float) -> Interval:
    """The side of a closed band on which ``value`` is."""
    return (_over(upper), _INF) if value > upper else (-_INF, _under(lower))


def _over(value: float) -> float:
    return math.nextafter(value, _INF)


def _under(value: float) -> float:
    return math.nextafter(value, -_INF)
