"""Candlesticks: which are due, fetched from REST or the archive, newest days first, and written with the ledger of their days."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Self, TypeVar

import polars as pl

from pipeline.errors import DataError
from pipeline.jobs.backfill.order import (
    CATCH_UP,
    PAGE,
    Backfilled,
    Meter,
    Order,
    Progress,
    default_start,
    file_spans,
    from_ms,
    midnight,
    month_of,
    to_ms,
)
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.jobs.venue_rest import VenueRest
from pipeline.model.coverage import Coverage
from pipeline.model.event import Kline
from pipeline.model.timeframe import Timeframe
from pipeline.store.klines import held_klines, save_klines
from pipeline.store.partitions import load_partitions
from pipeline.store.protocol import Warehouse
from pipeline.venues.binance_archive import kline_file, parse_klines

_WORKERS = 4
_ROWS_TOGETHER = 10_000
_TOGETHER_S = 1.0
_AMOUNTS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")

Key = tuple[str, str]
"""Symbol and name of the timeframe."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Part:
    """Bars ``first`` to ``last`` of one symbol and timeframe, by number (open time // length): a day, or days in one request."""

    symbol: str
    timeframe: Timeframe
    first: int
    last: int

    @property
    def key(self) -> Key:
        """Whose part it is."""
        return self.symbol, self.timeframe.name

    @property
    def newest(self) -> date:
        """The day of its last bar."""
        return _day(self.last, self.timeframe)

    @property
    def days(self) -> int:
        """How many days it touches."""
        return (self.newest - _day(self.first, self.timeframe)).days + 1


@dataclass(slots=True)
class KlinePlan:
    """What is due, the most wanted first, and what becomes of it."""

    parts: list[Part]
    told: dict[Key, Backfilled] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Days of work, for progress."""
        return sum(part.days for part in self.parts)


def plan_klines(
    warehouse: Warehouse, order: Order, now_ms: int, *, begin: Callable[[Timeframe, datetime], datetime] | None = None
) -> KlinePlan:
    """The candlesticks that are missing and closed by ``now_ms``; all of the period with ``order.refetch``.

    Days come newest first; within a day short timeframes first, since charts open on them, in the order of the symbols.
    """
    until = min(order.end, from_ms(now_ms))
    plan = KlinePlan([])
    for timeframe in order.timeframes:
        given = begin(timeframe, until) if begin is not None else order.start
        start = given or default_start(timeframe, until, hours=order.hours, lookback=order.lookback)
        reach = start if given else min(start, until - CATCH_UP)
        held = held_klines(warehouse, list(order.symbols), timeframe, start=reach, end=max(until, reach))
        for symbol in order.symbols:
            have = held.get(symbol, Coverage())
            first = -(-to_ms(start) // timeframe.ms)
            if given is None:
                # What lies between the first candlestick of the past weeks and now belongs together, however long nobody ran.
                first = min(first, next((low for low, _ in have), first))
            last = min(-(-to_ms(until) // timeframe.ms), now_ms // timeframe.ms) - 1
            wanted = Coverage() if order.refetch else have
            holes = wanted.missing(first, last) if last >= first else []
            plan.told[symbol, timeframe.name] = Backfilled(symbol, timeframe.name, sum(high - low + 1 for low, high in holes))
            plan.parts += _parts(symbol, timeframe, holes)
    rank = {symbol: at for at, symbol in enumerate(order.symbols)}
    plan.parts.sort(key=lambda part: (-part.newest.toordinal(), part.timeframe, rank[part.symbol], -part.last))
    return plan


def _parts(symbol: str, timeframe: Timeframe, holes: Iterable[tuple[int, int]]) -> Iterator[Part]:
    """The holes by day, newest first; days that fit into one request together. Bars between two holes of a part are fetched again."""
    bars = 86_400 // timeframe.seconds
    days: dict[int, tuple[int, int]] = {}
    for low, high in holes:
        for day in range(low // bars, high // bars + 1):
            first, last = max(low, day * bars), min(high, (day + 1) * bars - 1)
            days[day] = (min(first, days.get(day, (first, last))[0]), last)
    part: tuple[int, int] | None = None
    for day in sorted(days, reverse=True):
        first, last = days[day]
        if part is not None and part[0] // bars - day <= 1 and part[1] - first < PAGE:
            part = (first, part[1])
        else:
            if part is not None:
                yield Part(symbol, timeframe, *part)
            part = (first, last)
    if part is not None:
        yield Part(symbol, timeframe, *part)


# ------------------------------------------------------------------------------------------------ from REST


def fetch_rest(warehouse: Warehouse, rest: VenueRest, plan: KlinePlan, now_ms: int, meter: Meter, *, run: str) -> None:
    """Get the parts, some at a time, and write them in the order of the plan, each day in one transaction."""

    def fetched(part: Part) -> tuple[Part, pl.DataFrame]:
        ms = part.timeframe.ms
        klines: list[Kline] = []
        for first in range(part.first, part.last + 1, PAGE):
            last = min(first + PAGE - 1, part.last)
            klines += rest.klines(
                part.symbol, part.timeframe.name, start_ms=first * ms, end_ms=last * ms, limit=last - first + 1, now_ms=now_ms
            )
        return part, _rows(part, klines)

    with _Saver(warehouse, plan, meter, run=run) as saver:
        for part, rows in _ahead(fetched, plan.parts):
            saver.take(part, rows)


class _Saver:
    """Writes several parts in one transaction, for a transaction costs more than a day of rows."""

    def __init__(self, warehouse: Warehouse, plan: KlinePlan, meter: Meter, *, run: str) -> None:
        self._warehouse = warehouse
        self._plan = plan
        self._meter = meter
        self._run = run
        self._waiting: list[tuple[Part, pl.DataFrame]] = []
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        # What was fetched before a failure is kept: the next run need not fetch it again.
        if kind is None or issubclass(kind, Exception):
            self.save()

    def take(self, part: Part, rows: pl.DataFrame) -> None:
        """Write these rows soon."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((part, rows))
        if sum(rows.height for _, rows in self._waiting) >= _ROWS_TOGETHER or time.monotonic() - self._since >= _TOGETHER_S:
            self.save()

    def save(self) -> None:
        """Write what waits."""
        if self._waiting:
            save_klines(self._warehouse, pl.concat([rows for _, rows in self._waiting]), run=self._run)
        for part, rows in self._waiting:
            _tell(self._plan.told[part.key], rows)
            self._meter.did(part.days, rows.height)
        self._waiting = []


