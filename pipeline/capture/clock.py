"""The line that capture writes once a second: journal time, what is connected, what every stream has delivered."""

from __future__ import annotations

import asyncio
import time

import msgspec

from pipeline.capture.committing import Committer
from pipeline.capture.intake import Intake
from pipeline.capture.pool import Pool
from pipeline.capture.venue_clock import VenueClock
from pipeline.model.event import ClockOffset


def clock_line(pool: Pool, intake: Intake, committer: Committer, offset: ClockOffset | None = None) -> bytes:
    """The JSON of a clock line.

    ``connected`` is true when every connection is open. ``n`` counts messages since capture started, ``last_ns`` is null before
    the first. ``buffered`` is how many bytes wait for the journal, ``waiting`` how many frames wait to be taken. ``clock`` is there
    once the venue's clock has been measured. ``journal`` is there while the journal cannot be written: why. ``lost`` is there when
    messages could not be kept for want of room: how many, and between which times.
    """
    conns = [
        {"route": keeper.route, "state": "open" if keeper.open else "down", "since_ns": keeper.since_ns, "streams": len(keeper.streams)}
        for keeper in pool.keepers
    ]
    line = {
        "e": "sw.clock",
        "connected": bool(conns) and all(keeper.open for keeper in pool.keepers),
        "streams": {name: {"n": seen.n, "last_ns": seen.last_ns} for name, seen in intake.seen().items()},
        "reconnects": pool.reconnects,
        "conns": conns,
        "buffered": intake.buffered_bytes,
        "waiting": pool.waiting,
    }
    if offset is not None:
        line["clock"] = {"offset_ms": round(offset.offset_ms, 3), "rtt_ms": round(offset.rtt_ms, 3), "at_ns": offset.at_ns}
    if committer.fault is not None:
        line["journal"] = str(committer.fault)
    if intake.lost.lines:
        lost = intake.lost
        line["lost"] = {"lines": lost.lines, "bytes": lost.size, "first_ns": lost.first_ns, "last_ns": lost.last_ns}
    return msgspec.json.encode(line)


async def tick(pool: Pool, intake: Intake, committer: Committer, venue_clock: VenueClock) -> None:
    """Write a clock line at every full second, until cancelled."""
    while True:
        await asyncio.sleep(1.0 - time.time() % 1.0)
        now_ns = time.time_ns()
        committer.look()
        intake.note(now_ns, clock_line(pool, intake, committer, venue_clock.offset))
