"""The exchange's candlesticks by REST, so that charts are full before there are trades of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.errors import UsageError
from pipeline.jobs.venue_rest import VenueRest
from pipeline.model.coverage import Coverage
from pipeline.model.event import Kline
from pipeline.model.timeframe import Timeframe
from pipeline.store.klines import held_klines, save_klines
from pipeline.store.protocol import Warehouse

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Candlesticks that the venue has; of other timeframes there are only bars of our own."""

PAGE = 499
"""Candlesticks in one request. The venue takes up to 1,500, at three times the weight for each; small pages also show charts sooner."""

_WORKERS = 4

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What was fetched of one symbol and timeframe. ``missing`` is how many candlesticks were asked for."""

    symbol: str
    timeframe: str
    missing: int
    written: int
    first_ts: datetime | None
    last_ts: datetime | None


@dataclass(frozen=True, slots=True)
class _Page:
    """One request: bars ``first`` to ``last`` of one symbol and timeframe, by number (open time // length)."""

    symbol: str
    timeframe: Timeframe
    first: int
    last: int


def venue_timeframes(timeframes: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
    """Those that the venue has candlesticks of."""
    return tuple(timeframe for timeframe in timeframes if timeframe.name in INTERVALS)


def default_start(timeframe: Timeframe, end: datetime, *, hours: int, lookback: int) -> datetime:
    """How far back to go: ``hours``, or as far as a model looks back, at most three pages."""
    bars = max(hours * 3_600 // timeframe.seconds, min(lookback + 20, 3 * PAGE))
    return end - timedelta(seconds=bars * timeframe.seconds)


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
) -> list[Backfilled]:
    """Fetch the closed candlesticks that are missing, newest pages of all symbols first, and write each page as it comes.

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
        progress: called with pages done and pages in all.

    Returns:
        One row for each symbol and timeframe.

    Raises:
        UsageError: when the venue has no candlesticks of a timeframe, or the period is empty.
        VenueError: when the venue does not answer as needed; see :class:`VenueRest`.
    """
    unknown = [timeframe.name for timeframe in timeframes if timeframe.name not in INTERVALS]
    if unknown:
        msg = f"the venue has no candlesticks of {unknown[0]}; expected one of {', '.join(INTERVALS)}"
        raise UsageError(msg)
    now_ms = rest.server_time_ms()
    now = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=now_ms)
    until = min(end or now, now)
    pages: list[_Page] = []
    missing: dict[tuple[str, str], int] = {}
    for timeframe in timeframes:
        begin = start(timeframe, until)
        if begin >= until:
            msg = f"the period from {begin:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} is empty; give a start in the past, before the end"
            raise UsageError(msg)
        held = {} if refetch else held_klines(warehouse, list(symbols), timeframe, start=begin, end=until)
        for symbol in symbols:
            due = list(_pages(symbol, timeframe, held.get(symbol, Coverage()), (_ms(begin), _ms(until)), now_ms))
            missing[symbol, timeframe.name] = sum(page.last - page.first + 1 for page in due)
            pages += due
    # The newest page of every symbol before the second newest of any; short timeframes first, since charts open on them.
    age = {page: rank for rank, page in enumerate(sorted(pages, key=lambda page: -page.last * page.timeframe.seconds))}
    pages.sort(key=lambda page: ((until.timestamp() // page.timeframe.seconds - page.last) // PAGE, page.timeframe, age[page]))
    fetched = _fetch(warehouse, rest, pages, now_ms, progress)
    return [_told(key, missing[key], fetched.get(key, [])) for key in missing]


def _fetch(
    warehouse: Warehouse, rest: VenueRest, pages: list[_Page], now_ms: int, progress: Progress | None
) -> dict[tuple[str, str], list[datetime]]:
    """Get the pages, some at a time, and write each from this thread; returns the open times written."""
    written: dict[tuple[str, str], list[datetime]] = {}

    def page_of(page: _Page) -> tuple[_Page, list[Kline]]:
        ms = page.timeframe.ms
        count = page.last - page.first + 1
        return page, rest.klines(
            page.symbol, page.timeframe.name, start_ms=page.first * ms, end_ms=page.last * ms, limit=count, now_ms=now_ms
        )

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="backfill") as pool:
        futures = [pool.submit(page_of, page) for page in pages]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                page, klines = future.result()
                rows = _rows(page, klines)
                save_klines(warehouse, rows)
                written.setdefault((page.symbol, page.timeframe.name), []).extend(rows["ts"].to_list())
                if progress is not None:
                    progress(done, len(pages))
        finally:
            pool.shutdown(cancel_futures=True)
    return written


def _pages(symbol: str, timeframe: Timeframe, held: Coverage, period_ms: tuple[int, int], now_ms: int) -> Iterator[_Page]:
    """The missing bars as requests, newest first. A bar counts when it opens inside the period and has ended."""
    first = -(-period_ms[0] // timeframe.ms)
    last = min(-(-period_ms[1] // timeframe.ms), now_ms // timeframe.ms) - 1
    for low, high in reversed(held.missing(first, last) if last >= first else []):
        top = high
        while top >= low:
            bottom = max(low, top - PAGE + 1)
            yield _Page(symbol, timeframe, bottom, top)
            top = bottom - 1


def _rows(page: _Page, klines: Sequence[Kline]) -> pl.DataFrame:
    """Rows of the table ``klines``: closed ones of the page, each open time once."""
    once = {kline.open_time_ms: kline for kline in klines if kline.closed}
    kept = [once[time] for time in sorted(once) if page.first * page.timeframe.ms <= time <= page.last * page.timeframe.ms]
    amounts = {name: [getattr(kline, name) for kline in kept] for name in _AMOUNTS}
    return pl.DataFrame(
        {
            "symbol": [page.symbol] * len(kept),
            "timeframe": [page.timeframe.name] * len(kept),
            "ts": pl.Series([kline.open_time_ms * 1_000 for kline in kept], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            **{name: pl.Series(texts, dtype=pl.String) for name, texts in amounts.items()},
            "trades": pl.Series([kline.trades for kline in kept], dtype=pl.Int64),
            "closed": pl.Series([True] * len(kept), dtype=pl.Boolean),
            "fetched_at": pl.Series([datetime.now(UTC)] * len(kept), dtype=pl.Datetime("us", "UTC")),
        }
    )


def _told(key: tuple[str, str], missing: int, written: list[datetime]) -> Backfilled:
    return Backfilled(key[0], key[1], missing, len(written), min(written, default=None), max(written, default=None))


def _ms(time: datetime) -> int:
    return (time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


_AMOUNTS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
