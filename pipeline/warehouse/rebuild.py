"""A profile's tables anew, out of archive and journal, by the code that landed them in the first place.

Ticks, quotes and bars of every timeframe are made again. What flows and people made (fits, activations, signals, alert rules
and their history, universe, candlesticks, liquidity, reports, ledgers) is kept. The result equals the original but for the
column ``revision`` of bars and the file layout. It is made in a new file that takes the old one's place at the very end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.jobs.backup import copied
from pipeline.jobs.resample import resample
from pipeline.journal import START, Position, open_journal
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store.counts import load_totals
from pipeline.store.landing import LandingStore
from pipeline.store.rebuilding import RebuildStore
from pipeline.venues import venue
from pipeline.warehouse.landing import Lander

Progress = Callable[[str, int], None]
"""Called with what is being done and how many lines (or files, or bars) of it are."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to: files of the archive that were checked, lines that were landed again, trades and quotes in the end."""

    files: int
    lines: int
    ticks: int
    quotes: int


def rebuild(profile: Profile, settings: Settings, progress: Progress) -> Rebuilt:
    """Make the tables of a profile that does not run again.

    Raises:
        WarehouseBusy: when somebody holds the database.
        StoreError: when archive and journal do not cover the history, or a file of the archive is damaged; nothing has changed.
    """
    with copied(profile, served=False) as copy:
        database = copy / profile.database.name
        store = RebuildStore(database, profile.database, profile.archive)
        try:
            files = store.check_archive()
            progress("files of the archive checked", files)
            store.clear()
            lines = _land(profile, settings, store, progress)
            _require_all(profile, store)
            store.finish()
            bars = resample(store.warehouse, settings.parsed_timeframes, run="cli:rebuild")
            progress("bars made", sum(row.bars for row in bars))
            totals = load_totals(store.warehouse)
        except BaseException:
            store.abandon()
            raise
        store.close()
        _swap(database, profile.database)
    return Rebuilt(files, lines, totals.ticks, totals.quotes)


def _land(profile: Profile, settings: Settings, store: RebuildStore, progress: Progress) -> int:
    """Land what the journal has, as far as it had been landed."""
    landing = LandingStore(store.connection, profile.archive)
    lander = Lander(
        landing,
        profile,
        venue(),
        lateness_ms=settings.lateness_ms,
        halt_after_s=settings.halt_after_s,
        silent_after_s=settings.stale_after_s,
    )
    lines = 0
    targets = store.targets()
    journal = open_journal(profile, settings)
    for source in journal.sources():
        if source not in targets:
            continue
        end = Position(*targets[source])
        position = START
        with journal.reader(source) as reader:
            while position < end:
                block, after = reader.read(position, settings.batch_max_lines)
                if after.seq == end.seq and after.offset > end.offset:
                    block = block[: len(block) - (after.offset - end.offset)]
                    after = end
                if not block or after > end:
                    break
                with landing.transaction():
                    lander.land(source, venue().decode_batch(block), after, time.time_ns() // 1_000)
                lines += block.count(b"\n")
                position = after
                progress("lines landed", lines)
    return lines


def _require_all(profile: Profile, store: RebuildStore) -> None:
    missing = store.shortfall()
    if missing:
        msg = (
            f"archive and journal do not cover the history of profile {profile.name!r}: {missing.trades} trades and "
            f"{missing.quotes} quotes are in neither; nothing was changed, restore a backup instead"
        )
        raise StoreError(msg)


def _swap(new: Path, old: Path) -> None:
    """The new file in the place of the old one, in one step."""
    log = old.with_name(old.name + ".wal")
    if log.exists() and log.stat().st_size:
        msg = f"{old} has been written meanwhile; nothing was changed, rebuild again"
        raise StoreError(msg)
    new.replace(old)
    handle = os.open(old.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
