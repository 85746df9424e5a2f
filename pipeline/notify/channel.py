"""What a channel is: one way for alert events to reach somebody, and how it wants to be used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class GroupBy(StrEnum):
    """What goes into one message."""

    NONE = "none"
    """Each event is a message of its own."""
    RULE = "rule"
    """Events of one rule and severity."""
    SEVERITY = "severity"
    """Events of one severity, whatever their rule."""


MAX_ATTEMPTS = 20
"""Attempts after which an event is given up, unless the channel says otherwise: about an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a channel wants to be used.

    Attributes:
        group_by: what goes into one message.
        group_s: seconds for which the first event of a message waits for others; without meaning when nothing is grouped.
        rate_per_minute: most messages in any 60 seconds; 0 is no limit. What has to wait is told in the order of severity.
        repeat_s: seconds after which a firing alert that nobody acknowledged is told again; 0 never.
        attempts: attempts after which an event is given up.
    """

    group_by: GroupBy = GroupBy.NONE
    group_s: float = 0.0
    rate_per_minute: int = 0
    repeat_s: float = 0.0
    attempts: int = MAX_ATTEMPTS


class Channel(Protocol):
    """One way out. Implementations hold no connection between calls and may be used from any event loop."""

    @property
    def name(self) -> str:
        """Name under which the outbox knows the channel; never holds a secret."""

    @property
    def policy(self) -> Policy:
        """How it wants to be used."""

    @property
    def at_once(self) -> int:
        """Messages that may be sent at one time; those of one rule and series never are."""

    async def send(self, event_id: str, payload: str) -> None:
        """Deliver one message, in bounded time.

        Args:
            event_id: idempotency key: the same message always has the same. Of a single event it is the event's id.
            payload: JSON: one event (`AlertEvent.to_json`, or a notice), or several (`Message.payload`).

        Raises:
            NotifyError: when it was not delivered, as far as one can know. The message holds no secret.
        """
