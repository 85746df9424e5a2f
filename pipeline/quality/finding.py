"""What a check has found out about one subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is when a check fails."""

    WARN = "warn"
    """Worth a look; nothing stops."""
    ERROR = "error"
    """The run that found it fails."""


class State(StrEnum):
    """How a subject stands."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    UNKNOWN = "unknown"
    """It could not be judged; the detail says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one subject.

    Attributes:
        name: the check, such as ``ohlc``.
        subject: a symbol, a pair, or what else is judged.
        timeframe: of the bars; empty where there are none.
        severity: the worst state that this check can reach.
        state: what was found.
        value: the number that was judged; None where there is none.
        threshold: the number that it was held against.
        detail: one line for people; never empty unless the state is ok.
        blocking: whether models and screens leave the subject out while the state is error.
    """

    name: str
    subject: str
    timeframe: str
    severity: Severity
    state: State
    value: float | None = None
    threshold: float | None = None
    detail: str = ""
    blocking: bool = False


def unknown(name: str, subject: str, timeframe: str, severity: Severity, why: str, *, blocking: bool = False) -> Finding:
    """A finding of what could not be judged, with the reason."""
    return Finding(name, subject, timeframe, severity, State.UNKNOWN, detail=why, blocking=blocking)


def graded(value: float, *, warn: float, error: float | None) -> tuple[State, float]:
    """The state of a value that should be small, and the threshold that says so; without ``error`` it is a warning at most."""
    if error is not None and value > error:
        return State.ERROR, error
    return (State.WARN if value > warn else State.OK), warn
