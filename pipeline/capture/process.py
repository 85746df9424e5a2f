"""The capture process: from the venue's sockets to the journal, whatever happens behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from pipeline.capture.alive import show_life
from pipeline.capture.clock import clock_line, tick
from pipeline.capture.committing import Committer
from pipeline.capture.following import UniverseFollower
from pipeline.capture.intake import Intake
from pipeline.capture.keeper import Policy
from pipeline.capture.pool import Pool
from pipeline.capture.remembering import recalled, remember
from pipeline.capture.venue_clock import VenueClock
from pipeline.errors import JournalError
from pipeline.journal import Writer, journal_answers, open_journal, written_file
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.venues import Venue, venue
from pipeline.venues.admission import Admission
from pipeline.venues.rotation import time_of_day_s

SOURCE = "capture"

_log = logging.getLogger(__name__)


Start = Callable[[Pool, Intake], Iterable[Coroutine[Any, Any, None]]]
"""Tells the pool what to follow, and gives what has to run beside it until the end."""


async def run(profile: Profile, settings: Settings, stop: asyncio.Event, *, source: str = SOURCE, exchange: Venue | None = None) -> None:
    """Capture the universe of a profile until ``stop`` is set; what was received is then durable.

    Args:
        profile: Whose journal is written and whose universe is followed.
        settings: Addresses, intervals and limits.
        stop: Ends it.
        source: Name of the journal source; several captures need one each.
        exchange: The venue; Binance USD-M when None.

    Raises:
        JournalError: when another process writes the source, the journal cannot be opened, or the last lines cannot be written.
    """
    chosen = exchange or venue()
    attempts = profile.path / f"connects-{source}.json"
    admission = await asyncio.to_thread(recalled, attempts)

    def start(pool: Pool, _intake: Intake) -> Iterable[Coroutine[Any, Any, None]]:
        def follow(symbols: tuple[str, ...]) -> None:
            streams = [chosen.trade_stream(symbol, profile.trade_stream) for symbol in symbols]
            if settings.quotes:
                streams += [chosen.quote_stream(symbol) for symbol in symbols]
            pool.want(streams)

        return [
            UniverseFollower(profile, settings.symbols, follow).run(),
            show_life(written_file(profile, settings, source)),
            remember(admission, attempts),
        ]

    if not await journal_answers(profile, settings, stop):
        return
    writer = await asyncio.to_thread(open_journal(profile, settings).writer, source)
    try:
        await capture(writer, settings, stop, chosen, start, admission=admission)
    finally:
        try:
            await asyncio.to_thread(writer.close)
        except JournalError:
            _log.error("messages that waited for the journal are lost", extra={"bytes": writer.buffered_bytes})
            raise
        _log.info("capture stopped")


async def capture(
    writer: Writer, settings: Settings, stop: asyncio.Event, exchange: Venue, start: Start, *, admission: Admission | None = None
) -> None:
    """Capture into an open journal source until ``stop`` is set; what came last is then still to be committed.

    Raises:
        SettingsError: when a stream needs a route that has no address.
    """
    try:
        await _capture(writer, settings, stop, exchange, start, admission=admission or Admission())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


async def _capture(writer: Writer, settings: Settings, stop: asyncio.Event, exchange: Venue, start: Start, *, admission: Admission) -> None:
    intake = Intake(writer, exchange)
    committer = Committer(writer, intake, settings.fsync_ms / 1_000)
    rotate_at_s = None if settings.rotate_at is None else time_of_day_s(settings.rotate_at)
    policy = Policy(settings.reconnect_max_s, settings.stale_after_s, settings.connection_hours * 3_600, rotate_at_s)
    venue_clock = VenueClock(settings.rest_url, exchange, admission=admission)
    urls = {"market": settings.ws_market_url + "/stream", "public": settings.ws_public_url + "/stream"}

    async with asyncio.TaskGroup() as tasks:
        pool = Pool(urls, exchange, intake, policy, tasks=tasks, admission=admission)
        works = (*start(pool, intake), committer.run(), venue_clock.run(), tick(pool, intake, committer, venue_clock))
        endless = [tasks.create_task(work) for work in works]
        await stop.wait()
        for task in endless:
            task.cancel()
        await pool.close()
    intake.note(time.time_ns(), clock_line(pool, intake, committer, venue_clock.offset))