# ------------------------------------------------------------------------------------------------ from the archive


def fetch_archive(warehouse: Warehouse, archive: VenueArchive, plan: KlinePlan, today: date, meter: Meter, *, run: str) -> None:
    """Write every due day that the archive has, from monthly files where a whole month is due."""
    files = _Files(warehouse, archive, plan, meter, run)
    work: list[tuple[date, int, _Due, bool]] = []
    for at, due in enumerate(_due(plan)):
        over = {day for day in due.days if day < today}
        if due.days - over:
            plan.told[due.key].notes.append(f"{len(due.days - over)} day not over yet, which only REST has")
            meter.did(len(due.days - over))
        work += [(first, at, due, monthly) for first, monthly in file_spans(over, today)]
    for first, _, due, monthly in sorted(work, key=lambda item: (-item[0].toordinal(), item[1])):
        left = [first]
        if monthly:
            left = [] if files.take(due, first, monthly=True) else month_of(first)[::-1]
        for day in left:
            if not files.take(due, day):
                plan.told[due.key].notes.append(f"{day} is not in the archive")
                meter.did(1)


@dataclass(frozen=True, slots=True)
class _Due:
    """The due days of one symbol and timeframe."""

    key: Key
    timeframe: Timeframe
    days: set[date]


def _due(plan: KlinePlan) -> list[_Due]:
    found: dict[Key, _Due] = {}
    for part in plan.parts:
        one = found.setdefault(part.key, _Due(part.key, part.timeframe, set()))
        one.days.update(part.newest - timedelta(days=back) for back in range(part.days))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Files:
    """Files of the archive on their way into the table."""

    warehouse: Warehouse
    archive: VenueArchive
    plan: KlinePlan
    meter: Meter
    run: str

    def take(self, due: _Due, day: date, *, monthly: bool = False) -> bool:
        """Write one file's rows; False when there is no such file."""
        file = kline_file(*due.key, day, monthly=monthly)
        steps = sum(file.first <= one < file.first + timedelta(days=file.days) for one in due.days)
        try:
            with self.archive.opened(file) as content:
                if content is None:
                    return False
                found = parse_klines(content.read())
        except DataError as error:
            self.plan.failures.append(str(error) if file.name in str(error) else f"{file.name}: {error}")
            self.meter.did(steps)
            return True
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
        told = self.plan.told[due.key]
        told.notes += [f"{file.name}: {count} {words}" for words, count in odd.items() if count > 0]
        rows = inside.select(
            pl.lit(due.key[0]).alias("symbol"),
            pl.lit(due.key[1]).alias("timeframe"),
            (pl.col("open_time_ms") * 1_000).cast(pl.Datetime("us", "UTC")).alias("ts"),
            *_AMOUNTS,
            "trades",
            pl.lit(value=True).alias("closed"),
            pl.lit(datetime.now(UTC), dtype=pl.Datetime("us", "UTC")).alias("fetched_at"),
        )
        save_klines(self.warehouse, rows, run=self.run)
        _tell(told, rows)
        self.meter.did(steps, rows.height)
        return True


