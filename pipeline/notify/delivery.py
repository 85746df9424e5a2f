"""Delivery of the outbox: which events go there, and one round of sending.

At least once: an event may reach a channel again when its outcome was not known or not recorded, always under
the same id. In order: of one rule and series, a channel gets a later event only when the earlier one was
delivered or given up. One channel never waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from pipeline.alerts import AlertEvent
from pipeline.notify.channel import Channel
from pipeline.notify.courier import Courier, DeliveryResult
from pipeline.notify.message import Message, OutboxRow


def outbox_rows(event: AlertEvent, channels: Iterable[str], now_us: int) -> tuple[OutboxRow, ...]:
    """The rows that an event adds to the outbox, one a channel, due at once; none when nobody is to be told."""
    if not event.notifies:
        return ()
    payload = event.to_json()
    return tuple(
        OutboxRow(
            event_id=event.event_id,
            channel=name,
            rule_id=event.rule_id,
            series=event.series,
            payload=payload,
            due_us=now_us,
            kind=event.kind.value,
            severity=event.severity.value,
            firing_us=event.active_since_us,
        )
        for name in channels
    )


class _Results(list[DeliveryResult]):
    """A book that only remembers what became of events."""

    async def form(self, message: Message) -> None:
        """Nothing is kept."""

    async def record(self, results: Sequence[DeliveryResult]) -> None:
        """Remember results."""
        self.extend(results)


async def deliver_due(rows: Sequence[OutboxRow], channels: Mapping[str, Channel], now_us: int) -> list[DeliveryResult]:
    """Send what is due, once, without a memory of earlier rounds.

    Args:
        rows: undelivered rows in the order in which they were written, with those that are not due yet: they hold back
            later events of their rule and series.
        channels: channels by name.
        now_us: wall time in microseconds, against which rows are due and from which the next attempt is counted.

    Returns:
        A result for each row that was tried. Rows without a result stay as they are. A row for a channel that is
        not configured counts as tried in vain, so that it waits for its channel and is given up in the end.
    """
    by_channel: dict[str, list[OutboxRow]] = {}
    for row in rows:
        by_channel.setdefault(row.channel, []).append(row)
    results = _Results()
    couriers = [Courier(name, channels.get(name)) for name in by_channel]
    await asyncio.gather(*(courier.send(courier.plan(by_channel[courier.name], now_us), now_us, results) for courier in couriers))
    return list(results)


async def deliver(events: Iterable[AlertEvent], channels: Mapping[str, Channel]) -> list[DeliveryResult]:
    """Send events at once, without an outbox and whatever their kind: for trying a channel out."""
    rows = [
        OutboxRow(event_id=event.event_id, channel=name, rule_id=event.rule_id, series=event.series, payload=event.to_json(), due_us=0)
        for event in events
        for name in channels
    ]
    return await deliver_due(rows, channels, 0)
