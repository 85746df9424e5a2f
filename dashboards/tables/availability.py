"""What there is of a symbol's bars and what is missing, over the whole of its history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from dashboards.hub import Moment
from dashboards.tables.bars import Bars, Kind, opened, read_bars, time_of
from dashboards.tables.history import part_for
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.candles import bar_ends
from pipeline.store.gaps import load_gaps
from pipeline.store.partitions import load_partitions

MOST_PARTS = 240
_RELOAD_S = 60.0
_SHARE = 50
_LATER = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Gap:
    """A row of the gap ledger; a halt has no missing trades."""

    start: datetime
    end: datetime
    state: str
    missing: int


@dataclass(frozen=True, slots=True)
class Day:
    """The partition of a UTC day: what made it, and whether it is whole."""

    day: date
    asset: str
    complete: bool
    rows: int
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class Availability:
    """The history of one symbol and timeframe.

    Attributes:
        symbol: whose.
        timeframe: of the bars.
        parts: the history in at most about ``MOST_PARTS`` candles: ``count`` says how many bars each has, ``kind`` of what sort.
        ends: open times of the first and the last bar; None when there is none.
        gaps: the newest of the gap ledger, in time order.
        open_gaps: how many are open.
        days: the ledger's partitions of days, in order.
        read_at: when all of it was last read.
        took_s: how long that took.
    """

    symbol: str
    timeframe: Timeframe
    parts: Bars | None
    ends: tuple[datetime, datetime] | None
    gaps: tuple[Gap, ...]
    open_gaps: int
    days: tuple[Day, ...]
    read_at: datetime
    took_s: float

    @property
    def bars(self) -> int:
        """How many there are."""
        return int(self.parts.count.sum()) if self.parts is not None else 0

    @property
    def expected(self) -> int:
        """Intervals from the first bar to the last."""
        return 0 if self.ends is None else (self.ends[1] - self.ends[0]) // timedelta(seconds=self.timeframe.seconds) + 1

    @property
    def coverage(self) -> float:
        """Part of the intervals that have a bar; an interval without trades has none."""
        return self.bars / self.expected if self.expected else 0.0

    @property
    def unfinished(self) -> int:
        """Parts of the history that still move, or that an open gap touches."""
        return int((self.parts.kind == Kind.MOVING).sum()) if self.parts is not None else 0


@dataclass(frozen=True, slots=True)
class AvailabilityTopic:
    """The newest part is looked at every few seconds, all of the history once a minute or more seldom."""

    symbol: str
    timeframe: Timeframe
    every_s: float = 5.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """What there is now."""
        if warehouse is None or moment is None:
            return before
        old: Availability | None = before
        ends = bar_ends(warehouse, self.symbol, self.timeframe)
        if ends is None:
            return Availability(self.symbol, self.timeframe, None, None, (), 0, (), moment.now, 0.0)
        if (
            old is None
            or old.parts is None
            or old.ends is None
            or old.ends[0] != ends[0]
            or (moment.now - old.read_at).total_seconds() >= max(_RELOAD_S, _SHARE * old.took_s)
        ):
            return self._all(warehouse, moment, ends)
        if ends == old.ends:
            return before
        tail = self._parts(warehouse, old.parts.step_s, time_of(old.parts.ts[-2:][0]))
        return replace(old, parts=old.parts.then(tail), ends=ends)

    def _all(self, warehouse: Warehouse, moment: Moment, ends: tuple[datetime, datetime]) -> Availability:
        span_ms = (ends[1] - ends[0]).total_seconds() * 1000 + self.timeframe.ms
        step_s = part_for(self.timeframe, span_ms, MOST_PARTS)
        parts = self._parts(warehouse, step_s, opened(ends[0], step_s))
        gaps = tuple(Gap(*row) for row in load_gaps(warehouse, self.symbol).iter_rows())
        ledger = load_partitions(warehouse, asset=("bars", "klines"), symbols=[self.symbol])
        kept = ledger.filter(timeframe=self.timeframe.name).select("day", "asset", "complete", "rows", "revision").sort("day", "asset")
        days = tuple(Day(*row) for row in kept.iter_rows())
        still_open = sum(gap.state == "open" for gap in gaps)
        return Availability(self.symbol, self.timeframe, parts, ends, gaps, still_open, days, moment.now, parts.took_s)

    def _parts(self, warehouse: Warehouse, step_s: int, start: datetime) -> Bars:
        return read_bars(warehouse, self.symbol, self.timeframe, step_s, start=start, end=start + _LATER)
