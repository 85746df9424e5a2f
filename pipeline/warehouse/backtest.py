"""A rule tried on the past: the engine itself, over stored trades or bars, in memory. What it writes is told, and nothing is stored.

Between two trades nothing is invented: the engine sees the same updates at the same points of journal time as when they landed. Over
bars it sees each when it is over, so that what happened within one is not seen; which of the two it was is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.alerts import AlertEvent, EventKind, MadeBy, Metric, Rule, TargetKind
from pipeline.errors import UsageError
from pipeline.model.fixed import UNIT
from pipeline.model.pair import Pair
from pipeline.model.universe import Universe
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse
from pipeline.store.alert_inputs import AlertInputs
from pipeline.store.health import load_clock
from pipeline.store.landing import JournalClock
from pipeline.store.live import LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.store.replay import Grain, Reach, copy_past, load_reach, load_updates, open_scratch
from pipeline.store.warehouse import OpenTransaction
from pipeline.venues import TradeColumns
from pipeline.venues.columns import Symbols
from pipeline.warehouse.alerting import AlertEngine
from pipeline.warehouse.landing import Landed
from pipeline.warehouse.signals import SignalWindows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STRETCH = timedelta(hours=2)
_LATE = timedelta(minutes=10)

Progress = Callable[[datetime], None]


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that it would have fired: when, on what, with which value, and until when; ``end`` None when it still does."""

    series: str
    start: datetime
    end: datetime | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have done.

    Attributes:
        rule: the rule.
        start: journal time at which it was made.
        end: journal time up to which it was evaluated.
        grain: what the past was replayed from.
        rows: how much of it.
        note: what to know about that, in words; empty when there is nothing.
        events: every transition, as the engine would have written it.
    """

    rule: Rule
    start: datetime
    end: datetime
    grain: Grain
    rows: int
    note: str
    events: tuple[AlertEvent, ...]

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The times that it would have fired, in order."""
        found: list[Episode] = []
        firing: dict[str, int] = {}
        for event in self.events:
            if event.kind is EventKind.FIRING:
                firing[event.series] = len(found)
                found.append(Episode(event.series, _time(event.at_us), None, event.value))
            elif event.kind is EventKind.RESOLVED and event.series in firing:
                at = firing.pop(event.series)
                found[at] = replace(found[at], end=_time(event.at_us))
        return tuple(found)

    @property
    def firing(self) -> timedelta:
        """How long it would have fired, all times together."""
        return sum(((episode.end or self.end) - episode.start for episode in self.episodes), timedelta())


def backtest(
    warehouse: Warehouse,
    rule: Rule,
    universe: Universe,
    settings: Settings,
    *,
    start: datetime,
    end: datetime,
    recorded: bool,
    grain: Grain | None = None,
    most_ticks: int = 5_000_000,
    progress: Progress | None = None,
) -> Backtest:
    """Try a rule on ``start`` to ``end`` of journal time, as if it had been made at ``start``.

    Args:
        warehouse: where the past is read from.
        rule: the rule; whether it is enabled and when it expires do not matter.
        universe: what is watched.
        settings: windows, timeframes, lateness.
        start: from when.
        end: until when; the present of the journal when that is earlier.
        recorded: whether the profile holds recordings, whose journal time is that of events.
        grain: what to replay; None takes the finest that there is.
        most_ticks: how many trades at most, unless ``grain`` asks for them: of more, bars are taken. Half a million take ten seconds.
        progress: told the journal time that has been reached.

    Raises:
        RuleError: when the rule makes no sense.
        UsageError: when the metric cannot be replayed, or there is nothing to replay.
    """
    _check_metric(rule)
    start = start.replace(microsecond=0)
    clock = load_clock(warehouse)
    if clock is None or start >= clock.journal_time:
        msg = f"nothing has been landed after {start:%Y-%m-%d %H:%M:%S} UTC; choose an earlier start"
        raise UsageError(msg)
    to_end = end >= clock.journal_time
    end = min(end, clock.journal_time)
    series = rule.series(universe.symbols, [spec.pair for spec in universe.pairs])
    pairs = [Pair.parse(name) for name in series if "/" in name]
    symbols = (
        universe.symbols if rule.kind is TargetKind.PIPELINE else tuple(dict.fromkeys(leg for name in series for leg in name.split("/")))
    )
    chosen, note = _chosen(load_reach(warehouse, symbols, start=start, end=end), rule, grain, start, most_ticks)
    with open_scratch() as scratch:
        copy_past(
            warehouse, scratch, symbols=symbols, pairs=pairs, frame=rule.timeframe, frames=settings.parsed_timeframes,
            bars=max(_windows(settings).reach, (rule.window or 1) + 1), start=start, end=end,
        )  # fmt: skip
        replay = _Replay(scratch, universe, settings, rule, start)
        rows = 0
        at = start
        while at < end:
            until = min(at + _STRETCH, end)
            beyond = until + timedelta(microseconds=until == end)  # the last moment itself belongs to it
            frame = load_updates(warehouse, chosen.grain, symbols, start=at, end=beyond, recorded=recorded)
            rows += frame.height
            replay.land(frame, until, ended=until == end and to_end and clock.ended)
            at = until
            if progress is not None:
                progress(at)
        return Backtest(rule, start, end, chosen.grain, rows, note, replay.events())


