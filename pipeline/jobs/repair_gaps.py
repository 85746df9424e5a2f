"""Trades that we missed, asked for again: into the journal, landed like all others, and a verdict on what nobody can bring back.

A run changes nothing by itself: it appends to the journal source ``repair``, and the warehouse lands that. So a run that is
killed has landed some of what was missing, and the next one asks for the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.errors import BadRequest, MalformedMessage, WarehouseBusy
from pipeline.jobs.backfill import backfill_klines, venue_timeframes
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import Writer
from pipeline.journal.interface import Journal
from pipeline.model.coverage import Coverage
from pipeline.model.event import Trade, TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.store.gaps import Hole, gap_states, load_coverage, load_holes
from pipeline.store.protocol import Warehouse
from pipeline.venues import venue

SOURCE = "repair"
"""The journal source of refilled trades and of verdicts."""
KEPT = timedelta(hours=48)
"""How far back the venue tells trades."""
_EDGE = timedelta(minutes=5)
SETTLED = timedelta(minutes=10)
"""Age at which ids that the venue does not have are taken as never given: its REST interface may be behind its streams."""
_PAGE = 1_000
_WINDOW_MS = 3_600_000 - 1
_LONGEST_WAIT = Timeframe.parse("1h")

OPEN, REFILLED, HALT, UNRECOVERABLE = "open", "refilled", "halt", "unrecoverable"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of one hole.

    Attributes:
        symbol: whose.
        first: first id that was missing when the gap was found.
        last: last one.
        missing: ids that were missing when the run began.
        fetched: trades of them that the venue told.
        left: ids that are missing now.
        state: refilled, open (the next run goes on), halt (the venue has no such trades) or unrecoverable.
        note: why, unless it is refilled.
    """

    symbol: str
    first: int
    last: int
    missing: int
    fetched: int
    left: int
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repair works.

    Attributes:
        warehouse: whose gaps.
        journal: of the same profile.
        rest: the venue.
        trade_stream: which kind of ids the profile has.
        timeframes: of the profile, for bars of what is lost.
        landed: returns when every durable line of the source ``repair`` has been landed.
        klines_turn: the right to write candlesticks, which is the flow backfill's otherwise.
    """

    warehouse: Warehouse
    journal: Journal
    rest: VenueRest
    trade_stream: TradeKind
    timeframes: tuple[Timeframe, ...]
    landed: Callable[[], object]
    klines_turn: Callable[[], AbstractContextManager[None]]


@dataclass(slots=True)
class _Asked:
    """A hole, and what the venue said about it."""

    hole: Hole
    fetched: int = 0
    absent: Coverage = field(default_factory=Coverage)
    lost: Coverage = field(default_factory=Coverage)
    note: str = ""
    why_lost: str = ""


def repair_gaps(
    place: Place,
    *,
    symbols: Sequence[str] | None = None,
    uploaded: Sequence[str] = (),
    most_requests: int = 150,
    settled_after: timedelta = SETTLED,
    progress: Progress | None = None,
) -> list[Repaired]:
    """Refill what is missing as far as the venue can tell it, and settle what it cannot.

    Smallest holes first. One that needs more requests than a run may make is refilled in several.

    Args:
        place: where.
        symbols: whose gaps; everybody's when None.
        uploaded: symbols of which the venue knows nothing.
        most_requests: most requests of trades in this run.
        settled_after: age at which ids that the venue does not have are taken as never given.
        progress: called with ids asked for and ids missing in all.

    Returns:
        One row for each hole.

    Raises:
        VenueUnavailable, RateLimited: when the venue does not answer; what had come is in the journal, the gaps stay open.
        RegionBlocked: when it never will from here.
        WarehouseUnavailable: when nothing is landed.
    """
    # What a run before had written must be known first, or it would be asked for twice.
    place.landed()
    holes = [hole for hole in load_holes(place.warehouse) if hole.symbol not in uploaded and (symbols is None or hole.symbol in symbols)]
    if not holes:
        return []
    run = _Run(place, holes, most_requests, settled_after, progress)
    try:
        asked = [run.ask(hole) for hole in holes]
        if run.wrote:
            place.landed()
        coverage = load_coverage(place.warehouse)
        settled = [run.settle(one, coverage) for one in asked]
        if any(settled):
            place.landed()
    finally:
        run.close()
    states = gap_states(place.warehouse, [hole.gap_id for hole in holes if hole.gap_id])
    coverage = load_coverage(place.warehouse)
    return [_told(one, states, coverage) for one in asked]


class _Run:
    """One run: its writer, its requests, and the venue's time at its start."""

    def __init__(
        self, place: Place, holes: Sequence[Hole], most_requests: int, settled_after: timedelta, progress: Progress | None
    ) -> None:
        self._place = place
        self._left = most_requests
        self._settled_after = settled_after
        self._progress = progress
        self._asked, self._all = 0, sum(hole.count for hole in holes)
        self._writer: Writer | None = None
        self._now = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=place.rest.server_time_ms())

    @property
    def wrote(self) -> bool:
        """Whether anything was appended to the journal."""
        return self._writer is not None

    def close(self) -> None:
        """Make durable what was appended, and let others write."""
        if self._writer is not None:
            self._writer.close()

    # ------------------------------------------------------------------ trades

    def ask(self, hole: Hole) -> _Asked:
        """Fetch what is missing in a hole; each answer is durable before the next is asked for."""
        asked = _Asked(hole)
        try:
            first = self._first_told(asked)
            for low, high in hole.missing:
                if first is None or high < first:
                    asked.lost.add(low, high)
                    continue
                if low < first:
                    asked.lost.add(low, first - 1)
                self._fetch(asked, max(low, first), high)
        except (BadRequest, MalformedMessage) as error:
            # The other holes can be refilled nevertheless.
            asked.note = str(error)
        return asked

    def _first_told(self, asked: _Asked) -> int | None:
        """The first id that the venue still tells, when some of the hole is older; 0 when none is, None when all of it is."""
        hole = asked.hole
        if self._place.trade_stream is TradeKind.RAW:
            asked.why_lost = "raw trades cannot be asked for again over REST without a key"
            return None
        edge = self._now - KEPT + _EDGE
        if hole.from_time >= edge:
            return 0
        asked.why_lost = "older than the 48 h of trades that the venue tells"
        start_ms, end_ms = _ms(edge), _ms(hole.to_time)
        while start_ms <= end_ms:
            self._left -= 1
            found = self._place.rest.agg_trades(hole.symbol, start_ms=start_ms, end_ms=min(start_ms + _WINDOW_MS, end_ms), limit=1)
            if found:
                return found[0].trade_id
            start_ms += _WINDOW_MS + 1
        return None

    def _fetch(self, asked: _Asked, low: int, high: int) -> None:
        at = low
        while at <= high and not asked.note:
            if self._left <= 0:
                asked.note = "more than one run may ask for: the next one goes on"
                return
            self._left -= 1
            # One more than is missing: only the trade behind the hole proves that the venue has none in it.
            answer = self._place.rest.agg_trades(asked.hole.symbol, from_id=at, limit=min(_PAGE, high - at + 2))
            known = {trade.trade_id: trade for trade in answer if trade.trade_id >= at}
            if not known:
                asked.note = f"the venue tells nothing from id {at} on yet"
                return
            told_until = min(max(known), high)
            wanted = [known[trade_id] for trade_id in sorted(known) if trade_id <= high]
            self._append(wanted)
            asked.fetched += len(wanted)
            here = Coverage((trade.trade_id, trade.trade_id) for trade in wanted)
            for first, last in here.missing(at, told_until):
                asked.absent.add(first, last)
            self._asked += told_until - at + 1
            if self._progress is not None:
                self._progress(self._asked, self._all)
            at = told_until + 1

    def _append(self, trades: Sequence[Trade]) -> None:
        writer = self._open()
        encode = venue().encode_trade
        for trade in trades:
            writer.append(trade.recv_ns, encode(trade))
        writer.commit()

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = self._place.journal.writer(SOURCE)
        return self._writer

    # ------------------------------------------------------------------ verdicts

    def settle(self, asked: _Asked, coverage: dict[str, Coverage]) -> bool:
        """Journal a verdict on what is left, when there is one; whether there was."""
        hole = asked.hole
        left = _left(hole, coverage)
        if not left or asked.note:
            return False
        if any(asked.lost.missing(low, high) != [(low, high)] for low, high in left):
            return self._give_up(asked, left)
        if all(not asked.absent.missing(low, high) for low, high in left):
            if self._now - hole.to_time < self._settled_after:
                asked.note = "the venue does not have these ids; asked again later, before it is believed"
                return False
            asked.note = f"the venue goes from id {left[0][0] - 1} to {left[-1][1] + 1}: it has no trades under the ids between"
            return self._verdict(hole, HALT, asked.note)
        asked.note = "not landed yet"
        return False

    def _give_up(self, asked: _Asked, left: Sequence[tuple[int, int]]) -> bool:
        """The trades are lost; their bars are not, once the exchange's candlesticks of that time are closed."""
        hole = asked.hole
        frames = venue_timeframes(self._place.timeframes)
        waits = [frame for frame in frames if frame <= _LONGEST_WAIT]
        closes = max((_bucket(hole.to_time, frame) + _length(frame) for frame in waits), default=hole.to_time)
        if self._now < closes:
            asked.note = f"{asked.why_lost}; the candlesticks of that time close at {closes:%H:%M:%S} UTC"
            return False
        written = 0
        try:
            with self._place.klines_turn():
                for frame in frames:
                    start, end = _bucket(hole.from_time, frame), _bucket(hole.to_time, frame) + _length(frame)
                    if start < self._now:
                        written += self._klines(hole.symbol, frame, start, end)
        except WarehouseBusy as error:
            asked.note = f"{asked.why_lost}; bars wait for their turn: {error}"
            return False
        lost = sum(high - low + 1 for low, high in left)
        refilled = hole.last - hole.first + 1 - lost
        asked.note = (
            f"{asked.why_lost}: {lost} ids are lost, {refilled} refilled; "
            f"bars of that time are the exchange's candlesticks ({written} fetched now)"
        )
        return self._verdict(hole, UNRECOVERABLE, asked.note)

    def _klines(self, symbol: str, frame: Timeframe, start: datetime, end: datetime) -> int:
        def begin(_frame: Timeframe, _end: datetime) -> datetime:
            return start

        found = backfill_klines(self._place.warehouse, self._place.rest, [symbol], [frame], start=begin, end=end)
        return sum(row.written for row in found)

    def _verdict(self, hole: Hole, state: str, detail: str) -> bool:
        if hole.gap_id is None:
            return False
        writer = self._open()
        writer.append(time.time_ns(), gap_line(hole.gap_id, state, detail))
        writer.commit()
        return True


def gap_line(gap_id: str, state: str, detail: str) -> bytes:
    """The journal line that settles a gap."""
    return json.dumps({"e": "sw.gap", "gap_id": gap_id, "state": state, "detail": detail}, separators=(",", ":")).encode()


def _told(asked: _Asked, states: dict[str, str], coverage: dict[str, Coverage]) -> Repaired:
    hole = asked.hole
    left = sum(high - low + 1 for low, high in _left(hole, coverage))
    state = states.get(hole.gap_id, OPEN) if hole.gap_id else (OPEN if left else REFILLED)
    note = "" if state == REFILLED else asked.note
    return Repaired(hole.symbol, hole.first, hole.last, hole.count, asked.fetched, left, state, note)


def _left(hole: Hole, coverage: dict[str, Coverage]) -> list[tuple[int, int]]:
    landed = coverage.get(hole.symbol, Coverage())
    return [interval for low, high in hole.missing for interval in landed.missing(low, high)]


def _bucket(when: datetime, frame: Timeframe) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=_ms(when) // frame.ms * frame.ms)


def _length(frame: Timeframe) -> timedelta:
    return timedelta(seconds=frame.seconds)


def _ms(when: datetime) -> int:
    return (when - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
