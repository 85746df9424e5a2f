"""Candlesticks: which are due, newest days first, and how they come by REST."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from pipeline.jobs.backfill.order import CATCH_UP, PAGE, Backfilled, Meter, Order, Progress, default_start, from_ms, midnight, to_ms
from pipeline.jobs.backfill.saver import Saver, ahead
from pipeline.jobs.venue_rest import VenueRest
from pipeline.model.coverage import Coverage
from pipeline.model.event import Kline
from pipeline.model.timeframe import Timeframe
from pipeline.store.klines import held_klines
from pipeline.store.partitions import load_partitions
from pipeline.store.protocol import Warehouse

AMOUNTS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
"""Columns of exact amounts."""

Key = tuple[str, str]
"""Symbol and name of the timeframe."""


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

    with Saver(warehouse, meter, run=run) as saver:
        for part, rows in ahead(fetched, plan.parts):
            saver.take(plan.told[part.key], part.days, rows)


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
    amounts = {name: [getattr(kline, name) for kline in kept] for name in AMOUNTS}
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


def _day(bar: int, timeframe: Timeframe) -> date:
    return from_ms(bar * timeframe.ms).date()
