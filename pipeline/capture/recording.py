"""Capture without anything behind it: chosen streams into one journal source, until told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.capture.intake import Intake
from pipeline.capture.pool import Pool
from pipeline.capture.process import capture
from pipeline.journal import Writer
from pipeline.settings import Settings
from pipeline.venues import Venue, venue

_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording has come: messages of the streams, those that found no room, connections open and wanted."""

    elapsed_s: float
    messages: int
    lost: int
    open: int
    connections: int
    silent: tuple[str, ...]
    """Streams that have delivered nothing so far."""


Watch = Callable[[Progress], None]


async def record(
    writer: Writer, settings: Settings, stop: asyncio.Event, streams: Sequence[str], watch: Watch, *, exchange: Venue | None = None
) -> Progress:
    """Record streams until ``stop`` is set. Everything is then durable, and the last segment sealed with the writer's closing.

    Args:
        writer: The source; it stays open.
        settings: Addresses, intervals and limits.
        stop: Ends it.
        streams: Names as the venue has them.
        watch: Called once a second.
        exchange: The venue; Binance USD-M when None.

    Returns:
        What came in all.

    Raises:
        JournalError: when the last lines cannot be written.
        SettingsError: when a stream needs a route that has no address.
    """
    began = time.monotonic()
    told: list[Callable[[], Progress]] = []

    def start(pool: Pool, intake: Intake) -> Iterable[Coroutine[Any, Any, None]]:
        pool.want(streams)

        def now() -> Progress:
            seen = intake.seen()
            return Progress(
                elapsed_s=time.monotonic() - began,
                messages=sum(one.n for one in seen.values()),
                lost=intake.lost.lines,
                open=sum(keeper.open for keeper in pool.keepers),
                connections=len(pool.keepers),
                silent=tuple(name for name, one in seen.items() if not one.n),
            )

        told.append(now)
        return [_watching(now, watch)]

    await capture(writer, settings, stop, exchange or venue(), start)
    await asyncio.to_thread(writer.rotate)
    return told[0]()


async def _watching(now: Callable[[], Progress], watch: Watch) -> None:
    while True:
        await asyncio.sleep(_EVERY_S)
        watch(now())
