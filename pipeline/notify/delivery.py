"""Delivery of the outbox: who is sent what now, and what becomes of it.

At least once: an event may reach a channel again when its outcome was not known or not recorded, always under
the same id. In order: of one rule and series, a channel gets a later event only when the earlier one was
delivered or given up. One channel never waits for another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.alerts import AlertEvent
from pipeline.errors import NotifyError
from pipeline.notify.channel import Channel

_log = logging.getLogger(__name__)

MAX_ATTEMPTS = 20
"""Attempts after which an event is given up: about an hour."""
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 300.0


class Outcome(StrEnum):
    """What became of one attempt; also the state of an outbox row after it."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


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
    """

    event_id: str
    channel: str
    rule_id: str
    series: str
    payload: str
    due_us: int
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What to write back to one outbox row.

    Attributes:
        event_id: key of the row, with ``channel``.
        channel: key of the row, with ``event_id``.
        outcome: delivered, to be tried again, or given up.
        attempts: how often it has been tried now.
        due_us: when to try again, in microseconds; None unless the outcome is RETRY.
        error: one line without secrets; None when delivered.
    """

    event_id: str
    channel: str
    outcome: Outcome
    attempts: int
    due_us: int | None
    error: str | None


def delivery_plan(attempts: int, *, retry_after_s: float | None = None) -> float | None:
    """Seconds to wait after the ``attempts``-th attempt failed: 1, 2, 4 ... 300; None when it is time to give up.

    Args:
        attempts: attempts made so far, at least 1.
        retry_after_s: what the receiver asked for; the wait is never shorter.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay = min(_FIRST_DELAY_S * 2.0 ** (attempts - 1), _LONGEST_DELAY_S)
    return max(delay, retry_after_s or 0.0)


def outbox_rows(event: AlertEvent, channels: Iterable[str], now_us: int) -> tuple[OutboxRow, ...]:
    """The rows that an event adds to the outbox, one a channel, due at once; none when its kind tells nobody."""
    if not event.notifies:
        return ()
    payload = event.to_json()
    return tuple(
        OutboxRow(event_id=event.event_id, channel=name, rule_id=event.rule_id, series=event.series, payload=payload, due_us=now_us)
        for name in channels
    )


async def deliver_due(rows: Sequence[OutboxRow], channels: Mapping[str, Channel], now_us: int) -> list[DeliveryResult]:
    """Send what is due.

    Channels are served side by side, each one event after the other. A channel that fails in a way that can pass is left
    alone until the next call.

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
    served = await asyncio.gather(*(_serve(channels.get(name), name, mine, now_us) for name, mine in by_channel.items()))
    return [result for results in served for result in results]


async def deliver(events: Iterable[AlertEvent], channels: Mapping[str, Channel]) -> list[DeliveryResult]:
    """Send events at once, without an outbox and whatever their kind: for trying a channel out."""
    rows = [
        OutboxRow(event_id=event.event_id, channel=name, rule_id=event.rule_id, series=event.series, payload=event.to_json(), due_us=0)
        for event in events
        for name in channels
    ]
    return await deliver_due(rows, channels, 0)


async def _serve(channel: Channel | None, name: str, rows: Sequence[OutboxRow], now_us: int) -> list[DeliveryResult]:
    results = []
    held: set[tuple[str, str]] = set()
    for row in rows:
        instance = (row.rule_id, row.series)
        if instance in held:
            continue
        if row.due_us > now_us:
            held.add(instance)
            continue
        try:
            if channel is None:
                msg = f"channel {name} is not configured; configure it or remove the event"
                raise NotifyError(msg, retryable=True)  # noqa: TRY301  judged below like every other failure
            await channel.send(row.event_id, row.payload)
        except NotifyError as error:
            result = _failed(row, error, now_us)
        else:
            result = _result(row, Outcome.DELIVERED)
        results.append(result)
        _report(result)
        if result.outcome is Outcome.RETRY:
            held.add(instance)
            if channel is not None:
                break
    return results


def _failed(row: OutboxRow, error: NotifyError, now_us: int) -> DeliveryResult:
    delay_s = delivery_plan(row.attempts + 1, retry_after_s=error.retry_after_s) if error.retryable else None
    if delay_s is None:
        return _result(row, Outcome.DEAD, error=str(error))
    return _result(row, Outcome.RETRY, due_us=now_us + round(delay_s * 1_000_000), error=str(error))


def _result(row: OutboxRow, outcome: Outcome, *, due_us: int | None = None, error: str | None = None) -> DeliveryResult:
    return DeliveryResult(
        event_id=row.event_id, channel=row.channel, outcome=outcome, attempts=row.attempts + 1, due_us=due_us, error=error
    )


def _report(result: DeliveryResult) -> None:
    facts = {"event_id": result.event_id, "channel": result.channel, "attempts": result.attempts}
    if result.outcome is Outcome.DELIVERED:
        _log.info("alert delivered", extra=facts)
    else:
        _log.warning("alert not delivered", extra={**facts, "outcome": result.outcome.value, "error": result.error})
