"""Aggregate trades of past days: from REST or the archive into the journal, and a day is whole when all of its ids have landed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import IO

import numpy as np
import polars as pl

from pipeline.errors import DataError
from pipeline.jobs.backfill.feed import TradeFeed
from pipeline.jobs.backfill.order import Backfilled, Meter, Order, file_spans, from_ms, midnight, month_of, to_ms
from pipeline.jobs.venue_archive import VenueArchive, line_blocks
from pipeline.jobs.venue_rest import VenueRest
from pipeline.model.coverage import Coverage
from pipeline.model.event import Trade
from pipeline.store.partitions import Made, load_partitions, put_partitions
from pipeline.store.protocol import Warehouse
from pipeline.store.trades import load_coverage, load_span
from pipeline.venues import venue
from pipeline.venues.binance import aggregate_trade_line
from pipeline.venues.binance_archive import ArchivedTrades, ArchiveFile, parse_trades, trade_file, trade_layout

_log = logging.getLogger(__name__)

ASSET = "trades"
STEPS = 24
"""Steps of progress in a day of trades."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_PAGE = 1_000
_TELLING = 1_000
"""Rows of a day from which on it is odd that the buyer was the maker in every one."""


@dataclass(frozen=True, slots=True)
class TradeDay:
    """The due part of one day of one symbol, from ``start_ms`` to before ``end_ms``."""

    symbol: str
    day: date
    start_ms: int
    end_ms: int

    @property
    def whole(self) -> bool:
        """Whether all of the day is asked for."""
        return self.end_ms - self.start_ms == _DAY_MS


