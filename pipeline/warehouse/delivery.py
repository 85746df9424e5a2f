"""The outbox worker: sends what the landing transactions have left there, beside them and never in their way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from pipeline.errors import SpreadwatchError
from pipeline.notify import Channel, OutboxRow, Outcome, deliver_due
from pipeline.store.outbox import OutboxStore

_log = logging.getLogger(__name__)
_EVERY_S = 0.5


async def deliver_forever(outbox: OutboxStore, channels: Mapping[str, Channel], stop: asyncio.Event) -> None:
    """Send due rows until ``stop`` is set; at least once each, under the event's own id."""
    while not stop.is_set():
        try:
            await _round(outbox, channels)
        except SpreadwatchError as error:
            _log.warning("delivery round failed", extra={"error": str(error)})
        try:
            async with asyncio.timeout(_EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue


async def _round(outbox: OutboxStore, channels: Mapping[str, Channel]) -> None:
    if channels:
        await asyncio.to_thread(outbox.take_notices, tuple(channels))
    waiting = await asyncio.to_thread(outbox.waiting)
    if not waiting:
        return
    rows = [
        OutboxRow(
            event_id=row.event_id,
            channel=row.channel,
            rule_id=row.rule_id,
            series=row.series,
            payload=row.payload,
            due_us=row.due_us,
            attempts=row.attempts,
        )
        for row in waiting
    ]
    results = await deliver_due(rows, channels, time.time_ns() // 1_000)
    written = [
        (
            "waiting" if result.outcome is Outcome.RETRY else result.outcome.value,
            result.attempts,
            result.due_us,
            result.error,
            result.event_id,
            result.channel,
        )
        for result in results
    ]
    if written:
        await asyncio.to_thread(outbox.record, written)