class _Replay:
    """The engine in memory, with one rule in it."""

    def __init__(self, scratch: LocalWarehouse, universe: Universe, settings: Settings, rule: Rule, start: datetime) -> None:
        self._scratch = scratch
        inside = OpenTransaction(scratch.connection)
        self._engine = AlertEngine(
            LiveStore(scratch.connection),
            AlertInputs(scratch.connection),
            inside,
            _windows(settings),
            settings.parsed_timeframes,
            (),
            lateness_ms=settings.lateness_ms,
            told=False,
        )
        self._engine.set_universe(universe)
        self._engine.put(replace(rule, enabled=True, expires_at_us=None).to_json(), _us(start))

    def land(self, updates: pl.DataFrame, until: datetime, *, ended: bool) -> None:
        """Let the engine see a stretch of the past, up to a point that is then past."""
        clock = JournalClock(_us(until), 1, ended=ended)
        self._engine.landed(Landed(clock, _trades(updates), updates["grid_us"].to_numpy().astype(np.int64), (), (), Counter()))

    def events(self) -> tuple[AlertEvent, ...]:
        """What it has written."""
        rows = self._scratch.select("SELECT CAST(payload AS VARCHAR) AS payload FROM alert_events ORDER BY occurred_at, rowid")
        return tuple(AlertEvent.from_json(text) for text in rows["payload"])


def _windows(settings: Settings) -> SignalWindows:
    """The windows of the live statistics."""
    return SignalWindows(settings.zscore_window, settings.correlation_window, settings.max_fill)


def _check_metric(rule: Rule) -> None:
    if rule.facts.made_by is MadeBy.FLOW or rule.metric is Metric.GAPS:
        msg = (
            f"{rule.facts.label} cannot be replayed: when its values became known is not kept;"
            " add the rule and see, or test one on prices, volumes, ages or pairs"
        )
        raise UsageError(msg)


def _chosen(found: Sequence[Reach], rule: Rule, wanted: Grain | None, start: datetime, most_ticks: int) -> tuple[Reach, str]:
    """The finest grain that covers the period as well as any other, and what to know about it."""
    usable = [one for one in found if one.first is not None and one.rows and _fits(one.grain, rule)]
    if wanted is not None:
        usable = [one for one in usable if one.grain is wanted]
    if not usable:
        what = f"{wanted.value} of" if wanted else "trades or bars of"
        msg = f"there are no {what} {rule.target} after {start:%Y-%m-%d %H:%M:%S} UTC; choose another time, or backfill first"
        raise UsageError(msg)
    earliest = min(one.first for one in usable if one.first is not None)
    near = [one for one in usable if one.first is not None and one.first <= max(earliest, start) + _LATE]
    taken = next((one for one in near if wanted or one.grain is not Grain.TICKS or one.rows <= most_ticks), near[-1])
    notes = []
    if taken.first is not None and taken.first > start + _LATE:
        notes.append(f"there is nothing before {taken.first:%Y-%m-%d %H:%M} UTC")
    if taken.grain is Grain.SECONDS:
        notes.append("replayed from 1s bars: each is seen when it is over, what happened within a second is not")
    if taken.grain is Grain.MINUTES:
        notes.append("replayed from 1m candles: each is seen when it is over, what happened within a minute is not")
    return taken, "; ".join(notes)


def _fits(grain: Grain, rule: Rule) -> bool:
    """Whether a grain is fine enough for the rule's bars, and for ages."""
    if grain is not Grain.MINUTES:
        return True
    return rule.metric is not Metric.DATA_AGE and (rule.timeframe is None or rule.timeframe.seconds >= 60)


def _trades(updates: pl.DataFrame) -> TradeColumns:
    """Updates as the engine takes trades: it groups them by point, symbol and second, as they are grouped already."""
    rows = updates.height
    ids = updates["last_id"].to_numpy().astype(np.int64)
    truth = np.ones(rows, np.bool_)
    times = updates["second"].to_numpy().astype(np.int64) * 1_000
    amounts = [(updates[name].cast(pl.Decimal(38, 8)) * UNIT).cast(pl.Int64).to_numpy() for name in ("price", "qty")]
    return TradeColumns(
        symbols=Symbols.of(updates["symbol"].to_list()),
        trade_id=ids,
        price=amounts[0],
        qty=amounts[1],
        event_time_ms=times,
        recv_ns=times,
        buyer_is_maker=truth,
        first_id=ids,
        last_id=ids,
        market=truth,
        aggregate=truth,
        line=np.arange(rows),
    )


def _us(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)
