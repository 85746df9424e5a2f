"""The outbox worker: sends what the landing transactions have left there, beside them and never in their way.

Each channel is served by a task of its own, so that none waits for another; the database is used by one thread, in short transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

from pipeline.alerts import AlertEvent, AlertState, EventKind, Rule, utc
from pipeline.errors import RuleError, SpreadwatchError
from pipeline.notify import Channel, Courier, DeliveryResult, Message, OutboxRow, Outcome, Standing, sift
from pipeline.store.outbox import Look, OutboxStore, Told, Waiting

_log = logging.getLogger(__name__)

_EVERY_S = 0.25
_NOTICES_EVERY_S = 1.0
_REPEATS_EVERY_S = (0.5, 30.0)
"""How often repeats are looked for: a twentieth of the shortest interval, within these bounds."""
_PRUNE_EVERY_S = 3_600.0
_GRACE_S = 3.5

P = ParamSpec("P")
T = TypeVar("T")


async def deliver_forever(outbox: OutboxStore, channels: Mapping[str, Channel], stop: asyncio.Event, *, keep_days: int = 30) -> None:
    """Send due rows until ``stop`` is set; at least once each, under the event's own id.

    Args:
        outbox: the outbox, used here alone.
        channels: the configured channels by name.
        stop: ends it; what is being sent then has some seconds left.
        keep_days: days for which delivered rows are kept.
    """
    worker = _Worker(outbox, channels, keep_days)
    try:
        while not stop.is_set():
            try:
                await worker.round()
            except SpreadwatchError as error:
                _log.error("delivery round failed", extra={"error": str(error)})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await stop.wait()
    finally:
        await worker.end()


class _Worker:
    """Couriers by channel, each with the task in which it sends."""

    def __init__(self, outbox: OutboxStore, channels: Mapping[str, Channel], keep_days: int) -> None:
        self._outbox = outbox
        self._channels = channels
        self._keep_days = keep_days
        self._database = asyncio.Lock()
        self._couriers: dict[str, Courier] | None = None
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._due_s: dict[str, float] = {}

    async def round(self) -> None:
        """Look once, and set those couriers going that are at home."""
        if self._couriers is None:
            lately = await self._ask(self._outbox.sent_lately)
            self._couriers = {name: Courier(name, channel, lately.get(name, ())) for name, channel in self._channels.items()}
        if self._channels and self._is_due("notices", _NOTICES_EVERY_S):
            await self._ask(self._outbox.take_notices, tuple(self._channels))
        repeat_s = min((courier.policy.repeat_s for courier in self._couriers.values() if courier.policy.repeat_s), default=None)
        if repeat_s is not None and self._is_due("repeats", min(max(repeat_s / 20, _REPEATS_EVERY_S[0]), _REPEATS_EVERY_S[1])):
            await self._repeat(self._couriers)
        if self._is_due("prune", _PRUNE_EVERY_S):
            await self._ask(self._outbox.prune, self._keep_days)
        for name in [name for name, task in self._sending.items() if task.done()]:
            task = self._sending.pop(name)
            if error := task.exception():
                _log.error(
                    "delivery failed",
                    extra={"channel": name, "error": str(error) if isinstance(error, SpreadwatchError) else type(error).__name__},
                )
        if self._couriers and not any(courier.at_home for name, courier in self._couriers.items() if name not in self._sending):
            return  # every channel is busy, or left alone for a while
        look = await self._ask(self._outbox.look)
        standings = _standings(look)
        for name in dict.fromkeys(row.channel for row in look.waiting):
            if name not in self._sending:
                await self._serve(self._couriers.setdefault(name, Courier(name, None)), look, standings)

    async def end(self) -> None:
        """Wait for what is being sent, for a while."""
        if self._sending:
            _, late = await asyncio.wait(self._sending.values(), timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def form(self, message: Message) -> None:
        """See `Book.form`."""
        await self._ask(self._outbox.form, message.message_id, message.rows[0].channel, [row.event_id for row in message.rows])

    async def record(self, results: Sequence[DeliveryResult]) -> None:
        """See `Book.record`."""
        rows = [
            (
                "waiting" if result.outcome is Outcome.RETRY else result.outcome.value,
                result.attempts,
                result.due_us,
                result.error,
                result.message_id,
                result.event_id,
                result.channel,
            )
            for result in results
        ]
        await asyncio.shield(self._ask(self._outbox.record, rows))

    async def _serve(self, courier: Courier, look: Look, standings: Mapping[tuple[str, str], Standing]) -> None:
        unheard = {(rule_id, series, firing_us) for channel, rule_id, series, firing_us in look.unheard if channel == courier.name}
        sifted = sift([_row(row) for row in look.waiting if row.channel == courier.name], standings, unheard)
        if sifted.dropped:
            await self.record([_silenced(row, reason) for row, reason in sifted.dropped])
        now_us = time.time_ns() // 1_000
        if plan := courier.plan(sifted.rows, now_us):
            self._sending[courier.name] = asyncio.create_task(courier.send(plan, now_us, self), name=f"deliver-{courier.name}")

    async def _repeat(self, couriers: Mapping[str, Courier]) -> None:
        """Write again what fires and nobody has acknowledged."""
        now_us = time.time_ns() // 1_000
        for told in await self._ask(self._outbox.told):
            courier = couriers.get(told.channel)
            if courier is None or not courier.policy.repeat_s or now_us < told.done_us + courier.policy.repeat_s * 1_000_000:
                continue
            event = _again(told)
            if event is None:
                continue
            await self._ask(
                self._outbox.repeat,
                event_id=event.event_id,
                repeat_of=told.first_id,
                channel=told.channel,
                rule_id=event.rule_id,
                series=event.series,
                payload=event.to_json(),
            )

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._database:
            return await asyncio.to_thread(function, *args, **kwargs)

    def _is_due(self, name: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s.get(name, 0.0):
            return False
        self._due_s[name] = now_s + every_s
        return True


def _row(row: Waiting) -> OutboxRow:
    return OutboxRow(
        event_id=row.event_id,
        channel=row.channel,
        rule_id=row.rule_id,
        series=row.series,
        payload=row.payload,
        due_us=row.due_us,
        attempts=row.attempts,
        kind=row.kind,
        severity=row.severity,
        firing_us=row.firing_us,
        message_id=row.message_id,
        repeat_of=row.repeat_of,
    )


def _silenced(row: OutboxRow, reason: str) -> DeliveryResult:
    return DeliveryResult(
        event_id=row.event_id,
        channel=row.channel,
        outcome=Outcome.SILENCED,
        attempts=row.attempts,
        due_us=None,
        error=f"not sent: {reason}",
    )


def _standings(look: Look) -> dict[tuple[str, str], Standing]:
    found = {}
    for text in look.states:
        try:
            state = AlertState.from_json(text)
        except RuleError as error:  # another version wrote it: what waits is sent rather than kept back
            _log.warning("alert state cannot be read", extra={"error": str(error)})
            continue
        silenced = state.muted or state.snoozed_until_us is not None
        found[state.rule_id, state.series] = Standing(state.fired_us, state.phase.is_missing, state.acknowledged, silenced)
    return found


def _again(told: Told) -> AlertEvent | None:
    """The reminder of an alert that fires on; None outside its rule's active hours."""
    try:
        event, state, rule = AlertEvent.from_json(told.payload), AlertState.from_json(told.state), Rule.from_json(told.rule)
    except RuleError as error:
        _log.warning("alert cannot be told again", extra={"event_id": told.event_id, "error": str(error)})
        return None
    if state.fired_us is None or not (rule.active_hours is None or rule.active_hours.contains(told.journal_us)):
        return None
    since = f"still {state.phase}, firing since {utc(state.fired_us)}, not acknowledged"
    return replace(
        event,
        event_id=hashlib.sha256(f"{told.event_id}\x1frepeat".encode()).hexdigest()[:32],
        kind=EventKind.REMINDED,
        previous=state.phase,
        phase=state.phase,
        at_us=max(told.journal_us, event.at_us),
        value=state.value,
        text=f"{rule.severity} {EventKind.REMINDED}: {event.series} {rule.what} {since} [{rule.name}]",
        notifies=True,
    )
