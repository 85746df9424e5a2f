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

from pipeline.alerts import (
    GRID_US,
    AlertEvent,
    AlertState,
    Reading,
    Rule,
    acknowledge,
    deadline_us,
    mute,
    retire,
    snooze,
    step,
    unmute,
    unsnooze,
    utc,
    validate,
)
from pipeline.bars import LastPrice, Update
from pipeline.errors import RuleError
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.notify.delivery import outbox_rows
from pipeline.store.live import LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.warehouse.landing import Landed
from pipeline.warehouse.market import Market, updates
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
        rule, state = self._instance(rule_id, series)
        self._keep(state, *acknowledge(rule, state, now_us, by))

    def snooze(self, rule_id: str, series: str, until_us: int | None, by: str, now_us: int) -> None:
        """Have nobody told of an alert until a time; None ends that.

        Raises:
            RuleError: when there is no such alert, or the time is past.
        """
        rule, state = self._instance(rule_id, series)
        if until_us is None:
            self._keep(state, *unsnooze(rule, state, now_us, by))
            return
        if until_us <= now_us:
            msg = f"an alert cannot be snoozed until {utc(until_us)}, which is past; choose a later time"
            raise RuleError(msg)
        self._keep(state, *snooze(rule, state, now_us, until_us, by))

    def mute(self, rule_id: str, series: str, by: str, now_us: int, *, muted: bool) -> None:
        """Have nobody told of an alert, or told again.

        Raises:
            RuleError: when there is no such alert.
        """
        rule, state = self._instance(rule_id, series)
        self._keep(state, *(mute if muted else unmute)(rule, state, now_us, by))

    # ------------------------------------------------------------------ evaluation

    def landed(self, landed: Landed) -> None:
        """Evaluate every grid point that journal time has passed with this batch.

        A point is past when journal time is beyond it, for until then a trade may still become known at it. What becomes known
        at the point that is not past yet, one at most, is taken into the book: nothing is evaluated before that point.
        """
        clock = landed.clock
        until = (clock.time_us - 1) // GRID_US * GRID_US + (GRID_US if clock.ended else 0)
        rules = self._rules_on()
        if not rules:
            self._seen_us, self._again = until, set()
            if self._written:
                self._store.clear_alert_progress()
                self._written = False
            return
        by_grid: dict[int, list[Update]] = {}
        for update in updates(landed, {symbol for symbol, _ in self._watched_symbols(rules)}):
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
                self._market.book.apply(update)
            if point % _MINUTE_US == 0:
                self._market.fill_klines(point)
            self._visit(rules, point, None if point % _SECOND_US == 0 else changed[point])
        self._again = set().union(*(symbols for point, symbols in changed.items() if point > until))
        for update in itertools.chain(*by_grid.values()):
            self._market.book.apply(update)
        for key, state in list(self._states.items()):
            rule = self._rules.get(key[0])
            deadline = deadline_us(rule, state, self._seen_us or 0) if rule and rule.enabled else None
            if rule and deadline is not None and deadline <= until:
                self._keep(state, *step(rule, state, deadline, Reading(state.value)))
        self._seen_us = max(until, start)
        self._remember()

    def _remember(self) -> None:
        prices = {symbol: [known.price, known.last_id, known.known_us] for symbol, known in self._market.book.prices.items()}
        self._store.set_alert_progress(self._seen_us or 0, json.dumps({"again": sorted(self._again), "prices": prices}))
        self._written = True

    def _visit(self, rules: Iterable[Rule], point: int, changed: set[str] | None) -> None:
        """Evaluate the instances that ``changed`` symbols concern; None: all."""
        for rule in rules:
            for series in rule.series(self._universe.symbols, [spec.pair for spec in self._universe.pairs]):
                if changed is not None and not changed.intersection(series.split("/")):
                    continue
                state = self._states.get((rule.rule_id, series)) or AlertState(rule_id=rule.rule_id, series=series)
                after, events = step(rule, state, point, Reading(self._market.value(rule, series, point)))
                if after is not state:
                    self._keep(state, after, events)

    # ------------------------------------------------------------------ memory

    def _read(self) -> None:
        self._rules = {rule.rule_id: rule for rule in map(Rule.from_json, self._store.rules())}
        states = map(AlertState.from_json, self._store.states())
        self._states: dict[Instance, AlertState] = {(state.rule_id, state.series): state for state in states}
        self._market = Market(self._store, self._bars, self._windows)
        self._seen_us, self._again = None, set()
        progress = self._store.alert_progress()
        self._written = progress is not None
        if progress is not None:
            self._seen_us, content = progress[0], json.loads(progress[1])
            self._again = set(content["again"])
            self._market.book.prices = {symbol: LastPrice(*known) for symbol, known in content["prices"].items()}
        self._follow()

    def models_changed(self, now_us: int) -> None:
        """Read the live models of the watched pairs again."""
        self._market.read_models(self._rules_on(), self._series, now_us)

    def _follow(self) -> None:
        """Make the book keep what the rules need."""
        rules = self._rules_on()
        longest = max((rule.window or 1 for rule in rules), default=1)
        self._market.follow(self._watched_symbols(rules), longest=longest, now_us=self._seen_us)
        for key in [key for key in self._states if key[0] not in self._rules]:
            del self._states[key]
        self.models_changed(self._seen_us or 0)

    def _rules_on(self) -> list[Rule]:
        return [rule for rule in self._rules.values() if rule.enabled]

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

    def _instance(self, rule_id: str, series: str) -> tuple[Rule, AlertState]:
        rule = self._known(rule_id)
        state = self._states.get((rule_id, series))
        if state is None:
            if series not in self._series(rule):
                msg = f"alert {rule_id} on {series} does not exist; `spreadwatch alert list` shows those that do"
                raise RuleError(msg)
            state = AlertState(rule_id=rule_id, series=series)
        return rule, state

    def _retire(self, rule_id: str, now_us: int, reason: str) -> None:
        rule = self._rules.get(rule_id)
        if rule is not None:
            for key in [key for key in self._states if key[0] == rule_id]:
                self._end(rule, key, now_us, reason)

    def _end(self, rule: Rule, key: Instance, now_us: int, reason: str) -> None:
        _, events = retire(rule, self._states.pop(key), now_us, reason)
        self._write_events(events)
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
                    for row in outbox_rows(event, event.channels or self._channels, event.at_us)
                ]
            )
            _log.info("alert", extra={"rule": event.rule_id, "series": event.series, "kind": event.kind.value, "value": event.value})


def _seconds(start: int, points: Sequence[int], until: int) -> Iterator[int]:
    """Whole seconds behind ``start``, up to ``until``; of a stretch between two points only the first hour."""
    before = start
    for point in [*sorted(points), until]:
        first = (before // _SECOND_US + 1) * _SECOND_US
        yield from range(first, min(point, before + _LONGEST_CATCH_UP_US) + 1, _SECOND_US)
        before = point


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
