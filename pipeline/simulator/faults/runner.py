"""Carries out a plan: waits for each fault's moment and for something that it can hit, begins it, ends it, and says so in the log."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from websockets.exceptions import ConnectionClosed

from pipeline.simulator.door import Door
from pipeline.simulator.faults import acts
from pipeline.simulator.faults.answers import Answers
from pipeline.simulator.faults.clock import VenueClock
from pipeline.simulator.faults.hub import Client, TappedHub
from pipeline.simulator.faults.plan import Fault, Moment, Plan, moments
from pipeline.simulator.faults.taps import tap_of
from pipeline.simulator.frames import wrapped
from pipeline.simulator.market import Market

_log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_S = 0.02
_RELEASE_S = 0.01
_PUMP_S = 0.05
_LATE_S = 1.0


class FaultRunner:
    """Faults of one simulator.

    Args:
        plan: what is to go wrong; seconds count from the making of this object.
        hub: connections and streams.
        market: what is traded.
        clock: the venue's clock.
        answers: the HTTP errors in force.
    """

    def __init__(self, plan: Plan, hub: TappedHub, market: Market, clock: VenueClock, answers: Answers) -> None:
        self._plan = plan
        self._hub = hub
        self._market = market
        self._clock = clock
        self._answers = answers
        self._started_s = time.monotonic()

    async def run(self, door: Door) -> None:
        """Carry the plan out, for ever."""
        async with asyncio.TaskGroup() as group:
            for fault in self._plan.faults:
                group.create_task(self._repeat(fault, door, group))
            while True:
                await asyncio.sleep(_RELEASE_S)
                self._hub.release()

    def _now_s(self) -> float:
        return time.monotonic() - self._started_s

    async def _repeat(self, fault: Fault, door: Door, group: asyncio.TaskGroup) -> None:
        for moment in moments(self._plan, fault):
            if fault.every_s is not None and self._now_s() > moment.at_s + _LATE_S:
                continue  # its time passed while an earlier one waited for something to hit
            await asyncio.sleep(max(0.0, moment.at_s - self._now_s()))
            targets: Sequence[object] = ()
            while self._needs_target(fault) and not (targets := self._targets(fault, moment)):
                if self._now_s() > self._plan.until_s:
                    return
                await asyncio.sleep(_LOOK_S)
            group.create_task(self._carry_out(fault, moment, targets, door))

    @staticmethod
    def _needs_target(fault: Fault) -> bool:
        return not isinstance(fault.act, acts.Refuse | acts.Status | acts.Skew | acts.Life)

    def _targets(self, fault: Fault, moment: Moment) -> Sequence[object]:
        match fault.act:
            case acts.Silence():
                return _chosen(self._hub.heard(fault), fault, moment)
            case acts.Skip():
                return _chosen(self._hub.streams(fault, of_trades=True), fault, moment)
            case acts.Hole():
                symbols = {stream.partition("@")[0].upper() for stream in self._hub.streams(fault, of_trades=True)}
                return _chosen(sorted(symbols), fault, moment)
            case acts.Duplicate() | acts.Delay() | acts.Reorder() | acts.Malformed() | acts.Oversized():
                return _chosen(self._hub.streams(fault), fault, moment)
        return _chosen(self._hub.clients(fault), fault, moment)

    def _for_s(self, fault: Fault) -> float:
        """How long a fault that begins now may last; what has no duration ends by itself, or with the plan."""
        for_s = math.inf if fault.act.LASTS_S is None else fault.for_s
        return max(0.0, min(for_s, self._plan.until_s - self._now_s()))

    async def _carry_out(self, fault: Fault, moment: Moment, targets: Sequence[object], door: Door) -> None:
        facts: dict[str, object] = {"kind": fault.act.KIND, "fault": fault.number, "hits": _names(targets)}
        if facts["hits"] == "":
            del facts["hits"]
        lasts = {} if not fault.for_s or math.isinf(fault.for_s) else {"for_s": fault.for_s}
        _log.info("simulator.fault_began", extra={**facts, **lasts, "at_s": round(self._now_s(), 3)})
        began_s = time.monotonic()
        found = await self._happen(fault, moment, targets, door)
        _log.info("simulator.fault_ended", extra={**facts, **found, "after_s": round(time.monotonic() - began_s, 3)})

    async def _happen(self, fault: Fault, moment: Moment, targets: Sequence[object], door: Door) -> dict[str, object]:
        """One fault from beginning to end; returns what there is to say about it."""
        act = fault.act
        match act:
            case acts.Refuse():
                door.shut()
                await asyncio.sleep(self._for_s(fault))
                await door.open_again()
            case acts.Status():
                facts = self._answers.begin(act, moment.seed)
                await asyncio.sleep(self._for_s(fault))
                self._answers.end(facts)
                return {"code": act.code, **facts}
            case acts.Skew():
                await self._skew(fault, act)
            case acts.Life():
                return await self._limit_lives(fault, act)
            case acts.Hole():
                return self._make_holes(act, [str(target) for target in targets])
            case _:
                streams = [target for target in targets if isinstance(target, str)]
                if streams:
                    return await self._tap(fault, moment, streams)
                pairs = [target for target in targets if isinstance(target, tuple)]
                if pairs:
                    return await self._silence(fault, pairs)
                clients = [target for target in targets if isinstance(target, Client)]
                await asyncio.gather(*(self._break_unless_gone(fault, client) for client in clients))
        return {}

    async def _break_unless_gone(self, fault: Fault, client: Client) -> None:
        with suppress(ConnectionClosed):
            await self._break(fault, client)

    async def _break(self, fault: Fault, client: Client) -> None:
        """What happens to one connection."""
        connection = client.connection
        match fault.act:
            case acts.Drop():
                connection.reset()
            case acts.Close(code=code, reason=reason):
                await connection.close(code, reason)
            case acts.HalfOpen():
                connection.mute()
                await self._while_here([client], self._for_s(fault))
                connection.reset()
            case acts.Slow(bytes_per_s=rate):
                connection.slow_down()
                until_s = time.monotonic() + self._for_s(fault)
                owed = 0.0
                while time.monotonic() < until_s and self._hub.here(client):
                    await asyncio.sleep(_PUMP_S)
                    owed = min(owed, 1.0) + rate * _PUMP_S
                    connection.pump(int(owed))
                    owed -= int(owed)
                connection.speed_up()
            case acts.Shutdown(grace_s=grace_s):
                notice = f'{{"e":"serverShutdown","E":{self._clock()}}}'
                await connection.send(wrapped("serverShutdown", notice) if client.session.combined else notice)
                await self._while_here([client], grace_s)
                await connection.close(1001, "server shutdown")

    async def _while_here(self, clients: Sequence[Client], for_s: float) -> None:
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s and any(self._hub.here(client) for client in clients):  # noqa: ASYNC110  connections have no event
            await asyncio.sleep(_LOOK_S)

    async def _silence(self, fault: Fault, pairs: list[tuple[Client, str]]) -> dict[str, object]:
        for client, stream in pairs:
            client.session.silent.add(stream)
        self._hub.reindex()
        until_s = time.monotonic() + self._for_s(fault)
        left = pairs
        while left and time.monotonic() < until_s:
            await asyncio.sleep(_LOOK_S)
            left = [(client, stream) for client, stream in left if self._hub.here(client) and stream in client.session.silent]
        for client, stream in left:
            client.session.silent.discard(stream)
        self._hub.reindex()
        return {"ended_by": "time" if left else "client"}

    async def _tap(self, fault: Fault, moment: Moment, streams: list[str]) -> dict[str, object]:
        taps = [tap_of(fault.act, stream, moment.seed + place) for place, stream in enumerate(streams)]
        for stream, tap in zip(streams, taps, strict=True):
            self._hub.tap(stream, tap)
        until_s = time.monotonic() + self._for_s(fault)
        while time.monotonic() < until_s and not all(tap.over for tap in taps):  # noqa: ASYNC110  taps have no event
            await asyncio.sleep(_RELEASE_S)
        for tap in taps:
            tap.stop()
        if len(taps) == 1:
            return taps[0].facts
        counted = [name for name in taps[0].facts if not name.endswith("_id")]
        return {name: sum(int(str(tap.facts[name])) for tap in taps) for name in counted}

    def _make_holes(self, act: acts.Hole, symbols: Iterable[str]) -> dict[str, object]:
        synthetic = self._market.synthetic
        if synthetic is None:
            return {}
        made = [synthetic.make_hole(symbol, act.count, self._clock.highest_ms) for symbol in symbols]
        return {"ids": ",".join(f"{first}-{last}" for first, last in made)}

    async def _skew(self, fault: Fault, act: acts.Skew) -> None:
        name = "off_ms" if act.events else "told_off_ms"
        setattr(self._clock, name, getattr(self._clock, name) + act.ms)
        await asyncio.sleep(self._for_s(fault))
        setattr(self._clock, name, getattr(self._clock, name) - act.ms)

    async def _limit_lives(self, fault: Fault, act: acts.Life) -> dict[str, object]:
        until_s = time.monotonic() + self._for_s(fault)
        closing: set[asyncio.Task[None]] = set()
        closed: set[Client] = set()
        while time.monotonic() < until_s:
            await asyncio.sleep(_LOOK_S)
            for client in self._hub.clients(fault):
                if time.monotonic() - client.since_s >= act.after_s and client not in closed:
                    closed.add(client)
                    _log.info("simulator.life_over", extra={"hits": client.name, "fault": fault.number})
                    closing.add(asyncio.create_task(client.connection.close(act.code, "connection is too old")))
            closing = {task for task in closing if not task.done()}
        return {"closed": len(closed)}


def _chosen(found: Sequence[T], fault: Fault, moment: Moment) -> Sequence[T]:
    if fault.every_target or not found:
        return found
    return (found[int(moment.pick * len(found))],)


def _names(targets: Sequence[object]) -> str:
    names = []
    for target in targets:
        match target:
            case Client():
                names.append(target.name)
            case (Client() as client, stream):
                names.append(f"{client.name}/{stream}")
            case _:
                names.append(str(target))
    return ",".join(names)
