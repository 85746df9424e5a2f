"""One channel's courier: it sends messages, one channel never waiting for another, and says what became of each event."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pipeline.errors import NotifyError
from pipeline.notify.channel import MAX_ATTEMPTS, Channel, GroupBy, Policy
from pipeline.notify.message import Message, OutboxRow, lanes

_log = logging.getLogger(__name__)

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 300.0
_LONGEST_PAUSE_S = 30.0
_MINUTE_S = 60.0
_TURN_S = 2.0
_WRITE_EVERY_S = 0.2


class Outcome(StrEnum):
    """What became of an event; also the state of its outbox row, where a RETRY is still waiting."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What to write back to one outbox row.

    Attributes:
        event_id: key of the row, with ``channel``.
        channel: key of the row, with ``event_id``.
        outcome: delivered, to be tried again, given up, or not wanted any more.
        attempts: how often it has been tried now.
        due_us: when to try again, in microseconds; None unless the outcome is RETRY.
        error: one line without secrets; None when delivered.
        message_id: the message in which it was sent; None when it was not.
    """

    event_id: str
    channel: str
    outcome: Outcome
    attempts: int
    due_us: int | None
    error: str | None
    message_id: str | None = None


class Book(Protocol):
    """Where a courier writes what it does."""

    async def form(self, message: Message) -> None:
        """Note which events a message has, before it is sent: it must have the same ones when it is sent again."""

    async def record(self, results: Sequence[DeliveryResult]) -> None:
        """Note what became of events."""


def delivery_plan(attempts: int, *, retry_after_s: float | None = None, most: int = MAX_ATTEMPTS) -> float | None:
    """Seconds to wait after the ``attempts``-th attempt failed: 1, 2, 4 ... 300; None when it is time to give up.

    Args:
        attempts: attempts made so far, at least 1.
        retry_after_s: what the receiver asked for; the wait is never shorter.
        most: attempts after which an event is given up.
    """
    if attempts >= most:
        return None
    delay = min(_FIRST_DELAY_S * 2.0 ** min(attempts - 1, 30), _LONGEST_DELAY_S)
    return max(delay, retry_after_s or 0.0)


class Courier:
    """Serves one channel; remembers how often it failed, what it has sent within the minute, and for how long rows have waited.

    Args:
        name: the channel's name.
        channel: the channel; None when nothing of this name is configured: its rows wait for it and are given up in the end.
        sent_s: how many seconds ago messages of the last minute were sent, by an earlier process.
    """

    def __init__(self, name: str, channel: Channel | None, sent_s: Sequence[float] = ()) -> None:
        self.name = name
        self._channel = channel
        self._policy = channel.policy if channel is not None else Policy()
        self._failures = 0
        self._paused_until_s = 0.0
        self._sent_ago_s = sorted(sent_s, reverse=True)
        self._sent_s: deque[float] = deque()
        self._seen_s: dict[str, float] = {}

    @property
    def policy(self) -> Policy:
        """How the channel wants to be used."""
        return self._policy

    @property
    def at_home(self) -> bool:
        """Whether it may send now: the channel is not left alone, and its rate allows it. Called within an event loop."""
        now_s = asyncio.get_running_loop().time()
        return now_s >= self._paused_until_s and self._may_send(now_s)

    def plan(self, rows: Sequence[OutboxRow], now_us: int) -> list[list[Message]]:
        """Lanes of messages that may be sent now; none while the channel is left alone. Called within an event loop."""
        now_s = asyncio.get_running_loop().time()
        self._seen_s = {row.event_id: self._seen_s.get(row.event_id, now_s) for row in rows}
        if not self.at_home:
            return []
        return lanes(rows, self._policy, now_us, lambda row: now_s - self._seen_s[row.event_id])

    async def send(self, plan: Sequence[Sequence[Message]], now_us: int, book: Book) -> None:
        """Send what was planned, as far as it gets within some seconds.

        After a failure that can pass the channel is left alone for a while, longer every time.

        Args:
            plan: what `plan` gave.
            now_us: wall time, from which the next attempt is counted.
            book: where results go, soon after they are known.
        """
        results: list[DeliveryResult] = []
        queue = deque(plan)
        failures = self._failures
        loop = asyncio.get_running_loop()
        began_s = written_s = loop.time()

        async def work() -> None:
            nonlocal written_s
            while queue and (self._channel is None or self._failures <= failures):
                for message in queue.popleft():
                    now_s = loop.time()
                    if now_s - began_s > _TURN_S or not self._may_send(now_s):
                        queue.clear()
                        return
                    self._sent_s.append(now_s)  # before anything is awaited: others send at the same time
                    mine = await self._try(message, now_us, book)
                    results.extend(mine)
                    if loop.time() - written_s > _WRITE_EVERY_S:
                        written_s = loop.time()
                        await self._write(results, book)
                    if mine[0].outcome is Outcome.RETRY:
                        break

        # one that was not well is tried with one message
        at_once = self._channel.at_once if self._channel is not None and not failures else 1
        try:
            await asyncio.gather(*(work() for _ in range(at_once)))
        finally:
            await self._write(results, book)

    async def _write(self, results: list[DeliveryResult], book: Book) -> None:
        known = list(results)
        results.clear()
        if known:
            await book.record(known)

    async def _try(self, message: Message, now_us: int, book: Book) -> list[DeliveryResult]:
        loop = asyncio.get_running_loop()
        if len(message.rows) > 1 or self._policy.group_by is not GroupBy.NONE:
            await book.form(message)
        try:
            await self._hand_over(message)
        except NotifyError as error:
            if error.retryable:
                self._failures += 1
                pause_s = min(_FIRST_DELAY_S * 2.0 ** min(self._failures - 1, 30), _LONGEST_PAUSE_S)
                self._paused_until_s = loop.time() + max(pause_s, error.retry_after_s or 0.0)
            results = [self._failed(row, message, error, now_us) for row in message.rows]
        else:
            self._failures, self._paused_until_s = 0, 0.0
            results = [_result(row, message, Outcome.DELIVERED) for row in message.rows]
        for result in results:
            _report(result)
        return results

    async def _hand_over(self, message: Message) -> None:
        if self._channel is None:
            msg = f"channel {self.name} is not configured; configure it, or leave the event to be given up"
            raise NotifyError(msg, retryable=True)
        try:
            await self._channel.send(message.message_id, message.payload)
        except NotifyError:
            raise
        except Exception as error:  # noqa: BLE001  what a channel does not foresee is a failure like others, told without its words
            msg = f"channel {self.name} failed with {type(error).__name__}; it will be tried again"
            raise NotifyError(msg, retryable=True) from None

    def _failed(self, row: OutboxRow, message: Message, error: NotifyError, now_us: int) -> DeliveryResult:
        delay_s = (
            delivery_plan(row.attempts + 1, retry_after_s=error.retry_after_s, most=self._policy.attempts) if error.retryable else None
        )
        if delay_s is None:
            return _result(row, message, Outcome.DEAD, error=str(error))
        return _result(row, message, Outcome.RETRY, due_us=now_us + round(delay_s * 1_000_000), error=str(error))

    def _may_send(self, now_s: float) -> bool:
        """Whether the rate allows one more."""
        most = self._policy.rate_per_minute
        if self._sent_ago_s:  # known from before; event loops have times of their own
            self._sent_s.extendleft(now_s - ago_s for ago_s in reversed(self._sent_ago_s))
            self._sent_ago_s = []
        while self._sent_s and self._sent_s[0] <= now_s - _MINUTE_S:
            self._sent_s.popleft()
        return not most or len(self._sent_s) < most


def _result(row: OutboxRow, message: Message, outcome: Outcome, *, due_us: int | None = None, error: str | None = None) -> DeliveryResult:
    return DeliveryResult(
        event_id=row.event_id,
        channel=row.channel,
        outcome=outcome,
        attempts=row.attempts + 1,
        due_us=due_us,
        error=error,
        message_id=message.message_id,
    )


def _report(result: DeliveryResult) -> None:
    facts = {"event_id": result.event_id, "channel": result.channel, "attempts": result.attempts}
    if result.outcome is Outcome.DELIVERED:
        _log.info("alert delivered", extra=facts)
    else:
        _log.warning("alert not delivered", extra={**facts, "outcome": result.outcome.value, "error": result.error})
