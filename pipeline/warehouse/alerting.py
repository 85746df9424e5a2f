"""Alert rules evaluated inside the landing transaction, on the 100 ms grid of journal time.

Values that trades change are looked at at the grid point at which the trade became known; values
that time changes (age, a leg that has gone silent) at every whole second. So where the journal is cut
into batches changes no event.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

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
from pipeline.bars import Book, Update
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
        self._waiting: list[Update] = []
        self._models: dict[tuple[Pair, Timeframe], list[ActiveModel]] = {}
        self._seen_us: int | None = None
        self._filled_us = 0
        self._read()

    def forget(self) -> None:
        """Read everything from the tables again, after a transaction that did not commit."""
        self._waiting = []
        self._seen_us = None
        self._read()

    def set_universe(self, universe: Universe) -> None:
        """Watch another universe: instances of series that have left it end."""
        self._universe = universe
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
        """Evaluate every grid point that journal time has passed with this batch."""
        rules = [rule for rule in self._rules.values() if rule.enabled]
        if not rules:
            self._seen_us = landed.clock.time_us
            return
        self._waiting.extend(_updates(landed, {symbol for symbol, _ in self._watched_symbols(rules)}))
        until = landed.clock.time_us // GRID_US * GRID_US
        if landed.clock.ended:
            until += GRID_US
        start = self._seen_us if self._seen_us is not None else until
        start = max(start, until - _LONGEST_CATCH_UP_US)
        due = [update for update in self._waiting if update.grid_us <= until]
        self._waiting = [update for update in self._waiting if update.grid_us > until]
        by_grid: dict[int, list[Update]] = {}
        for update in due:
            by_grid.setdefault(update.grid_us, []).append(update)
        first_second = (start // _SECOND_US + 1) * _SECOND_US
        seconds = range(first_second, until + 1, _SECOND_US)
        for point in sorted({*by_grid, *seconds}):
            updates = by_grid.get(point, [])
            for update in updates:
                self._book.apply(update)
            if point % _MINUTE_US == 0:
                self._fill(point)
            everything = point % _SECOND_US == 0
            self._visit(rules, point, None if everything else {update.symbol for update in updates})
        for key, state in list(self._states.items()):
            rule = self._rules.get(key[0])
            deadline = deadline_us(rule, state) if rule and rule.enabled else None
            if rule and deadline is not None and deadline <= until:
                after, event = step(rule, state, deadline, state.value)
                self._keep(state, after, [event] if event else [])
        self._seen_us = max(until, self._seen_us or 0)

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
            legs = align(*self._book.closes(pair.y, frame), *self._book.closes(pair.x, frame), frame.us, self._windows.max_fill)
            # A leg that is silent for longer than may be filled has no value now, whatever the last one was.
            if not len(legs) or frame.bucket_us(now_us) - int(legs.ts[-1]) > self._windows.max_fill * frame.us:
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
        self._book = Book(self._windows.reach + 2)
        self._follow()

    def _follow(self) -> None:
        """Make the book keep what the rules need."""
        rules = [rule for rule in self._rules.values() if rule.enabled]
        longest = max((rule.window or 1 for rule in rules), default=1)
        if longest + 2 > self._windows.reach:
            self._book = Book(longest + 4 + self._windows.reach)
        if rules and not self._book.followed:
            for symbol, price, time_us in self._store.last_prices():
                self._book.seed_price(symbol, price, time_us)
        fresh = [self._book.follow(symbol, frame) for symbol, frame in self._watched_symbols(rules) if frame is not None]
        if any(fresh):
            self._fill(None)
        for key in [key for key in self._states if key[0] not in self._rules]:
            del self._states[key]
        self.models_changed(self._seen_us or 0)

    def _fill(self, before_us: int | None) -> None:
        """Read older bars of the followed series, which backfill may have fetched since."""
        for symbol, frame in self._book.followed:
            newest = self._newest_us(frame, before_us)
            start = _time(newest - (self._windows.reach + 2) * frame.us)
            rows = load_bars(self._bars, symbol, frame, start=start, end=_time(newest + frame.us))
            bars = zip(rows["ts"].to_physical(), rows["close"].cast(float), rows["volume"].cast(float), strict=True)
            self._book.fill(symbol, frame, bars, before_us=newest if before_us is not None else newest + frame.us)

    def _newest_us(self, frame: Timeframe, before_us: int | None) -> int:
        if before_us is not None:
            return frame.bucket_us(before_us)
        prices = self._store.last_prices()
        return frame.bucket_us(max((time_us for _, _, time_us in prices), default=0))

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
        old = self._rules.get(rule_id)
        for key in [key for key in self._states if key[0] == rule_id]:
            if old is not None:
                _, event = retire(old, self._states[key], now_us, reason)
                self._write_events([event] if event else [])
            self._store.drop_state(*key)
            del self._states[key]

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
    qty = np.bincount(inverse.ravel(), weights=np.array([float(trades.qty[row]) for row in rows]), minlength=len(groups))
    last = np.zeros(len(groups), np.int64)
    last[inverse.ravel()] = rows  # rows ascend, so the last one of each group stays
    return [
        Update(
            int(group[0]),
            trades.symbols.names[int(group[1])],
            int(group[2]) * _SECOND_US,
            float(trades.price[int(row)]),
            float(amount),
            int(trades.last_id[int(row)]),
        )
        for group, row, amount in zip(groups, last, qty, strict=True)
    ]


def _frame(rule: Rule) -> Timeframe:
    if rule.timeframe is None:
        msg = f"alert rule {rule.rule_id} has no timeframe, which {rule.facts.label} needs; give it one"
        raise RuleError(msg)
    return rule.timeframe


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
