"""What a channel is: one way for an alert event to reach somebody."""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """One way out. Implementations hold no connection between calls and may be used from any event loop."""

    @property
    def name(self) -> str:
        """Name under which the outbox knows the channel; never holds a secret."""

    async def send(self, event_id: str, payload: str) -> None:
        """Deliver one event, in bounded time.

        Args:
            event_id: idempotency key: the same event always has the same.
            payload: the event as JSON (`AlertEvent.to_json`).

        Raises:
            NotifyError: when it was not delivered, as far as one can know.
        """
