"""What is sent now: the rows of an outbox put together to messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.notify.channel import GroupBy, Policy

MOST_EVENTS = 50
"""Most events of one message."""
_MOST_LINES = 20
_RANK = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One event waiting for one channel; (event_id, channel) is its key.

    Attributes:
        event_id: the event's id.
        channel: name of the channel.
        rule_id: the event's rule: with ``series`` what order is kept for.
        series: the event's symbol or pair.
        payload: the event as JSON.
        due_us: when it may be sent, in microseconds since the epoch.
        attempts: how often it was tried.
        kind: the event's kind.
        severity: the event's severity; empty when it has none.
        firing_us: when the alert that it is about began to fire, in microseconds of journal time; None when it does not.
        message_id: the message in which it was tried before; it stays in that one.
        repeat_of: the event that it tells again; None when it is an event itself.
    """

    event_id: str
    channel: str
    rule_id: str
    series: str
    payload: str
    due_us: int
    attempts: int = 0
    kind: str = ""
    severity: str = ""
    firing_us: int | None = None
    message_id: str | None = None
    repeat_of: str | None = None

    @property
    def instance(self) -> tuple[str, str]:
        """What order is kept for."""
        return self.rule_id, self.series


@dataclass(frozen=True, slots=True)
class Message:
    """Rows of one channel that are sent together."""

    rows: tuple[OutboxRow, ...]

    @property
    def message_id(self) -> str:
        """Its idempotency key, which depends on nothing but its events: of a single one the event's id."""
        if len(self.rows) == 1:
            return self.rows[0].event_id
        return hashlib.sha256("\x1f".join(row.event_id for row in self.rows).encode()).hexdigest()[:32]

    @property
    def payload(self) -> str:
        """JSON: the event itself when it is one, else an object with ``kind`` "group" and the ``events`` in order."""
        if len(self.rows) == 1:
            return self.rows[0].payload
        events = [json.loads(row.payload) for row in self.rows]
        lines = [str(event.get("text", event.get("kind", ""))) for event in events]
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more"]
        content = {
            "event_id": self.message_id,
            "kind": "group",
            "severity": self.rows[0].severity,
            "count": len(events),
            "text": "\n".join(lines),
            "events": events,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def lanes(rows: Sequence[OutboxRow], policy: Policy, now_us: int, waited_s: Callable[[OutboxRow], float]) -> list[list[Message]]:
    """The messages of one channel that may be sent now.

    Args:
        rows: its undelivered rows in the order in which they were written, those that are not due included: they hold back
            later rows of their rule and series.
        policy: how the channel wants to be used.
        now_us: wall time in microseconds, against which rows are due.
        waited_s: for how many seconds a row has waited for others of its group.

    Returns:
        Lanes, the most severe first. Messages of one lane are sent one after the other, and no further one when one was not delivered;
        lanes have no rule and series in common, so that they may be sent side by side.
    """
    held: set[tuple[str, str]] = set()
    taken: dict[tuple[str, str], object] = {}
    groups: dict[object, list[OutboxRow]] = {}
    for row in rows:
        key = row.message_id or _key(row, policy)
        if policy.group_by is not GroupBy.NONE and len(groups.get(key, ())) >= MOST_EVENTS and row.message_id is None:
            held.add(row.instance)
        if row.due_us > now_us or taken.setdefault(row.instance, key) != key:
            held.add(row.instance)
        if row.instance not in held:
            groups.setdefault(key, []).append(row)
    whole = _formed(rows)
    found: list[list[Message]] = []
    for group in groups.values():
        formed = group[0].message_id
        if policy.group_by is GroupBy.NONE and formed is None:
            found.append([Message((row,)) for row in group])
        elif len(group) == whole[formed] if formed else len(group) >= MOST_EVENTS or waited_s(group[0]) >= policy.group_s:
            found.append([Message(tuple(group))])
    return sorted(found, key=lambda lane: _RANK.get(lane[0].rows[0].severity, len(_RANK)))


def _key(row: OutboxRow, policy: Policy) -> object:
    if policy.group_by is GroupBy.NONE:
        return row.instance  # a lane
    if not row.severity:
        return (row.event_id,)  # a notice
    return (row.severity, row.rule_id if policy.group_by is GroupBy.RULE else None)


def _formed(rows: Iterable[OutboxRow]) -> dict[str, int]:
    """Number of rows of each message that was tried before."""
    found: dict[str, int] = {}
    for row in rows:
        if row.message_id is not None:
            found[row.message_id] = found.get(row.message_id, 0) + 1
    return found
