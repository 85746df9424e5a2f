"""Journal lines into tables: exactly once, each micro-batch in one transaction with its journal offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.journal.position import START, Position
from pipeline.model.coverage import Coverage
from pipeline.model.event import Clock, End, Own, TradeKind
from pipeline.profile import Kind, Profile
from pipeline.store.archiving import ARCHIVED, EXPIRED
from pipeline.store.halts import HaltStore
from pipeline.store.landing import ArchivedDay, JournalClock, LandingStore, Offset
from pipeline.store.streams import DUPLICATES, StreamStore
from pipeline.venues import Batch, QuoteColumns, TradeColumns, Venue
from pipeline.venues.gaps import OPEN, GapChange, GapLedger
from pipeline.warehouse.halts import HaltWatch
from pipeline.warehouse.health import StreamWatch, Watched
from pipeline.warehouse.rows import quote_rows, tick_rows

CAPTURE = "capture"
"""The journal source whose lines move journal time outside recorded profiles."""
CONTROL = "control"
"""The journal source of what people asked for and of models that went live."""
REPAIR = "repair"
"""The journal source of refilled trades, and of verdicts on gaps."""
UPLOAD = "upload"
"""The journal source of trades of a user's own symbols."""
_OWN_SOURCES = frozenset({CONTROL, REPAIR})
_TIMELESS_SOURCES = frozenset({CONTROL, REPAIR, UPLOAD, "backfill"})
"""They bring trades of the past, which say nothing about how late it is now."""

_UTC_US = pa.timestamp("us", tz="UTC")
_SECOND_US = 1_000_000
_SECONDS_SPAN = 1 << 40  # more than any event time in seconds since the epoch
_DAY_MS = 86_400_000
_DAYS_SPAN = 1 << 32
_LATEST_MS = 4_102_444_800_000  # the year 2100


