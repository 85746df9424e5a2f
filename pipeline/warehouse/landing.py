"""Journal lines into tables: exactly once, each micro-batch in one transaction with its journal offset."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.journal.position import START, Position
from pipeline.model.coverage import Coverage
from pipeline.model.event import Clock, End, Own, TradeKind
from pipeline.profile import Kind, Profile
from pipeline.store.landing import Gap, JournalClock, LandingStore, Offset
from pipeline.venues import Batch, QuoteColumns, TradeColumns, Venue
from pipeline.warehouse.health import StreamWatch

CAPTURE = "capture"
"""The journal source whose lines move journal time outside recorded profiles."""

_UTC_US = pa.timestamp("us", tz="UTC")
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class TouchedBar:
    """A 1s bar as one landing left it: open time in microseconds, close and volume as doubles, highest raw trade id."""

    symbol: str
    ts_us: int
    close: float
    volume: float
    last_id: int


@dataclass(frozen=True, slots=True)
class Landed:
    """What one block of journal lines came to.

    ``trades`` are the rows that were new, in the order of their lines, and ``known_us`` the journal time (microseconds)
    at which each became known. ``own`` are our own lines, for their owners.
    """

    clock: JournalClock
    trades: TradeColumns
    known_us: NDArray[np.int64]
    bars: tuple[TouchedBar, ...]
    own: tuple[Own, ...]
    counts: Counter[str]


@dataclass(slots=True)
class _Ledger:
    """What the warehouse remembers between batches; replaced only when a transaction has committed."""

    coverage: dict[str, Coverage]
    gaps: dict[str, dict[str, Gap]]
    known_holes: set[tuple[str, int, int]]
    last_quotes: dict[str, int]
    offsets: dict[str, Offset]
    clock: JournalClock = field(default_factory=JournalClock)


class Lander:
    """Lands blocks of journal lines of one profile.

    The caller opens the transaction and calls ``land`` in it, then ``committed`` behind it, or ``forget`` after a
    rollback. What is remembered between batches (coverage, gaps, clock) is reread after ``forget``.
    """

    def __init__(self, store: LandingStore, profile: Profile, venue: Venue, *, lateness_ms: int) -> None:
        self._store = store
        self._recorded = profile.kind is Kind.RECORDED
        self._kind = profile.trade_stream
        self._venue = venue
        self._lateness_ms = lateness_ms
        self._streams = StreamWatch()
        self._ledger = self._read_ledger()

    @property
    def clock(self) -> JournalClock:
        """Journal time as last landed."""
        return self._ledger.clock

    def position(self, source: str) -> Position:
        """Where the next block of a source begins."""
        offset = self._ledger.offsets.get(source)
        return Position(offset.seq, offset.offset) if offset else START

    def forget(self) -> None:
        """Read what is remembered from the tables again, after a transaction that did not commit."""
        self._ledger = self._read_ledger()

    def land(self, source: str, block: bytes, position: Position, now_us: int) -> Landed:
        """Write one block of whole journal lines, which ends at ``position``; ``now_us`` is the wall clock for ``detected_at``.

        Must run inside ``store.transaction()``.
        """
        batch = self._venue.decode_batch(block)
        ledger = self._ledger
        before = ledger.clock
        commit_no = before.commit_no + 1
        counts = _counts(batch)
        usable = batch.trades.market & (batch.trades.aggregate == (self._kind is TradeKind.AGGREGATE))
        counts["not_market"] = int(np.count_nonzero(~batch.trades.market))
        counts["other_trade_kind"] = int(np.count_nonzero(batch.trades.market & ~usable))
        trades = batch.trades if usable.all() else batch.trades.take(usable)
        trades = self._add_new_trades(trades, source, counts)
        clock = self._moved_clock(before, source, batch, trades, commit_no)
        bars = self._touch(trades, commit_no, clock_before=before)
        self._watch_gaps(trades, now_us, commit_no)
        self._add_quotes(batch.quotes, counts)
        if source == CAPTURE:
            self._report_streams(batch)
        lines = ledger.offsets[source].lines if source in ledger.offsets else 0
        ledger.offsets[source] = Offset(position.seq, position.offset, lines + batch.lines)
        ledger.clock = clock
        self._store.set_offset(source, ledger.offsets[source])
        self._store.count(source, counts)
        if batch.samples:
            self._store.keep_samples(source, [f"{sample.reason}: {sample.text.decode('utf-8', 'replace')}" for sample in batch.samples])
        self._store.set_clock(clock, lateness_ms=self._lateness_ms)
        own = tuple(event for _, _, event in batch.others if isinstance(event, Own))
        return Landed(clock, trades, self._known_us(before, source, batch, trades), bars, own, counts)

    def settle_gap(self, gap_id: str, state: str, now_us: int, detail: str) -> None:
        """Give an open gap its final state (``unrecoverable`` or ``halt``), as a journal line says."""
        for gaps in self._ledger.gaps.values():
            if gap_id in gaps:
                del gaps[gap_id]
                self._store.close_gap(gap_id, state, now_us, detail, self._ledger.clock.commit_no)
                return

    # ------------------------------------------------------------------ trades

    def _add_new_trades(self, trades: TradeColumns, source: str, counts: Counter[str]) -> TradeColumns:
        """Append the trades whose ids are not covered yet, and cover them."""
        if not len(trades):
            return trades
        new = np.zeros(len(trades), np.bool_)
        for code, symbol in enumerate(trades.symbols.names):
            rows = np.flatnonzero(trades.symbols.codes == code)
            if rows.size:
                coverage = self._ledger.coverage.setdefault(symbol, Coverage())
                new[rows[_uncovered(trades.trade_id[rows], coverage)]] = True
        counts["duplicate_trades"] = int(np.count_nonzero(~new))
        if not new.all():
            trades = trades.take(new)
        if not len(trades):
            return trades
        counts["trades"] = len(trades)
        changed: dict[str, Coverage] = {}
        for code, symbol in enumerate(trades.symbols.names):
            ids = trades.trade_id[trades.symbols.codes == code]
            if ids.size:
                changed[symbol] = self._ledger.coverage[symbol]
                for first, last in _runs(ids):
                    changed[symbol].add(first, last)
        self._store.set_coverage(changed)
        self._store.add_ticks(
            pa.table(
                {
                    "symbol": _symbols(trades),
                    "trade_id": trades.trade_id,
                    "price": pa.array(trades.price, pa.string()),
                    "qty": pa.array(trades.qty, pa.string()),
                    "event_time": pa.array(trades.event_time_ms * 1_000, _UTC_US),
                    "recv_time": pa.array(trades.recv_ns // 1_000, _UTC_US),
                    "buyer_is_maker": trades.buyer_is_maker,
                    "first_id": trades.first_id,
                    "last_id": trades.last_id,
                    "source": pa.array([source] * len(trades), pa.string()),
                }
            )
        )
        return trades

    def _touch(self, trades: TradeColumns, commit_no: int, *, clock_before: JournalClock) -> tuple[TouchedBar, ...]:
        if not len(trades):
            return ()
        seconds = trades.event_time_ms // 1_000
        keys = np.unique(np.stack([trades.symbols.codes.astype(np.int64), seconds]), axis=1)
        names = pa.array(trades.symbols.names, pa.string())
        touched = pa.table({"symbol": names.take(pa.array(keys[0])), "ts": pa.array(keys[1] * _SECOND_US, _UTC_US)})
        bars = self._store.touch_bars(
            touched, commit_no, journal_time_us=clock_before.time_us, lateness_us=self._lateness_ms * 1_000
        ).to_pydict()
        return tuple(map(TouchedBar, bars["symbol"], bars["ts"], bars["close"], bars["volume"], bars["last_id"]))

    def _watch_gaps(self, trades: TradeColumns, now_us: int, commit_no: int) -> None:
        """Write new holes into the ledger and close the gaps that have been filled."""
        ledger = self._ledger
        for symbol in set(trades.symbols.names) if len(trades) else ():
            coverage = ledger.coverage.get(symbol)
            if coverage is None:
                continue
            gaps = ledger.gaps.setdefault(symbol, {})
            for gap in [gap for gap in gaps.values() if not coverage.missing(gap.first_missing, gap.last_missing)]:
                self._store.close_gap(gap.gap_id, "refilled", now_us, None, commit_no)
                del gaps[gap.gap_id]
            for first, last in coverage.holes():
                if (symbol, first, last) in ledger.known_holes or any(
                    gap.first_missing <= first and last <= gap.last_missing for gap in gaps.values()
                ):
                    continue
                gap = Gap(f"{symbol}-{first}-{last}", symbol, first, last)
                self._store.add_gap(gap, now_us, commit_no)
                gaps[gap.gap_id] = gap
                ledger.known_holes.add((symbol, first, last))

    # ------------------------------------------------------------------ time

    def _moved_clock(self, before: JournalClock, source: str, batch: Batch, trades: TradeColumns, commit_no: int) -> JournalClock:
        ended = before.ended
        time_us = before.time_us
        if self._recorded:
            if len(trades):
                ended = False
                time_us = max(time_us, int(trades.event_time_ms.max()) * 1_000)
            ended = ended or any(isinstance(event, End) for _, _, event in batch.others)
        elif source == CAPTURE and batch.last_recv_ns is not None:
            time_us = max(time_us, batch.last_recv_ns // 1_000)
        return replace(before, time_us=time_us, commit_no=commit_no, ended=ended)

    def _known_us(self, before: JournalClock, source: str, batch: Batch, trades: TradeColumns) -> NDArray[np.int64]:
        """Journal time at the line of each trade, so that where a batch begins and ends changes nothing."""
        if self._recorded:
            times = trades.event_time_ms * 1_000
        elif source == CAPTURE:
            times = trades.recv_ns // 1_000
        else:
            times = np.full(len(trades), before.time_us, np.int64)
        return np.maximum(np.maximum.accumulate(times), before.time_us) if len(times) else times

    # ------------------------------------------------------------------ the rest

    def _add_quotes(self, quotes: QuoteColumns, counts: Counter[str]) -> None:
        if not len(quotes):
            return
        last = self._ledger.last_quotes
        # Update ids of a symbol only grow, so what lies above the highest landed one is new without a look.
        floors = np.array([last.get(name, -1) for name in quotes.symbols.names], np.int64)[quotes.symbols.codes]
        rising = _rising(quotes, floors)
        table = pa.table(
            {
                "symbol": _symbols(quotes),
                "update_id": quotes.update_id,
                "bid": pa.array(quotes.bid, pa.string()),
                "bid_qty": pa.array(quotes.bid_qty, pa.string()),
                "ask": pa.array(quotes.ask, pa.string()),
                "ask_qty": pa.array(quotes.ask_qty, pa.string()),
                "event_time": pa.array(quotes.event_time_ms * 1_000, _UTC_US),
                "recv_time": pa.array(quotes.recv_ns // 1_000, _UTC_US),
            }
        )
        added = self._store.add_quotes(table.filter(pa.array(rising)), maybe_known=False)
        if not rising.all():
            added += self._store.add_quotes(_without_repeats(table.filter(pa.array(~rising))), maybe_known=True)
        counts["quotes"] = added
        counts["duplicate_quotes"] = len(quotes) - added
        for code, name in enumerate(quotes.symbols.names):
            ids = quotes.update_id[quotes.symbols.codes == code]
            if ids.size:
                last[name] = max(last.get(name, -1), int(ids.max()))

    def _report_streams(self, batch: Batch) -> None:
        clocks = [event for _, _, event in batch.others if isinstance(event, Clock)]
        if clocks:
            self._store.set_streams(self._streams.reports(clocks[-1]))

    def _read_ledger(self) -> _Ledger:
        gaps: dict[str, dict[str, Gap]] = {}
        holes: set[tuple[str, int, int]] = set()
        for gap, state in self._store.known_gaps():
            holes.add((gap.symbol, gap.first_missing, gap.last_missing))
            if state == "open":
                gaps.setdefault(gap.symbol, {})[gap.gap_id] = gap
        return _Ledger(self._store.coverage(), gaps, holes, self._store.last_quotes(), self._store.offsets(), self._store.clock())


def _counts(batch: Batch) -> Counter[str]:
    counts: Counter[str] = Counter(lines=batch.lines, malformed=batch.malformed)
    counts.update({f"unused:{name}": number for name, number in batch.unused.items()})
    counts.update({f"unknown:{name}": number for name, number in batch.unknown.items()})
    return counts


def _uncovered(ids: NDArray[np.int64], coverage: Coverage) -> NDArray[np.int64]:
    """Positions of the ids that are neither covered nor a repetition of an earlier one, ascending."""
    last = coverage.last
    if (last is None or int(ids[0]) > last) and bool((np.diff(ids) > 0).all()):
        return np.arange(ids.size)
    _, first_seen = np.unique(ids, return_index=True)
    intervals = np.array(list(coverage), np.int64).reshape(-1, 2)
    if not len(intervals):
        return np.sort(first_seen)
    candidates = ids[first_seen]
    at = np.searchsorted(intervals[:, 0], candidates, side="right") - 1
    covered = (at >= 0) & (candidates <= intervals[np.maximum(at, 0), 1])
    return np.sort(first_seen[~covered])


def _runs(ids: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The ids as intervals without holes."""
    ordered = np.sort(ids)
    cuts = np.flatnonzero(np.diff(ordered) > 1)
    starts = np.concatenate([[0], cuts + 1])
    ends = np.concatenate([cuts, [ordered.size - 1]])
    return [(int(ordered[start]), int(ordered[end])) for start, end in zip(starts, ends, strict=True)]


def _rising(quotes: QuoteColumns, floors: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose update id is above the floor and above every earlier one of the same symbol in the batch."""
    rising = quotes.update_id > floors
    for code in range(len(quotes.symbols.names)):
        rows = np.flatnonzero(quotes.symbols.codes == code)
        if rows.size > 1:
            ids = quotes.update_id[rows]
            rising[rows[1:]] &= ids[1:] > np.maximum.accumulate(ids)[:-1]
    return rising


def _without_repeats(table: pa.Table) -> pa.Table:
    """The first row of each (symbol, update_id)."""
    seen: set[tuple[str, int]] = set()
    keep = []
    for key in zip(table["symbol"].to_pylist(), table["update_id"].to_pylist(), strict=True):
        keep.append(key not in seen)
        seen.add(key)
    return table.filter(pa.array(keep, pa.bool_()))


def _symbols(columns: TradeColumns | QuoteColumns) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(columns.symbols.codes), pa.array(columns.symbols.names, pa.string())).cast(pa.string())
