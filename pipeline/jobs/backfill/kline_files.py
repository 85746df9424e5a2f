"""Candlesticks out of archive files: monthly ones where a whole month is due, daily ones otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from pipeline.errors import DataError
from pipeline.jobs.backfill.klines import AMOUNTS, Key, KlinePlan
from pipeline.jobs.backfill.order import Meter, file_spans, midnight, month_of, to_ms
from pipeline.jobs.backfill.saver import Saver, ahead
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse
from pipeline.venues.binance_archive import ArchivedKlines, ArchiveFile, kline_file, parse_klines


@dataclass(frozen=True, slots=True)
class _Due:
    """The due days of one symbol and timeframe."""

    key: Key
    timeframe: Timeframe
    days: set[date]

    def steps(self, file: ArchiveFile) -> int:
        """How many of them are in a file."""
        return sum(file.first <= day < file.first + timedelta(days=file.days) for day in self.days)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """One file: its rows, or why there are none (None: the archive does not have it)."""

    due: _Due
    file: ArchiveFile
    found: ArchivedKlines | DataError | None


def fetch_archive(warehouse: Warehouse, archive: VenueArchive, plan: KlinePlan, today: date, meter: Meter, *, run: str) -> None:
    """Write every due day that the archive has; days from ``today`` on are not over, and left to REST."""
    work: list[tuple[date, int, _Due, bool]] = []
    for at, due in enumerate(_due(plan)):
        over = {day for day in due.days if day < today}
        if due.days - over:
            plan.told[due.key].notes.append(f"{len(due.days - over)} day not over yet, which only REST has")
            meter.did(len(due.days - over))
        work += [(first, at, due, monthly) for first, monthly in file_spans(over, today)]
    work.sort(key=lambda item: (-item[0].toordinal(), item[1]))

    def fetched(item: tuple[date, int, _Due, bool]) -> list[_Fetched]:
        first, _, due, monthly = item
        if not monthly:
            return [_fetched(archive, due, first)]
        month = _fetched(archive, due, first, monthly=True)
        return [month] if month.found is not None else [_fetched(archive, due, day) for day in month_of(first)[::-1]]

    with Saver(warehouse, meter, run=run) as saver:
        for files in ahead(fetched, work):
            for one in files:
                _take(one, plan, saver, meter)


def _due(plan: KlinePlan) -> list[_Due]:
    found: dict[Key, _Due] = {}
    for part in plan.parts:
        one = found.setdefault(part.key, _Due(part.key, part.timeframe, set()))
        one.days.update(part.newest - timedelta(days=back) for back in range(part.days))
    return list(found.values())


def _fetched(archive: VenueArchive, due: _Due, day: date, *, monthly: bool = False) -> _Fetched:
    file = kline_file(*due.key, day, monthly=monthly)
    try:
        with archive.opened(file) as content:
            return _Fetched(due, file, None if content is None else parse_klines(content.read()))
    except DataError as error:
        return _Fetched(due, file, error)


def _take(one: _Fetched, plan: KlinePlan, saver: Saver, meter: Meter) -> None:
    """Have one file's rows written, and note what is odd about it."""
    due, file, found = one.due, one.file, one.found
    told = plan.told[due.key]
    steps = due.steps(file)
    if found is None:
        told.notes.append(f"{file.first} is not in the archive")
        meter.did(steps)
        return
    if isinstance(found, DataError):
        plan.failures.append(str(found) if file.name in str(found) else f"{file.name}: {found}")
        meter.did(steps)
        return
    first_ms = to_ms(midnight(file.first))
    inside = found.rows.filter(
        pl.col("open_time_ms") >= first_ms,
        pl.col("open_time_ms") < first_ms + file.days * 86_400_000,
        pl.col("open_time_ms") % due.timeframe.ms == 0,
    )
    odd = {
        "open times come twice": found.duplicates,
        "rows cannot be read": found.malformed,
        "rows are of other times": found.rows.height - inside.height,
        "candlesticks are not in it": file.days * 86_400 // due.timeframe.seconds - inside.height,
    }
    told.notes += [f"{file.name}: {count} {words}" for words, count in odd.items() if count > 0]
    rows = inside.select(
        pl.lit(due.key[0]).alias("symbol"),
        pl.lit(due.key[1]).alias("timeframe"),
        (pl.col("open_time_ms") * 1_000).cast(pl.Datetime("us", "UTC")).alias("ts"),
        *AMOUNTS,
        "trades",
        pl.lit(value=True).alias("closed"),
        pl.lit(datetime.now(UTC), dtype=pl.Datetime("us", "UTC")).alias("fetched_at"),
    )
    saver.take(told, steps, rows)
