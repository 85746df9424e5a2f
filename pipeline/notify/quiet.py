"""Who need not be told any more: alerts that were acknowledged, muted or snoozed after the event was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pipeline.alerts import EventKind
from pipeline.notify.message import OutboxRow

_OF_FIRING = frozenset({EventKind.FIRING.value, EventKind.REMINDED.value})
_OF_MISSING = frozenset({EventKind.NODATA.value, EventKind.ERROR.value})

Firing = tuple[str, str, int | None]
"""Rule, series and the time at which it began to fire."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an alert instance stands now.

    Attributes:
        firing_us: when it began to fire, None when it does not.
        missing: whether its metric has no value.
        acknowledged: whether somebody took note of the firing.
        silenced: whether it is muted or snoozed.
    """

    firing_us: int | None
    missing: bool
    acknowledged: bool
    silenced: bool


@dataclass(frozen=True, slots=True)
class Sifted:
    """What is left to send to one channel, and what is not to be sent.

    Attributes:
        rows: what may be sent, in order.
        dropped: what is never sent, each with the reason.
    """

    rows: tuple[OutboxRow, ...]
    dropped: tuple[tuple[OutboxRow, str], ...]


def sift(rows: Iterable[OutboxRow], standings: Mapping[tuple[str, str], Standing], unheard: AbstractSet[Firing]) -> Sifted:
    """Take out of one channel's rows what nobody wants to be told now.

    A firing or reminder that somebody has acknowledged is not sent, nor a repeat of an alert that is over. What a muted or snoozed alert
    has to say waits, and what follows it waits behind it; when the alert is over before that ends, nothing is said of it. The end of an
    alert is told to whoever may have been told of its beginning. A message that was tried is sent whole or not at all.

    Args:
        rows: undelivered rows of a channel in the order in which they were written.
        standings: how the instances stand; those without one are not held back.
        unheard: firings of which the channel was not told, and never will be.
    """
    silent: set[Firing] = set(unheard)
    waiting: set[tuple[str, str]] = set()
    kept: list[OutboxRow] = []
    dropped: list[tuple[OutboxRow, str]] = []
    for row in rows:
        if row.instance in waiting:
            continue
        reason = _reason(row, standings.get(row.instance), silent)
        if reason:
            dropped.append((row, reason))
            if row.kind in _OF_FIRING and row.attempts == 0 and row.repeat_of is None:
                silent.add((*row.instance, row.firing_us))
        elif reason is None:
            kept.append(row)
        else:
            waiting.add(row.instance)
    whole = {row.message_id for row in kept if row.message_id is not None}
    again = {row.event_id for row, _ in dropped if row.message_id in whole}
    if again:
        gone = {row.event_id for row, _ in dropped} - again
        left = {row.event_id for row in kept} | again
        kept = [row for row in rows if row.event_id in left and row.event_id not in gone]
    return Sifted(tuple(kept), tuple((row, reason) for row, reason in dropped if row.event_id not in again))


def _reason(row: OutboxRow, standing: Standing | None, silent: AbstractSet[Firing]) -> str | None:
    """Why a row is never sent; empty: it has to wait; None: it may be sent."""
    if row.kind == EventKind.RESOLVED.value and (*row.instance, row.firing_us) in silent:
        return "its beginning was not told"
    current = standing is not None and row.firing_us is not None and row.firing_us == standing.firing_us
    if row.repeat_of is not None and not current:
        return "it is over"
    if standing is None:
        return None
    if row.kind in _OF_FIRING and current and standing.acknowledged:
        return "it is acknowledged"
    if not standing.silenced:
        return None
    if row.kind in _OF_FIRING:
        return "" if current else "it was muted or snoozed until it was over"
    if row.kind in _OF_MISSING:
        return "" if standing.missing else "it was muted or snoozed until it was over"
    return None