# ------------------------------------------------------------------------------------------------ both


def count_whole_days(warehouse: Warehouse, plan: KlinePlan) -> None:
    """Say of how many due days all candlesticks are there now."""
    if not plan.parts:
        return
    first = min(_day(part.first, part.timeframe) for part in plan.parts)
    last = max(part.newest for part in plan.parts) + timedelta(days=1)
    ledger = load_partitions(warehouse, asset="klines", start=midnight(first), end=midnight(last)).filter(pl.col("complete"))
    whole = set(ledger.select("symbol", "timeframe", "day").iter_rows())
    for part in plan.parts:
        days = (part.newest - timedelta(days=back) for back in range(part.days))
        plan.told[part.key].days += sum((*part.key, day) in whole for day in days)


def backfill_klines(
    warehouse: Warehouse,
    rest: VenueRest,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe],
    *,
    start: Callable[[Timeframe, datetime], datetime],
    end: datetime | None = None,
    refetch: bool = False,
    progress: Progress | None = None,
    run: str = "backfill",
) -> list[Backfilled]:
    """Fetch by REST the closed candlesticks that are missing, and write each day as it comes.

    The candlestick that is still open is never written. What was written stays when a run is stopped, and the next one
    fetches the rest.

    Args:
        warehouse: where they go.
        rest: the venue.
        symbols: of the venue.
        timeframes: of the venue's.
        start: first open time for a timeframe, given the end.
        end: candlesticks open before it; the venue's now when None.
        refetch: also fetch what is there already, in its place.
        progress: called with days done, days in all, and rows written.
        run: who fetches, for the ledger.

    Returns:
        One row for each symbol and timeframe.

    Raises:
        UsageError: when the venue has no candlesticks of a timeframe, or the period is empty.
        VenueError: when the venue does not answer as needed; see :class:`VenueRest`.
    """
    now_ms = rest.server_time_ms()
    until = min(end or from_ms(now_ms), from_ms(now_ms))
    for timeframe in timeframes:
        Order(tuple(symbols), (timeframe,), until, start=start(timeframe, until))  # refuses what cannot be asked for
    order = Order(tuple(symbols), tuple(timeframes), until, refetch=refetch)
    plan = plan_klines(warehouse, order, now_ms, begin=start)
    meter = Meter(progress)
    meter.expect(plan.steps)
    fetch_rest(warehouse, rest, plan, now_ms, meter, run=run)
    count_whole_days(warehouse, plan)
    return list(plan.told.values())


def _rows(part: Part, klines: Sequence[Kline]) -> pl.DataFrame:
    """Rows of the table ``klines``: closed ones of the part, each open time once."""
    once = {kline.open_time_ms: kline for kline in klines if kline.closed}
    kept = [once[time] for time in sorted(once) if part.first * part.timeframe.ms <= time <= part.last * part.timeframe.ms]
    amounts = {name: [getattr(kline, name) for kline in kept] for name in _AMOUNTS}
    return pl.DataFrame(
        {
            "symbol": [part.symbol] * len(kept),
            "timeframe": [part.timeframe.name] * len(kept),
            "ts": pl.Series([kline.open_time_ms * 1_000 for kline in kept], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            **{name: pl.Series(texts, dtype=pl.String) for name, texts in amounts.items()},
            "trades": pl.Series([kline.trades for kline in kept], dtype=pl.Int64),
            "closed": pl.Series([True] * len(kept), dtype=pl.Boolean),
            "fetched_at": pl.Series([datetime.now(UTC)] * len(kept), dtype=pl.Datetime("us", "UTC")),
        },
        schema_overrides={"symbol": pl.String, "timeframe": pl.String},
    )


def _tell(told: Backfilled, rows: pl.DataFrame) -> None:
    times = rows["ts"]
    told.wrote(rows.height, times.min(), times.max())  # type: ignore[arg-type]  # of a column of times


def _ahead(work: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """``map`` over threads, in order, at most twice as many results waiting as there are threads."""
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="backfill")
    try:
        left = iter(items)
        running: deque[Future[B]] = deque(pool.submit(work, item) for item in itertools.islice(left, 2 * _WORKERS))
        while running:
            done = running.popleft().result()
            running.extend(pool.submit(work, item) for item in itertools.islice(left, 1))
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def _day(bar: int, timeframe: Timeframe) -> date:
    return from_ms(bar * timeframe.ms).date()