Columns = TypeVar("Columns", TradeColumns, QuoteColumns)


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
    at which each became known. ``own`` are our own lines, for their owners. ``gaps`` says when a symbol had one open gap more (1) or
    fewer (-1).
    """

    clock: JournalClock
    trades: TradeColumns
    known_us: NDArray[np.int64]
    bars: tuple[TouchedBar, ...]
    own: tuple[Own, ...]
    counts: Counter[str]
    gaps: tuple[tuple[int, str, int], ...] = ()


@dataclass(slots=True)
class _Ledger:
    """What the warehouse remembers between batches; replaced only when a transaction has committed."""

    gaps: GapLedger
    halts: HaltWatch
    last_quotes: dict[str, int]
    offsets: dict[str, Offset]
    archived: dict[ArchivedDay, str]
    clock: JournalClock = field(default_factory=JournalClock)
    archived_until: int = -1

    def __post_init__(self) -> None:
        self.note_archived(self.archived)

    def note_archived(self, archived: dict[ArchivedDay, str]) -> None:
        """Take another set of archived days."""
        self.archived = archived
        self.archived_until = max((day.day for day in archived), default=-1)


class Lander:
    """Lands blocks of journal lines of one profile.

    The caller opens the transaction and calls ``land`` in it, then ``committed`` behind it, or ``forget`` after a
    rollback. What is remembered between batches (coverage, gaps, clock) is reread after ``forget``.
    """

    def __init__(
        self, store: LandingStore, profile: Profile, venue: Venue, *, lateness_ms: int, halt_after_s: float, silent_after_s: float
    ) -> None:
        self._store = store
        self._halts = HaltStore(store.connection, store.archive)
        self._halt_after_ms = round(halt_after_s * 1_000)
        self._recorded = profile.kind is Kind.RECORDED
        self._kind = profile.trade_stream
        self._lateness_ms = lateness_ms
        watched = Watched(venue, profile.trade_stream, silent_after_s, timed=not self._recorded)
        self.streams = StreamWatch(StreamStore(store.connection), watched)
        self._restated_us: list[int] = []
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
        self.streams.forget()

    def committed(self, now_ns: int) -> None:
        """Note how late the messages of the last block are, which has been committed at ``now_ns``."""
        self.streams.committed(now_ns)

    def land(self, source: str, batch: Batch, position: Position, now_us: int) -> Landed:
        """Write one block of whole journal lines, decoded, which ends at ``position``; ``now_us`` is the wall clock for ``detected_at``.

        Must run inside ``store.transaction()``.
        """
        ledger = self._ledger
        before = ledger.clock
        commit_no = before.commit_no + 1
        counts = _counts(batch)
        usable = batch.trades.market & (batch.trades.aggregate == (self._kind is TradeKind.AGGREGATE))
        counts["not_market"] = int(np.count_nonzero(~batch.trades.market))
        counts["other_trade_kind"] = int(np.count_nonzero(batch.trades.market & ~usable))
        possible, quoted = _possible(batch.trades.event_time_ms), _possible(batch.quotes.event_time_ms)
        counts["impossible_time"] = int(np.count_nonzero(usable & ~possible) + np.count_nonzero(~quoted))
        usable &= possible
        trades = batch.trades if usable.all() else batch.trades.take(usable)
        trades = self._readable(("ticks", "bars_1s"), self._new_trades(self._not_expired(trades, counts), counts), counts)
        changes, causes = self._cover(trades)
        self._note_halts(source, trades, now_us)
        # Everything that is computed anew from a day's rows needs all of them.
        self._thaw(("ticks", "bars_1s"), trades.symbols.codes, trades.symbols.names, trades.event_time_ms)
        self._add_ticks(trades, source)
        clock = self._moved_clock(before, source, batch, trades, commit_no)
        bars = self._touch(trades, commit_no, clock_before=before)
        self._restated_us = [ts_us for change in changes for ts_us in self._write_gap(change, now_us, commit_no)]
        quotes = batch.quotes if quoted.all() else batch.quotes.take(quoted)
        self._add_quotes(self._readable(("quotes",), quotes, counts), counts)
        own = tuple(event for _, _, event in batch.others if isinstance(event, Own))
        if source not in _OWN_SOURCES:
            # A recording may be another profile's journal: its rules and models are not ours.
            counts["own_lines_of_others"] = len(own)
            own = ()
        lines = ledger.offsets[source].lines if source in ledger.offsets else 0
        ledger.offsets[source] = Offset(position.seq, position.offset, lines + batch.lines)
        ledger.clock = clock
        if source == UPLOAD:
            # Nobody can be asked for what a user's file does not have.
            for change in changes:
                if change.state == OPEN:
                    self.settle_gap(change.gap.gap_id, "unrecoverable", now_us, "not in the uploaded file")
        self._store.set_offset(source, ledger.offsets[source])
        self._store.count(source, counts)
        if batch.samples:
            self._store.keep_samples(source, [f"{sample.reason}: {sample.text.decode('utf-8', 'replace')}" for sample in batch.samples])
        self._store.set_clock(clock, lateness_ms=self._lateness_ms)
        if source == CAPTURE:
            self.streams.land(trades, quotes, [event for _, _, event in batch.others if isinstance(event, Clock)])
        known_us = self._known_us(before, source, trades)
        # A gap of an uploaded file is settled as it is found.
        gaps = () if source == UPLOAD else _gap_steps(changes, causes, known_us)
        return Landed(clock, trades, known_us, bars, own, counts, gaps)

    def archive_changed(self) -> None:
        """Read which days are archived again; to be called when an order has changed that."""
        self._ledger.note_archived(self._store.archived())

    def settle_gap(self, gap_id: str, state: str, now_us: int, detail: str) -> str | None:
        """Give an open gap its final state (``unrecoverable`` or ``halt``), as a journal line says; its symbol, None if it is not open."""
        symbol = self._ledger.gaps.settle(gap_id, state)
        if symbol is not None:
            self._restated_us += self._store.close_gap(gap_id, state, now_us, detail, self._ledger.clock.commit_no)
        return symbol

    @property
    def restated_us(self) -> list[int]:
        """Open times of the 1s bars at the ends of the gaps that the last block opened or closed: they count as touched."""
        return self._restated_us

    # ------------------------------------------------------------------ trades

    def _new_trades(self, trades: TradeColumns, counts: Counter[str]) -> TradeColumns:
        """The trades whose ids are not covered yet, each once."""
        if not len(trades):
            return trades
        new = np.zeros(len(trades), np.bool_)
        for symbol, rows in trades.by_symbol():
            coverage = self._ledger.gaps.coverage.setdefault(symbol, Coverage())
            new[rows[_uncovered(trades.trade_id[rows], coverage)]] = True
        counts["trades"] = int(np.count_nonzero(new))
        counts["duplicate_trades"] = len(trades) - counts["trades"]
        if counts["duplicate_trades"]:
            repeated = np.bincount(trades.symbols.codes[~new], minlength=len(trades.symbols.names)).tolist()
            counts.update({DUPLICATES + name: number for name, number in zip(trades.symbols.names, repeated, strict=True) if number})
        return trades if new.all() else trades.take(new)

    def _cover(self, trades: TradeColumns) -> tuple[list[GapChange], list[int]]:
        """Note the ids of new trades as landed; what that did to the gaps, and the rows that did it."""
        changes: list[GapChange] = []
        causes: list[int] = []
        changed: dict[str, Coverage] = {}
        for symbol, rows in trades.by_symbol():
            found = self._ledger.gaps.land(symbol, trades.trade_id[rows])
            changes += found
            causes += [int(rows[change.at]) for change in found]
            changed[symbol] = self._ledger.gaps.coverage[symbol]
        if changed:
            self._store.set_coverage(changed)
        return changes, causes

    def _note_halts(self, source: str, trades: TradeColumns, now_us: int) -> None:
        """Enter silences of the venue that end with these trades, or that they are found to begin."""
        if source == UPLOAD:
            return  # a file's ids may be its line numbers, and its silences nights
        symbols = trades.symbols
        halts = self._ledger.halts.land(symbols.names, symbols.codes, trades.trade_id, trades.event_time_ms, self._ledger.gaps.coverage)
        if halts:
            self._halts.add(halts, now_us)

    def _not_expired(self, trades: TradeColumns, counts: Counter[str]) -> TradeColumns:
        """Without the trades of days that were removed for good: a bar made of them alone would be wrong."""
        if not self._reaches_archive(trades.event_time_ms):
            return trades
        gone = [day for day, state in self._ledger.archived.items() if state == EXPIRED and day.dataset == "ticks"]
        if not gone:
            return trades
        codes = {name: code for code, name in enumerate(trades.symbols.names)}
        keys = [codes[day.symbol] * _DAYS_SPAN + day.day for day in gone if day.symbol in codes]
        kept = ~np.isin(_days(trades.symbols.codes, trades.event_time_ms), np.array(keys, np.int64))
        counts["expired_day"] = int(np.count_nonzero(~kept))
        return trades if kept.all() else trades.take(kept)

    def _readable(self, datasets: tuple[str, ...], rows: Columns, counts: Counter[str]) -> Columns:
        """Without the rows of archived days whose files are missing or damaged: landing goes on, and the count and the log say so."""
        if not self._reaches_archive(rows.event_time_ms):
            return rows
        days = _days(rows.symbols.codes, rows.event_time_ms)
        lost = [
            key
            for key in np.unique(days).tolist()
            for one in (ArchivedDay(dataset, rows.symbols.names[key // _DAYS_SPAN], key % _DAYS_SPAN) for dataset in datasets)
            if self._ledger.archived.get(one) == ARCHIVED and not self._store.readable(one)
        ]
        if not lost:
            return rows
        kept = ~np.isin(days, np.array(lost, np.int64))
        counts["archive_unreadable"] += int(np.count_nonzero(~kept))
        return rows.take(kept)

    def _reaches_archive(self, event_time_ms: NDArray[np.int64]) -> bool:
        """Whether any of these times lies at or before the newest archived day: live data does not, and costs no more than this."""
        return bool(len(event_time_ms)) and int(event_time_ms.min()) // _DAY_MS <= self._ledger.archived_until

    def _thaw(self, datasets: tuple[str, ...], codes: NDArray[Any], names: Sequence[str], event_time_ms: NDArray[np.int64]) -> None:
        """Bring the archived days that these rows belong to back into the database."""
        if not self._reaches_archive(event_time_ms):
            return
        archived = self._ledger.archived
        for code, day in zip(*np.divmod(np.unique(_days(codes, event_time_ms)), _DAYS_SPAN), strict=True):
            for dataset in datasets:
                one = ArchivedDay(dataset, names[int(code)], int(day))
                if archived.get(one) == ARCHIVED:
                    self._store.thaw(one)
                    del archived[one]

    def _add_ticks(self, trades: TradeColumns, source: str) -> None:
        if not len(trades):
            return
        self._store.add_ticks(tick_rows(trades), source)

    def _touch(self, trades: TradeColumns, commit_no: int, *, clock_before: JournalClock) -> tuple[TouchedBar, ...]:
        if not len(trades):
            return ()
        seconds = trades.event_time_ms // 1_000
        # One number for symbol and second: unique rows were a tenth of the whole landing.
        codes, seconds = np.divmod(np.unique(trades.symbols.codes.astype(np.int64) * _SECONDS_SPAN + seconds), _SECONDS_SPAN)
        names = pa.array(trades.symbols.names, pa.string())
        touched = pa.table({"symbol": names.take(pa.array(codes)), "ts": pa.array(seconds * _SECOND_US, _UTC_US)})
        bars = self._store.touch_bars(
            touched, commit_no, journal_time_us=clock_before.time_us, lateness_us=self._lateness_ms * 1_000
        ).to_pydict()
        return tuple(map(TouchedBar, bars["symbol"], bars["ts"], bars["close"], bars["volume"], bars["last_id"]))

    def _write_gap(self, change: GapChange, now_us: int, commit_no: int) -> list[int]:
        if change.state == OPEN:
            return self._store.add_gap(change.gap, now_us, commit_no)
        return self._store.close_gap(change.gap.gap_id, change.state, now_us, None, commit_no)

    # ------------------------------------------------------------------ time

    def _moved_clock(self, before: JournalClock, source: str, batch: Batch, trades: TradeColumns, commit_no: int) -> JournalClock:
        ended = before.ended
        time_us = before.time_us
        if source in _TIMELESS_SOURCES:
            pass
        elif self._recorded:
            ends = [line for line, _, event in batch.others if isinstance(event, End)]
            if len(trades):
                ended = False
                time_us = max(time_us, int(trades.event_time_ms.max()) * 1_000)
            if ends and (not len(trades) or ends[-1] > int(trades.line[-1])):
                ended = True
        elif source == CAPTURE and batch.last_recv_ns is not None:
            time_us = max(time_us, batch.last_recv_ns // 1_000)
        return replace(before, time_us=time_us, commit_no=commit_no, ended=ended)

    def _known_us(self, before: JournalClock, source: str, trades: TradeColumns) -> NDArray[np.int64]:
        """Journal time at the line of each trade, so that where a batch begins and ends changes nothing."""
        if source in _TIMELESS_SOURCES:
            times = np.full(len(trades), before.time_us, np.int64)
        elif self._recorded:
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
        rising = _rising(quotes, self._ledger.last_quotes)
        new = quotes if rising.all() else quotes.take(rising)
        self._thaw(("quotes",), new.symbols.codes, new.symbols.names, new.event_time_ms)
        added = self._store.add_quotes(quote_rows(new), maybe_known=False)
        if new is not quotes:
            added += self._add_older_quotes(_without_repeats(quote_rows(quotes.take(~rising))))
        counts["quotes"] = added
        counts["duplicate_quotes"] = len(quotes) - added

    def _add_older_quotes(self, table: pa.Table) -> int:
        """Quotes that may be known already, in the database or in the archive."""
        if any(day.dataset == "quotes" for day in self._ledger.archived):
            table = self._store.unknown_quotes(table)
            names = sorted(set(table["symbol"].to_pylist()))
            codes = np.array([names.index(name) for name in table["symbol"].to_pylist()], np.int64)
            times_ms = np.array(table["event_time"].cast(pa.int64()), np.int64) // 1_000
            self._thaw(("quotes",), codes, names, times_ms)
        return self._store.add_quotes(table, maybe_known=True)

    def _read_ledger(self) -> _Ledger:
        gaps = GapLedger(self._store.coverage(), self._store.known_gaps())
        halts = HaltWatch(self._halt_after_ms, self._halts.trade_times)
        return _Ledger(gaps, halts, self._store.last_quotes(), self._store.offsets(), self._store.archived(), self._store.clock())


def _gap_steps(changes: Sequence[GapChange], rows: Sequence[int], known_us: NDArray[np.int64]) -> tuple[tuple[int, str, int], ...]:
    """When which symbol had one open gap more or fewer; a gap that was given up is none that closes."""
    return tuple(
        (int(known_us[row]), change.gap.symbol, 1 if change.state == OPEN else -1)
        for change, row in zip(changes, rows, strict=True)
        if change.state == OPEN or change.was_open
    )


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


def _days(codes: NDArray[Any], event_time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for symbol and UTC day."""
    found: NDArray[np.int64] = codes.astype(np.int64) * _DAYS_SPAN + event_time_ms // _DAY_MS
    return found


def _possible(event_time_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Times that a venue can have meant: one of the far future would complete every bar of a recording."""
    return (event_time_ms >= 0) & (event_time_ms < _LATEST_MS)


def _rising(quotes: QuoteColumns, last: dict[str, int]) -> NDArray[np.bool_]:
    """Rows whose update id is above every earlier one of the same symbol, ``last`` included, which is brought up to date.

    Update ids of a symbol only grow, so these are new without a look.
    """
    rising = np.zeros(len(quotes), np.bool_)
    for symbol, rows in quotes.by_symbol():
        ids = quotes.update_id[rows]
        highest = np.maximum.accumulate(np.concatenate([[last.get(symbol, -1)], ids]))
        rising[rows] = ids > highest[:-1]
        last[symbol] = int(highest[-1])
    return rising


def _without_repeats(table: pa.Table) -> pa.Table:
    """The first row of each (symbol, update_id)."""
    seen: set[tuple[str, int]] = set()
    keep = []
    for key in zip(table["symbol"].to_pylist(), table["update_id"].to_pylist(), strict=True):
        keep.append(key not in seen)
        seen.add(key)
    return table.filter(pa.array(keep, pa.bool_()))