@dataclass(slots=True)
class TradePlan:
    """What is due, newest days first, and what becomes of it."""

    days: list[TradeDay]
    told: dict[str, Backfilled] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Hours of work, for progress."""
        return STEPS * len(self.days)


@dataclass(slots=True)
class _Seen:
    """What the source has told about a day: first and last id, rows, and in how many of them the buyer was the maker."""

    first_id: int | None = None
    last_id: int | None = None
    rows: int = 0
    made_by_buyer: int = 0

    def saw(self, first_id: int, last_id: int) -> None:
        self.first_id = first_id if self.first_id is None else min(self.first_id, first_id)
        self.last_id = last_id if self.last_id is None else max(self.last_id, last_id)


def plan_trades(warehouse: Warehouse, order: Order, now: datetime) -> TradePlan:
    """The days of the period that are not whole yet; all of them with ``order.refetch``."""
    start, end = order.trades_from(), min(order.end, now)
    first = start.date()
    count = max(0, (end - midnight(first)) // timedelta(days=1) + 1)
    whole: set[tuple[str, date]] = set()
    if not order.refetch:
        ledger = load_partitions(warehouse, asset=ASSET, symbols=order.symbols, start=midnight(first))
        whole = set(ledger.filter(pl.col("complete")).select("symbol", "day").iter_rows())
    plan = TradePlan([], {symbol: Backfilled(symbol, "") for symbol in order.symbols})
    for day in (first + timedelta(days=number) for number in reversed(range(count))):
        for symbol in order.symbols:
            begins = midnight(day)
            due = TradeDay(symbol, day, to_ms(max(start, begins)), to_ms(min(end, begins + timedelta(days=1))))
            if due.start_ms < due.end_ms and (symbol, day) not in whole:
                plan.days.append(due)
                plan.told[symbol].missing += 1
    return plan


# ------------------------------------------------------------------------------------------------ from REST


def trades_by_rest(warehouse: Warehouse, rest: VenueRest, feed: TradeFeed, plan: TradePlan, meter: Meter, *, run: str) -> None:
    """Fetch the due days page by page, leaving out what has landed, and enter them into the ledger."""
    for due in plan.days:
        held = load_coverage(warehouse, due.symbol)
        seen = _Seen()
        steps = 0
        for at_ms, rows in _pages(rest, feed, due, held, seen):
            # Only whole hours count, and never the last one before all has landed.
            passed = min((at_ms - due.start_ms) * STEPS // (due.end_ms - due.start_ms), STEPS - 1)
            meter.did(max(0, passed - steps), rows)
            steps = max(steps, passed)
        feed.settle()
        _enter(warehouse, plan, due, seen, run=run)
        meter.did(STEPS - steps)


def _pages(rest: VenueRest, feed: TradeFeed, due: TradeDay, held: Coverage, seen: _Seen) -> Iterator[tuple[int, int]]:
    """Put the trades of the due time; yields how far (milliseconds) and how many rows with each page."""
    encode = venue().encode_trade
    at_ms = due.start_ms
    page: list[Trade] = []
    while not page and at_ms < due.end_ms:
        page = rest.agg_trades(due.symbol, start_ms=at_ms, end_ms=min(at_ms + _HOUR_MS, due.end_ms) - 1, limit=_PAGE)
        at_ms += _HOUR_MS
    while page:
        inside = [trade for trade in page if due.start_ms <= trade.event_time_ms < due.end_ms]
        if not inside:
            return
        seen.saw(min(trade.trade_id for trade in inside), max(trade.trade_id for trade in inside))
        fresh = [trade for trade in inside if trade.trade_id not in held]
        yield max(trade.event_time_ms for trade in inside), feed.put(map(encode, fresh))
        following = page[-1].trade_id + 1
        beyond = next((high + 1 for low, high in held if low <= following <= high), following)
        if beyond > following:
            seen.saw(following, beyond - 1)
        page = rest.agg_trades(due.symbol, from_id=beyond, limit=_PAGE)


# ------------------------------------------------------------------------------------------------ from the archive


def trades_by_archive(place: Files, plan: TradePlan, today: date) -> None:
    """Stream the files of the due days, monthly ones where a whole month is due; files hold whole days, so whole days land."""
    due: dict[str, set[date]] = {}
    for one in plan.days:
        due.setdefault(one.symbol, set()).add(one.day)
    work: list[tuple[date, int, str, bool]] = []
    for at, (symbol, days) in enumerate(due.items()):
        over = {day for day in days if day < today}
        if days - over:
            plan.told[symbol].notes.append(f"{len(days - over)} day not over yet, which only REST has")
            place.meter.did(STEPS * len(days - over))
        work += [(first, at, symbol, monthly) for first, monthly in file_spans(over, today)]
    for first, _, symbol, monthly in sorted(work, key=lambda item: (-item[0].toordinal(), item[1])):
        left = [first]
        if monthly:
            left = [] if place.land(plan, symbol, trade_file(symbol, first, monthly=True)) else month_of(first)[::-1]
        for day in left:
            if not place.land(plan, symbol, trade_file(symbol, day)):
                plan.told[symbol].notes.append(f"{day} is not in the archive")
                place.meter.did(STEPS)


@dataclass(frozen=True, slots=True)
class Files:
    """Files of the archive on their way into the tables."""

    warehouse: Warehouse
    archive: VenueArchive
    feed: TradeFeed
    meter: Meter
    run: str

    def land(self, plan: TradePlan, symbol: str, file: ArchiveFile) -> bool:
        """Land one file and enter its days into the ledger; False when there is no such file."""
        steps = 0
        try:
            with self.archive.opened(file) as content:
                if content is None:
                    return False
                reading = _Reading(file, symbol, load_coverage(self.warehouse, symbol))
                for found in _blocks(content):
                    rows = self.feed.put(reading.fresh_lines(found))
                    passed = min(int(reading.passed_days * STEPS), STEPS * file.days - 1)
                    self.meter.did(passed - steps, rows)
                    steps = passed
        except DataError as error:
            plan.failures.append(str(error) if file.name in str(error) else f"{file.name}: {error}")
            self.meter.did(STEPS * file.days - steps)
            return True
        self.feed.settle()
        told = plan.told[symbol]
        for day, seen in reversed(reading.days.items()):
            begins = to_ms(midnight(day))
            if seen.rows:
                _enter(self.warehouse, plan, TradeDay(symbol, day, begins, begins + _DAY_MS), seen, run=self.run, left_out=reading.zero_ids)
            else:
                told.notes.append(f"{file.name}: no trades on {day}")
        told.notes += reading.notes()
        self.meter.did(STEPS * file.days - steps)
        return True


def _blocks(content: IO[bytes]) -> Iterator[ArchivedTrades]:
    layout = None
    for block in line_blocks(content):
        rows = block
        if layout is None:
            first_line, _, rest = block.partition(b"\n")
            layout = trade_layout(first_line)
            rows = rest if layout.header else block
        yield parse_trades(rows, layout)


class _Reading:
    """One file while it is read.

    Attributes:
        days: what it told about each of its days.
        zero_ids: ids that are left out, because their quantity is zero.
        passed_days: how far it has come.
    """

    def __init__(self, file: ArchiveFile, symbol: str, held: Coverage) -> None:
        self._file = file
        self._symbol = symbol
        self._held = np.array(list(held), np.int64).reshape(-1, 2)
        self._start_ms = to_ms(midnight(file.first))
        self._duplicates = self._malformed = self._elsewhere = 0
        self.days = {file.first + timedelta(days=number): _Seen() for number in range(file.days)}
        self.zero_ids: set[int] = set()
        self.passed_days = 0.0

    def fresh_lines(self, found: ArchivedTrades) -> Iterator[bytes]:
        """Journal lines of the rows of the file's days that had not landed before."""
        rows = found.rows.with_columns(((pl.col("time_ms") - self._start_ms) // _DAY_MS).alias("day"))
        inside = rows.filter(pl.col("day") >= 0, pl.col("day") < self._file.days)
        self.zero_ids.update(found.zero_ids)
        self._duplicates += found.duplicates
        self._malformed += found.malformed
        self._elsewhere += rows.height - inside.height
        seen = list(self.days.values())
        ids = pl.col("trade_id")
        totals = inside.group_by("day").agg(ids.min().alias("low"), ids.max().alias("high"), pl.len(), pl.col("buyer_is_maker").sum())
        for number, low, high, count, by_maker in totals.iter_rows():
            seen[number].saw(low, high)
            seen[number].rows += count
            seen[number].made_by_buyer += by_maker
        for newest_ms in inside["time_ms"].tail(1):
            self.passed_days = max(self.passed_days, (newest_ms - self._start_ms) / _DAY_MS)
        fresh = inside.filter(pl.Series(self._uncovered(inside["trade_id"].to_numpy()), dtype=pl.Boolean))
        for trade_id, price, qty, first_id, last_id, time_ms, maker, _ in fresh.iter_rows():
            yield aggregate_trade_line(
                self._symbol, trade_id, price, qty, first_id=first_id, last_id=last_id, time_ms=time_ms, buyer_is_maker=maker
            )

    def notes(self) -> list[str]:
        """What was odd about the file."""
        odd = {
            "have no quantity and are left out": len(self.zero_ids),
            "are of an id that came before": self._duplicates,
            "cannot be read": self._malformed,
            "are of other days": self._elsewhere,
        }
        told = [f"{self._file.name}: {count} rows {words}" for words, count in odd.items() if count]
        rows = sum(seen.rows for seen in self.days.values())
        if rows >= _TELLING and rows == sum(seen.made_by_buyer for seen in self.days.values()):
            told.append(f"{self._file.name}: is_buyer_maker is true in every row, so the taker's side cannot be relied on")
            _log.warning("archive file tells one side only", extra={"file": self._file.path, "rows": rows})
        return told

    def _uncovered(self, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if not len(self._held):
            return np.ones(len(ids), np.bool_)
        at = np.searchsorted(self._held[:, 0], ids, side="right") - 1
        uncovered: np.ndarray[tuple[int], np.dtype[np.bool_]] = (at < 0) | (ids > self._held[np.maximum(at, 0), 1])
        return uncovered


# ------------------------------------------------------------------------------------------------ both


def _enter(warehouse: Warehouse, plan: TradePlan, due: TradeDay, seen: _Seen, *, run: str, left_out: Collection[int] = frozenset()) -> None:
    """Enter a day into the ledger, after its trades have landed: whole when no id between its first and its last is missing."""
    begins = midnight(due.day)
    span = load_span(warehouse, due.symbol, start=begins, end=begins + timedelta(days=1))
    missing = 0
    if seen.first_id is not None and seen.last_id is not None:
        holes = Coverage(load_coverage(warehouse, due.symbol).missing(seen.first_id, seen.last_id))
        missing = sum(high - low + 1 for low, high in holes) - sum(left in holes for left in left_out)
    complete = due.whole and missing == 0
    told_of = plan.told[due.symbol]
    if missing:
        told_of.notes.append(f"{due.day}: {missing} ids are missing")
    made = Made(
        ASSET,
        f"{due.symbol}/{due.day}",
        complete,
        span.rows,
        span.fingerprint,
        symbol=due.symbol,
        day=due.day,
        first_ts=span.first_ts,
        last_ts=span.last_ts,
    )
    put_partitions(warehouse, [made], run=run)
    told_of.days += complete
    told_of.wrote(0, max(span.first_ts or from_ms(due.start_ms), from_ms(due.start_ms)) if span.rows else None, span.last_ts)


def landed_rows(warehouse: Warehouse, plan: TradePlan) -> dict[str, int]:
    """Trades that are there of each symbol in the due days, to tell what a run added."""
    found = dict.fromkeys(plan.told, 0)
    for due in plan.days:
        begins = midnight(due.day)
        found[due.symbol] += load_span(warehouse, due.symbol, start=begins, end=begins + timedelta(days=1)).rows
    return found
