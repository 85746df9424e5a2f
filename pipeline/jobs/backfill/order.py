"""What a backfill is asked for, what it says while it works, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from pipeline.errors import UsageError
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Candlesticks that the venue has; of other timeframes there are only bars of our own."""

PAGE = 499
"""Candlesticks in one request. The venue takes up to 1,500, at three times the weight for each; small pages also show charts sooner."""

CATCH_UP = timedelta(days=31)
"""How far back holes in the candlesticks are looked for when no start is given."""

REST_REACH = timedelta(hours=48)
"""How far back the venue's REST API has trades."""

Progress = Callable[[int, int, int], None]
"""Called with steps done, steps in all, and rows written so far."""


class Source(StrEnum):
    """Where the exchange's data is fetched from."""

    REST = "rest"
    ARCHIVE = "archive"


class What(StrEnum):
    """What is fetched."""

    KLINES = "klines"
    TRADES = "trades"


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch. ``end`` is fixed when the order is made, so that a second try means the same days.

    Attributes:
        symbols: the most wanted first.
        timeframes: of the candlesticks; all of the venue's.
        what: candlesticks, aggregate trades, or both.
        source: where from.
        start: first time; None goes back as far as ``hours`` and models need, and fills the holes of the last 31 days.
        end: before this time.
        refetch: also what is there already.
        hours: history without a ``start``.
        lookback: bars that a model looks back.
    """

    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    end: datetime
    what: tuple[What, ...] = (What.KLINES,)
    source: Source = Source.REST
    start: datetime | None = None
    refetch: bool = False
    hours: int = 24
    lookback: int = 500

    def __post_init__(self) -> None:
        unknown = [timeframe.name for timeframe in self.timeframes if timeframe.name not in INTERVALS]
        if unknown:
            msg = f"the venue has no candlesticks of {unknown[0]}; expected one of {', '.join(INTERVALS)}"
            raise UsageError(msg)
        if self.start is not None and self.start >= self.end:
            period = f"the period from {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"
            msg = f"{period} is empty; give a start in the past, before the end"
            raise UsageError(msg)

    def trades_from(self) -> datetime:
        """First time of the trades that are asked for; without a start not further back than the source reaches."""
        back = timedelta(hours=self.hours)
        return self.start or self.end - (min(back, REST_REACH - timedelta(hours=1)) if self.source is Source.REST else back)

    def check(self, profile: Profile, now: datetime) -> None:
        """Refuse what cannot be fetched into a profile, before anything is.

        Raises:
            UsageError: for trades of another kind than the profile's, or older than the source reaches.
        """
        if What.TRADES not in self.what:
            return
        if profile.trade_stream is TradeKind.RAW:
            msg = (
                f"profile {profile.name!r} holds raw trades (ids `t`), and the exchange tells only aggregate trades (ids `a`) of the past; "
                "backfill klines, or use a profile made with trade_stream aggTrade"
            )
            raise UsageError(msg)
        if profile.kind is Kind.RECORDED:
            msg = (
                f"profile {profile.name!r} holds recordings, and the exchange has nothing to add to them; ingest a longer recording instead"
            )
            raise UsageError(msg)
        if self.source is Source.REST and self.trades_from() < now - REST_REACH:
            msg = (
                f"REST has the trades of the past 48 h only, and {self.trades_from():%Y-%m-%d %H:%M} is before that; "
                "use --source archive, or a later start"
            )
            raise UsageError(msg)


@dataclass(slots=True)
class Backfilled:
    """What became of one symbol's candlesticks of one timeframe, or of its trades (``timeframe`` is empty).

    Attributes:
        symbol: whose.
        timeframe: of the candlesticks.
        missing: candlesticks, or days of trades, that were due.
        written: rows written.
        days: days that are whole now, of those that were due.
        first_ts: first time written.
        last_ts: last time written.
        notes: what was odd about the data, in words.
    """

    symbol: str
    timeframe: str
    missing: int = 0
    written: int = 0
    days: int = 0
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    notes: list[str] = field(default_factory=list)

    def wrote(self, rows: int, first_ts: datetime | None, last_ts: datetime | None) -> None:
        """Count rows that have been written."""
        self.written += rows
        self.first_ts = min(filter(None, (self.first_ts, first_ts)), default=None)
        self.last_ts = max(filter(None, (self.last_ts, last_ts)), default=None)


class Meter:
    """How much is done: whoever plans says what to expect, whoever works what he did."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._of = 0
        self._done = 0
        self._rows = 0

    def expect(self, steps: int) -> None:
        """More steps to come."""
        self._of += steps

    def did(self, steps: int, rows: int = 0) -> None:
        """Steps done, and rows written with them."""
        self._done += steps
        self._rows += rows
        if self._progress is not None:
            self._progress(self._done, self._of, self._rows)


def venue_timeframes(timeframes: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
    """Those that the venue has candlesticks of."""
    return tuple(timeframe for timeframe in timeframes if timeframe.name in INTERVALS)


def default_start(timeframe: Timeframe, end: datetime, *, hours: int, lookback: int) -> datetime:
    """How far back to go: ``hours``, or as far as a model looks back, at most three pages."""
    bars = max(hours * 3_600 // timeframe.seconds, min(lookback + 20, 3 * PAGE))
    return end - timedelta(seconds=bars * timeframe.seconds)


def turn_of(order: Order) -> str:
    """Whose turn an order is (see :mod:`pipeline.jobs.turn`): candlesticks and trades go to different tables, and trades may take hours."""
    return "backfill" if What.KLINES in order.what else "backfill-trades"


def legs_first(symbols: Sequence[str], universe: Universe) -> tuple[str, ...]:
    """The symbols, the legs of configured pairs before the others: theirs are the charts and models that people look at."""
    legs = [leg for spec in universe.pairs for leg in (spec.pair.y, spec.pair.x)]
    return tuple(dict.fromkeys([*(leg for leg in legs if leg in symbols), *symbols]))


def to_ms(time: datetime) -> int:
    """Milliseconds since the epoch."""
    return (time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def from_ms(time_ms: int) -> datetime:
    """A time from milliseconds since the epoch."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=time_ms)


def midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def month_of(day: date) -> list[date]:
    """All days of a day's month."""
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return [first + timedelta(days=number) for number in range((following - first).days)]


def file_spans(days: set[date], over: date) -> list[tuple[date, bool]]:
    """The archive files that hold days, newest first: a month (True) where all of it is wanted and over, single days otherwise.

    Args:
        days: wanted, all of them before ``over``.
        over: the first day that is not over.
    """
    found = []
    left = set(days)
    while left:
        newest = max(left)
        month = month_of(newest)
        whole = month[-1] < over and left.issuperset(month)
        found.append((month[0] if whole else newest, whole))
        left.difference_update(month if whole else [newest])
    return found
