"""Alert rules evaluated inside the landing transaction, on the 100 ms grid of journal time.

Values that trades change are looked at at the grid point at which the trade became known; values
that time changes (age, a leg that has gone silent) at every whole second. So where the journal is cut
into batches changes no event.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.alerts import (
    GRID_US,
    AlertEvent,
    AlertState,
    Metric,
    Rule,
    TargetKind,
    acknowledge,
    advance,
    deadline_us,
    retire,
    step,
    validate,
)
from pipeline.analytics import align, signal_series
from pipeline.bars import UNIT, Book, LastPrice, Update
from pipeline.errors import AnalyticsError, RuleError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.notify.delivery import outbox_rows
from pipeline.store.bars import load_bars
from pipeline.store.live import ActiveModel, LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.warehouse.landing import Landed
from pipeline.warehouse.signals import SignalWindows

_log = logging.getLogger(__name__)

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_LONGEST_CATCH_UP_US = 3_600 * _SECOND_US
_AHEAD_US = 3_600 * _SECOND_US

Instance = tuple[str, str]


class AlertEngine:
    """All rules, their instances and the market that they watch."""

    def __init__(
        self,
        store: LiveStore,
        bars: Warehouse,
        windows: SignalWindows,
        timeframes: Sequence[Timeframe],
        channels: Sequence[str],
    ) -> None:
        self._store = store
        self._bars = bars
        self._windows = windows
        self._timeframes = tuple(timeframes)
        self._channels = tuple(channels)
        self._universe = Universe(())
        self._seen_us: int | None = None
        self._again: set[str] = set()
        self._written = False
        self._read()

    def forget(self) -> None:
        """Read everything from the tables again, after a transaction that did not commit."""
        self._read()

    def set_universe(self, universe: Universe, now_us: int | None = None) -> None:
        """Watch another universe; with a time, instances of series that have left it end then."""
        self._universe = universe
        for key in list(self._states) if now_us is not None else ():
            rule = self._rules.get(key[0])
            if rule is not None and now_us is not None and key[1] not in self._series(rule):
                self._end(rule, key, now_us, "its series left the universe")
        self._follow()

    # ------------------------------------------------------------------ changes by people

    def put(self, text: str, now_us: int) -> None:
        """Create or replace a rule given as JSON.

        Raises:
            RuleError: when it makes no sense or could never fire.
        """
        rule = Rule.from_json(text)
        validate(
            rule,
            zscore_window=self._windows.zscore,
            known_symbols=self._universe.symbols,
            known_pairs=[spec.pair for spec in self._universe.pairs],
            timeframes=self._timeframes,
        )
        self._retire(rule.rule_id, now_us, "the rule was changed")
        self._rules[rule.rule_id] = rule
        self._store.put_rule(rule.rule_id, rule.to_json(), enabled=rule.enabled, at=_time(now_us))
        self._follow()

    def enable(self, rule_id: str, *, enabled: bool, now_us: int) -> None:
        """Switch a rule on or off.

        Raises:
            RuleError: when there is no such rule.
        """
        self._retire(rule_id, now_us, "the rule was switched off")
        rule = replace(self._known(rule_id), enabled=enabled)
        self._rules[rule_id] = rule
        self._store.put_rule(rule_id, rule.to_json(), enabled=enabled, at=_time(now_us))
        self._follow()

    def delete(self, rule_id: str, now_us: int) -> None:
        """Remove a rule; its history stays.

        Raises:
            RuleError: when there is no such rule.
        """
        self._known(rule_id)
        self._retire(rule_id, now_us, "the rule was deleted")
        del self._rules[rule_id]
        self._store.delete_rule(rule_id)

    def acknowledge(self, rule_id: str, series: str, by: str, now_us: int) -> None:
        """Take note of a firing alert.

        Raises:
            RuleError: when there is no such alert.
        """
        rule = self._known(rule_id)
        state = self._states.get((rule_id, series))
        if state is None:
            msg = f"alert {rule_id} on {series} does not exist; `spreadwatch alert list` shows those that do"
            raise RuleError(msg)
        after, event = acknowledge(rule, state, now_us, by)
        self._keep(state, after, [event] if event else [])

    # ------------------------------------------------------------------ evaluation

    def landed(self, landed: Landed) -> None:
        """Evaluate every grid point that journal time has passed with this batch.

        A point is past when journal time is beyond it, for until then a trade may still become known at it. What becomes known
        at the point that is not past yet, one at most, is taken into the book: nothing is evaluated before that point.
        """
        clock = landed.clock
        until = (clock.time_us - 1) // GRID_US * GRID_US + (GRID_US if clock.ended else 0)
        rules = [rule for rule in self._rules.values() if rule.enabled]
        if not rules:
            self._seen_us, self._again = until, set()
            if self._written:
                self._store.clear_alert_progress()
                self._written = False
            return
        by_grid: dict[int, list[Update]] = {}
        for update in _updates(landed, {symbol for symbol, _ in self._watched_symbols(rules)}):
            by_grid.setdefault(update.grid_us, []).append(update)
        changed = {point: {update.symbol for update in updates} for point, updates in by_grid.items()}
        if self._seen_us is None or self._seen_us <= 0:
            start = min((*changed, until))  # nothing was known before
        else:
            start = self._seen_us
            if self._again:
                changed.setdefault(start + GRID_US, set()).update(self._again)
        past = [point for point in changed if point <= until]
        for point in sorted({*past, *_seconds(start, past, until)}):
            for update in by_grid.pop(point, ()):
                self._book.apply(update)
            if point % _MINUTE_US == 0:
                self._fill_klines(point)
            self._visit(rules, point, None if point % _SECOND_US == 0 else changed[point])
        self._again = set().union(*(symbols for point, symbols in changed.items() if point > until))
        for update in itertools.chain(*by_grid.values()):
            self._book.apply(update)
        for key, state in list(self._states.items()):
            rule = self._rules.get(key[0])
            deadline = deadline_us(rule, state) if rule and rule.enabled else None
            if rule and deadline is not None and deadline <= until:
                after, event = step(rule, state, deadline, state.value)
                self._keep(state, after, [event] if event else [])
        self._seen_us = max(until, start)
        self._remember()

    def _remember(self) -> None:
        prices = {symbol: [known.price, known.last_id, known.known_us] for symbol, known in self._book.prices.items()}
        self._store.set_alert_progress(self._seen_us or 0, json.dumps({"again": sorted(self._again), "prices": prices}))
        self._written = True

    def _visit(self, rules: Iterable[Rule], point: int, changed: set[str] | None) -> None:
        """Evaluate the instances that ``changed`` symbols concern; None: all."""
        for rule in rules:
            for series in rule.series(self._universe.symbols, [spec.pair for spec in self._universe.pairs]):
                if changed is not None and not changed.intersection(series.split("/")):
                    continue
                state = self._states.get((rule.rule_id, series)) or AlertState(rule_id=rule.rule_id, series=series)
                after, events = advance(rule, state, point, self._value(rule, series, point))
                if after is not state:
                    self._keep(state, after, events)

    def _value(self, rule: Rule, series: str, now_us: int) -> float | None:
        match rule.metric:
            case Metric.PRICE:
                return self._book.price(series)
            case Metric.DATA_AGE:
                return self._book.age_s(series, now_us)
            case Metric.RETURN:
                return self._book.change(series, _frame(rule), rule.window or 1, now_us)
            case Metric.VOLUME:
                return self._book.volume(series, _frame(rule), rule.window or 1, now_us)
            case _:
                return self._pair_value(rule.metric, Pair.parse(series), _frame(rule), now_us)

    def _pair_value(self, metric: Metric, pair: Pair, frame: Timeframe, now_us: int) -> float | None:
        model = self._model(pair, frame, now_us)
        if model is None:
            return None
        match metric:
            case Metric.BETA:
                return model.beta
            case Metric.HALF_LIFE:
                return math.inf if model.half_life is None else model.half_life
            case Metric.EG_P:
                return model.eg_p
            case _:
                return self._provisional(metric, pair, frame, model, now_us)

    def _provisional(self, metric: Metric, pair: Pair, frame: Timeframe, model: ActiveModel, now_us: int) -> float | None:
        """The value with the bar of this moment as the newest; None when a leg is silent or the window not full."""
        try:
            end_us = frame.bucket_us(now_us) + frame.us
            y, x = self._book.closes(pair.y, frame, now_us), self._book.closes(pair.x, frame, now_us)
            legs = align(*y, *x, frame.us, self._windows.max_fill, end_us=end_us)
            # A leg that is silent for longer than may be filled has no value now, whatever the last one was.
            if not len(legs) or int(legs.ts[-1]) + frame.us < end_us:
                return None
            found = signal_series(
                legs.y,
                legs.x,
                model.beta,
                scale=model.scale.value,
                zscore_window=self._windows.zscore,
                correlation_window=self._windows.correlation,
            )
        except AnalyticsError:
            return None
        series = {Metric.ZSCORE: found.zscore, Metric.SPREAD: found.spread, Metric.CORRELATION: found.correlation}[metric]
        value = float(series[-1])
        return None if math.isnan(value) else value

    def _model(self, pair: Pair, frame: Timeframe, now_us: int) -> ActiveModel | None:
        models = [model for model in self._models.get((pair, frame), ()) if model.active_from_us <= frame.bucket_us(now_us)]
        return models[-1] if models else None

    def models_changed(self, now_us: int) -> None:
        """Read the live models of the watched pairs again."""
        self._models = {}
        for rule in self._rules.values():
            if rule.facts.kind is TargetKind.PAIR and rule.enabled:
                for series in self._series(rule):
                    pair, frame = Pair.parse(series), _frame(rule)
                    self._models[pair, frame] = self._store.active_models(pair, frame, since_us=now_us - frame.us)

    # ------------------------------------------------------------------ memory

    def _read(self) -> None:
        self._rules = {rule.rule_id: rule for rule in map(Rule.from_json, self._store.rules())}
        states = map(AlertState.from_json, self._store.states())
        self._states: dict[Instance, AlertState] = {(state.rule_id, state.series): state for state in states}
        self._book = Book(self._windows.reach)
        self._seen_us, self._again = None, set()
        progress = self._store.alert_progress()
        self._written = progress is not None
        if progress is not None:
            self._seen_us, content = progress[0], json.loads(progress[1])
            self._again = set(content["again"])
            self._book.prices = {symbol: LastPrice(*known) for symbol, known in content["prices"].items()}
        self._follow()

    def _follow(self) -> None:
        """Make the book keep what the rules need."""
        rules = [rule for rule in self._rules.values() if rule.enabled]
        watched = self._watched_symbols(rules)
        unknown = {symbol for symbol, _ in watched}.difference(self._book.prices)
        if unknown:
            for symbol, price, last_id, ts_us in self._store.last_prices():
                if symbol in unknown:
                    self._book.prices[symbol] = LastPrice(price, last_id, ts_us)
        reach = max((rule.window or 1 for rule in rules), default=1) + 1
        fresh = [(symbol, frame) for symbol, frame in watched if frame is not None and self._book.follow(symbol, frame)]
        if reach > self._book.reach:
            self._book.reach = reach
            fresh = self._book.followed
        for symbol, frame in fresh:
            self._fill(symbol, frame)
        for key in [key for key in self._states if key[0] not in self._rules]:
            del self._states[key]
        self.models_changed(self._seen_us or 0)

    def _fill(self, symbol: str, frame: Timeframe) -> None:
        """Read the bars of a series from the tables."""
        newest = max((known.known_us for known in self._book.prices.values()), default=0)
        now_us = newest if self._seen_us is None else self._seen_us
        # Event time may be ahead of our own clock.
        rows = load_bars(
            self._bars, symbol, frame, start=_time(max(self._book.start_us(frame, now_us), 0)), end=_time(now_us + frame.us + _AHEAD_US)
        )
        self._book.fill(symbol, frame, _book_bars(rows))

    def _fill_klines(self, point: int) -> None:
        """Read candlesticks that backfill may have fetched since; bars from trades are in the book already."""
        followed = self._book.followed
        for frame in {frame for _, frame in followed if frame.us >= _MINUTE_US}:
            bars: dict[str, list[tuple[int, float, int, int]]] = {}
            start_us = max(self._book.start_us(frame, point), 0)
            for symbol, ts_us, close, volume in self._store.klines(frame, start_us=start_us, end_us=frame.bucket_us(point)):
                bars.setdefault(symbol, []).append((ts_us, close, int(volume * UNIT), -1))
            for symbol in {symbol for symbol, its in followed if its == frame}.intersection(bars):
                self._book.fill(symbol, frame, bars[symbol])

    def _watched_symbols(self, rules: Iterable[Rule]) -> list[tuple[str, Timeframe | None]]:
        return [(symbol, rule.timeframe) for rule in rules for series in self._series(rule) for symbol in series.split("/")]

    def _series(self, rule: Rule) -> tuple[str, ...]:
        return rule.series(self._universe.symbols, [spec.pair for spec in self._universe.pairs])

    def _known(self, rule_id: str) -> Rule:
        rule = self._rules.get(rule_id)
        if rule is None:
            msg = f"alert rule {rule_id!r} does not exist; `spreadwatch alert list` shows those that do"
            raise RuleError(msg)
        return rule

    def _retire(self, rule_id: str, now_us: int, reason: str) -> None:
        rule = self._rules.get(rule_id)
        if rule is not None:
            for key in [key for key in self._states if key[0] == rule_id]:
                self._end(rule, key, now_us, reason)

    def _end(self, rule: Rule, key: Instance, now_us: int, reason: str) -> None:
        _, event = retire(rule, self._states.pop(key), now_us, reason)
        self._write_events([event] if event else [])
        self._store.drop_state(*key)

    def _keep(self, before: AlertState, after: AlertState, events: Sequence[AlertEvent]) -> None:
        if after is before:
            return
        self._states[after.rule_id, after.series] = after
        self._store.put_state(
            [after.rule_id, after.series, after.phase.value, after.since_us, _finite(after.value), after.acknowledged, after.to_json()]
        )
        self._write_events(events)

    def _write_events(self, events: Sequence[AlertEvent]) -> None:
        self._store.add_events(
            [
                [
                    event.event_id,
                    event.rule_id,
                    event.series,
                    event.kind.value,
                    event.at_us,
                    _finite(event.value),
                    event.threshold,
                    event.severity.value,
                    event.text,
                    event.to_json(),
                ]
                for event in events
            ]
        )
        for event in events:
            self._store.add_outbox(
                [
                    [row.event_id, row.channel, row.rule_id, row.series, row.payload, row.due_us]
                    for row in outbox_rows(event, self._channels, event.at_us)
                ]
            )
            _log.info("alert", extra={"rule": event.rule_id, "series": event.series, "kind": event.kind.value, "value": event.value})


def _updates(landed: Landed, symbols: set[str]) -> list[Update]:
    """The trades of the watched symbols, those of one grid point and one second of event time together."""
    trades = landed.trades
    if not len(trades):
        return []
    wanted = np.array([name in symbols for name in trades.symbols.names], np.bool_)[trades.symbols.codes]
    rows = np.flatnonzero(wanted)
    if not rows.size:
        return []
    grid = -(-landed.known_us[rows] // GRID_US) * GRID_US
    seconds = trades.event_time_ms[rows] // 1_000
    keys = np.stack([grid, trades.symbols.codes[rows].astype(np.int64), seconds], axis=1)
    groups, inverse = np.unique(keys, axis=0, return_inverse=True)
    qty = np.zeros(len(groups), np.int64)
    np.add.at(qty, inverse.ravel(), np.rint(np.array([float(trades.qty[row]) for row in rows]) * UNIT).astype(np.int64))
    # The price of a group is that of its highest id, wherever that line stands.
    by_id = np.argsort(trades.last_id[rows], kind="stable")
    last = np.zeros(len(groups), np.int64)
    last[inverse.ravel()[by_id]] = rows[by_id]
    return [
        Update(
            int(group[0]),
            trades.symbols.names[int(group[1])],
            int(group[2]) * _SECOND_US,
            float(trades.price[int(row)]),
            int(amount),
            int(trades.last_id[int(row)]),
        )
        for group, row, amount in zip(groups, last, qty, strict=True)
    ]


def _seconds(start: int, points: Sequence[int], until: int) -> Iterator[int]:
    """Whole seconds behind ``start``, up to ``until``; of a stretch between two points only the first hour."""
    before = start
    for point in [*sorted(points), until]:
        first = (before // _SECOND_US + 1) * _SECOND_US
        yield from range(first, min(point, before + _LONGEST_CATCH_UP_US) + 1, _SECOND_US)
        before = point


def _book_bars(rows: pl.DataFrame) -> Iterator[tuple[int, float, int, int]]:
    """Open time, close, volume and last id of bars, as the book takes them."""
    volumes = (int(volume * UNIT) for volume in rows["volume"])
    ids = rows["last_id"].fill_null(-1)
    return zip(rows["ts"].to_physical(), rows["close"].cast(pl.Float64), volumes, ids, strict=True)


def _frame(rule: Rule) -> Timeframe:
    if rule.timeframe is None:
        msg = f"alert rule {rule.rule_id} has no timeframe, which {rule.facts.label} needs; give it one"
        raise RuleError(msg)
    return rule.timeframe


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
