"""Alert rules evaluated inside the landing transaction, on the 100 ms grid of journal time.

A value is looked at at the grid point at which something that it is made of became known, and at the whole second at which time alone
may change it; a bar close at the grid point after its end plus lateness. Looking at any other point besides would change nothing. So
neither where the journal is cut into batches nor where the process dies changes an event, and a silence costs what changes in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.alerts import (
    GRID_US,
    METRICS,
    AlertState,
    MadeBy,
    Metric,
    Reading,
    Rule,
    acknowledge,
    deadline_us,
    grid_us,
    look,
    mute,
    retire,
    snooze,
    step,
    unmute,
    unsnooze,
    utc,
    validate,
)
from pipeline.alerts.state import Stepped
from pipeline.bars import LastPrice
from pipeline.errors import RuleError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.store.alert_inputs import AlertInputs, Measure
from pipeline.store.live import LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.warehouse.alert_writes import AlertWrites
from pipeline.warehouse.landing import Landed
from pipeline.warehouse.market import Market
from pipeline.warehouse.measured import Measured
from pipeline.warehouse.news import News
from pipeline.warehouse.rulebook import Rulebook
from pipeline.warehouse.signals import SignalWindows
from pipeline.warehouse.watch import Cell, Instance


class AlertEngine:
    """All rules, their instances and the market that they watch."""

    def __init__(  # noqa: PLR0917  what it reads from, then what it is told
        self,
        store: LiveStore,
        inputs: AlertInputs,
        bars: Warehouse,
        windows: SignalWindows,
        timeframes: Sequence[Timeframe],
        channels: Sequence[str],
        *,
        lateness_ms: int = 1_000,
        told: bool = True,
    ) -> None:
        self._store = store
        self._inputs = inputs
        self._bars = bars
        self._windows = windows
        self._timeframes = tuple(timeframes)
        self._channels = tuple(channels)
        self._lateness_us = lateness_ms * 1_000
        self._told = told  # in the log, too: not what a rule would have done
        self._universe = Universe(())
        self._seen_us: int | None = None
        self._again: set[str] = set()
        self._fresh: list[Cell] = []
        self._written = False
        self._read()

    @property
    def watches(self) -> int:
        """Number of distinct values that rules look at."""
        return len(self._book.cells)

    def forget(self) -> None:
        """Read everything from the tables again, after a transaction that did not commit."""
        self._read()

    def set_universe(self, universe: Universe, now_us: int | None = None) -> None:
        """Watch another universe; with a time, instances of series that have left it end then."""
        self._universe = universe
        rules = list(self._book.rules.values())
        states = self._states | {(found.state.rule_id, found.state.series): found.state for found in self._book.every_instance()}
        for rule in rules if now_us is not None else ():
            kept = rule.series(universe.symbols, [spec.pair for spec in universe.pairs])
            for series, (_, instance) in self._book.instances(rule.rule_id).items():
                if series not in kept and now_us is not None:
                    self._end(instance, now_us, "its series left the universe")
                    states.pop((rule.rule_id, series), None)
        self._follow(rules, states)

    # ------------------------------------------------------------------ changes by people

    def put(self, text: str, now_us: int) -> None:
        """Create or replace a rule given as JSON.

        Raises:
            RuleError: when it makes no sense or could never fire.
        """
        rule = Rule.from_json(text)
        self._validate(rule, now_us)
        self._retire(rule.rule_id, now_us, "the rule was changed")
        self._take(rule, now_us)

    def enable(self, rule_id: str, *, enabled: bool, now_us: int) -> None:
        """Switch a rule on or off.

        Raises:
            RuleError: when there is no such rule, or it has expired.
        """
        rule = replace(self._known(rule_id), enabled=enabled)
        if enabled:
            self._validate(rule, now_us)
        self._retire(rule_id, now_us, "the rule was switched off")
        self._take(rule, now_us)

    def delete(self, rule_id: str, now_us: int) -> None:
        """Remove a rule; its history stays.

        Raises:
            RuleError: when there is no such rule.
        """
        self._known(rule_id)
        self._retire(rule_id, now_us, "the rule was deleted")
        self._book.remove(rule_id)
        self._store.delete_rule(rule_id)

    def acknowledge(self, rule_id: str, series: str, by: str, now_us: int) -> None:
        """Take note of a firing alert.

        Raises:
            RuleError: when there is no such alert.
        """
        self._act(rule_id, series, lambda rule, state: acknowledge(rule, state, now_us, by))

    def snooze(self, rule_id: str, series: str, until_us: int | None, by: str, now_us: int) -> None:
        """Have nobody told of an alert until a time; None ends that.

        Raises:
            RuleError: when there is no such alert, or the time is past.
        """
        if until_us is not None and until_us <= now_us:
            msg = f"an alert cannot be snoozed until {utc(until_us)}, which is past; choose a later time"
            raise RuleError(msg)
        self._act(
            rule_id,
            series,
            lambda rule, state: unsnooze(rule, state, now_us, by) if until_us is None else snooze(rule, state, now_us, until_us, by),
        )

    def mute(self, rule_id: str, series: str, by: str, now_us: int, *, muted: bool) -> None:
        """Have nobody told of an alert, or told again.

        Raises:
            RuleError: when there is no such alert.
        """
        self._act(rule_id, series, lambda rule, state: (mute if muted else unmute)(rule, state, now_us, by))

    # ------------------------------------------------------------------ what is taken in beside trades

    def model_changed(self, pair: Pair, frame: Timeframe) -> None:
        """Read the live models of a pair again."""
        self._market.model_changed(pair, frame)
        self._look_soon(self._book.of_pair(pair, frame))

    def measured(self, measures: Iterable[Measure]) -> None:
        """Take in what flows have measured, as the journal says."""
        measures = self._market.measured.news(measures)
        self._inputs.keep(measures)
        for measure in measures:
            self._market.measured.take(measure)
        self._look_soon(self._book.of_metric(metric for metric in Metric if METRICS[metric].made_by is MadeBy.FLOW))

    def gap_settled(self, symbol: str) -> None:
        """An open gap of a symbol has got its final state."""
        self._market.gaps[symbol] = max(self._market.gaps.get(symbol, 0) - 1, 0)
        self._look_soon(self._book.of_metric([Metric.GAPS]))

    def unmeasured(self) -> list[Measure]:
        """What flows have written since, of what rules watch; read from their tables."""
        found: list[Measure] = []
        for frame, symbols in self._book.measured().items():
            newest = min((self._market.measured.at_us(symbol, frame.name) for symbol in symbols), default=0)
            since_us = newest or max((self._seen_us or 0) - 1_000 * frame.us, 0)
            found += self._inputs.liquidity(frame.name, symbols, since_us=since_us)
        if self._book.watches_flows:
            found += self._inputs.flow_runs()
        return self._market.measured.news(found)

    # ------------------------------------------------------------------ evaluation

    def landed(self, landed: Landed) -> None:
        """Evaluate every grid point that journal time has passed with this batch.

        A point is past when journal time is beyond it, for until then a trade may still become known at it. What becomes known
        at the point that is not past yet, one at most, is taken into the book: nothing is evaluated before that point.
        """
        clock = landed.clock
        until = (clock.time_us - 1) // GRID_US * GRID_US + (GRID_US if clock.ended else 0)
        news = News.of(landed, self._symbols)
        seen = self._begin(landed)
        if not self._book.cells or seen is None:
            self._rest(news, None if seen is None else until)
            return
        if self._again:
            news.add_again(seen + GRID_US, self._again)
        points = sorted((point for point in news.points if point <= until), reverse=True)
        while True:
            planned = self._book.next_time()
            if planned is not None:
                planned = max(grid_us(planned), seen + GRID_US)
            point = min((time for time in (points[-1] if points else None, planned) if time is not None), default=None)
            if point is None or point > until:
                break
            if points and points[-1] == point:
                points.pop()
            self._visit(point, news)
            seen = max(seen, point)
        self._again = self._take_in(news)
        self._seen_us = max(until, seen)
        if clock.ended:
            self._finish(clock.time_us, until)
        self._remember()

    def _rest(self, news: News, until: int | None) -> None:
        """There is nothing to evaluate, or nothing has been traded yet."""
        self._take_in(news)
        self._again = set()
        self._seen_us = until
        self._writes.flush()
        if self._written:
            self._store.clear_alert_progress()
            self._written = False

    def _begin(self, landed: Landed) -> int | None:
        """The point up to which everything is evaluated. It all begins with the first trade of any symbol: None before."""
        seen = self._seen_us
        if seen is None:
            if not len(landed.trades):
                return None
            seen = self._seen_us = grid_us(int(landed.known_us[0])) - GRID_US
        fresh, self._fresh = self._fresh, []
        self._plan_soon(fresh, seen)
        return seen

    def _visit(self, point: int, news: News) -> None:
        """Evaluate one grid point."""
        for rule in self._book.expired(point):
            self._expire(rule, point)
        changed = self._take_in(news, point) | self._market.fill_klines(point)
        self._seen_us = point
        for cell in self._book.resting(changed):
            self._book.plan(cell, self._market.close_us(cell.watch, point - GRID_US))
        cells = dict.fromkeys(self._book.touched_by(changed) if changed else ())
        cells.update(dict.fromkeys(self._book.due_cells(point)))
        readings = {cell: self._evaluate(cell, point) for cell in cells if cell.instances}
        for cell, instance in self._book.due_instances(point):
            if instance.rule.on_bar_close:
                stepped = look(instance.rule, instance.state, point, Reading(instance.state.value))
                self._keep(cell, instance, stepped, point)
                continue
            if cell not in readings:
                readings[cell] = self._market.reading(cell.watch, point)
            self._step(cell, instance, point, readings[cell])
            cell.envelope()

    def _evaluate(self, cell: Cell, point: int) -> Reading:
        """Look at a cell, and plan when to look again."""
        reading = self._market.reading(cell.watch, point)
        self._judge(cell, point, reading)
        if cell.watch.on_close:
            rests = not cell.held and self._market.at_rest(cell.watch, point)
            self._book.plan(cell, None if rests else self._market.close_us(cell.watch, point))
        else:
            self._book.plan(cell, self._market.due_us(cell.watch, point, reading, cell.high))
        return reading

    def _judge(self, cell: Cell, point: int, reading: Reading) -> None:
        """Step the instances that a reading may move."""
        if reading.value is not None and cell.low <= reading.value <= cell.high:
            return
        moved = False
        for instance in cell.instances.values():
            if not instance.unmoved_by(reading):
                self._step(cell, instance, point, reading)
                moved = True
        if moved:
            cell.envelope()

    def _step(self, cell: Cell, instance: Instance, point: int, reading: Reading) -> None:
        stepped = step(instance.rule, instance.state, point, reading)
        self._keep(cell, instance, stepped, point)
        instance.settle(reading.value)

    def _finish(self, time_us: int, until: int) -> None:
        """An end line completes every bar: look at those that journal time has not completed."""
        for cell in self._book.closing():
            frame = cell.watch.frame
            if frame is None:
                continue
            first, last = self._market.end_us(cell.watch, until) + frame.us, frame.bucket_us(time_us) + frame.us
            for number, end_us in enumerate(range(first, last + 1, frame.us), 1):
                reading = self._market.reading(cell.watch, end_us + self._lateness_us)
                self._judge(cell, until + number * GRID_US, reading)

    def _take_in(self, news: News, point: int | None = None) -> set[str]:
        """Take in what became known at a point (None: whatever is left); the symbols that it is about."""
        changed: set[str] = set()
        for updates_, gaps, again in news.take(point):
            for update in updates_:
                self._market.book.apply(update)
                changed.add(update.symbol)
            for symbol, change in gaps:
                self._market.gaps[symbol] = self._market.gaps.get(symbol, 0) + change
                changed.add(symbol)
            changed |= again
        return changed

    def _expire(self, rule: Rule, point: int) -> None:
        self._retire(rule.rule_id, point, "the rule has expired")
        self._take(replace(rule, enabled=False), point)

    # ------------------------------------------------------------------ memory

    def _read(self) -> None:
        rules = [Rule.from_json(text) for text in self._store.rules()]
        states = [AlertState.from_json(text) for text in self._store.states()]
        # Of series that are not in the universe at this moment, too: it may not be known yet.
        self._states = {(state.rule_id, state.series): state for state in states}
        self._market = Market(self._store, self._bars, self._windows, lateness_us=self._lateness_us)
        self._market.measured = Measured(self._inputs.kept())
        self._writes = AlertWrites(self._store, self._channels, told=self._told)
        self._seen_us, self._again = self._store.traded_until_us(), set()
        if self._seen_us is not None:
            self._seen_us = (self._seen_us - 1) // GRID_US * GRID_US
        progress = self._store.alert_progress()
        self._written = progress is not None
        if progress is not None:
            self._seen_us, content = progress[0], json.loads(progress[1])
            self._again = set(content["again"])
            self._market.book.prices = {symbol: LastPrice(*known) for symbol, known in content["prices"].items()}
        self._follow(rules, self._states)

    def _remember(self) -> None:
        prices = {symbol: [known.price, known.last_id, known.known_us] for symbol, known in self._market.book.prices.items()}
        self._store.set_alert_progress(self._seen_us or 0, json.dumps({"again": sorted(self._again), "prices": prices}))
        self._written = True
        self._writes.flush()

    def _follow(self, rules: Sequence[Rule], states: Mapping[tuple[str, str], AlertState]) -> None:
        """Index the rules anew, for the universe as it is."""
        self._book = Rulebook(self._universe.symbols, tuple(spec.pair for spec in self._universe.pairs))
        self._market.symbols = self._universe.symbols
        self._symbols: set[str] = set()
        self._fresh = []
        for rule in rules:
            for cell in self._book.add(rule, states):
                self._fresh.append(cell)
        self._watch(rules)
        for rule in rules:
            for cell, instance in self._book.instances(rule.rule_id).values():
                self._replan(cell, instance)

    def _watch(self, rules: Iterable[Rule]) -> None:
        """Keep what the rules need."""
        on = [rule for rule in rules if rule.enabled]
        watched = set(self._book.watched(on))
        self._symbols |= {symbol for symbol, _ in watched}
        self._market.follow(watched, longest=max((rule.window or 1 for rule in on), default=1), now_us=self._seen_us)

    def _take(self, rule: Rule, now_us: int) -> None:
        """Write a rule, and look at it from the next point on."""
        self._store.put_rule(rule.rule_id, rule.to_json(), enabled=rule.enabled, at=_time(now_us))
        cells = self._book.add(rule, {})
        self._watch([rule])
        self._look_soon(cells)

    def _look_soon(self, cells: Iterable[Cell]) -> None:
        if self._seen_us is None:
            self._fresh += cells
        else:
            self._plan_soon(cells, self._seen_us)

    def _plan_soon(self, cells: Iterable[Cell], seen: int) -> None:
        for cell in cells:
            if cell.instances:
                self._book.plan(cell, self._market.close_us(cell.watch, seen) if cell.watch.on_close else seen + GRID_US)

    def _known(self, rule_id: str) -> Rule:
        rule = self._book.rules.get(rule_id)
        if rule is None:
            msg = f"alert rule {rule_id!r} does not exist; `spreadwatch alert list` shows those that do"
            raise RuleError(msg)
        return rule

    def _validate(self, rule: Rule, now_us: int) -> None:
        validate(
            rule,
            zscore_window=self._windows.zscore,
            known_symbols=self._universe.symbols,
            known_pairs=[spec.pair for spec in self._universe.pairs],
            timeframes=self._timeframes,
            channels=self._channels or None,
            now_us=now_us,
        )

    def _act(self, rule_id: str, series: str, act: Callable[[Rule, AlertState], Stepped]) -> None:
        """Let somebody do something with an instance."""
        rule = self._known(rule_id)
        found = self._book.instances(rule_id).get(series)
        if found is None:
            why = "does not exist" if rule.enabled else "does not exist while its rule is switched off"
            msg = f"alert {rule_id} on {series} {why}; `spreadwatch alert list` shows those that do"
            raise RuleError(msg)
        cell, instance = found
        self._keep(cell, instance, act(rule, instance.state), self._seen_us or 0)

    def _retire(self, rule_id: str, now_us: int, reason: str) -> None:
        for _, instance in self._book.instances(rule_id).values():
            self._end(instance, now_us, reason)
        self._book.remove(rule_id)

    def _end(self, instance: Instance, now_us: int, reason: str) -> None:
        _, events = retire(instance.rule, instance.state, now_us, reason)
        self._writes.tell(events)
        self._writes.drop(instance.state.rule_id, instance.state.series)
        self._states.pop((instance.state.rule_id, instance.state.series), None)

    def _keep(self, cell: Cell, instance: Instance, stepped: Stepped, now_us: int) -> None:
        """Take over what a step came to."""
        after, events = stepped
        if after is not instance.state:
            instance.state = after
            self._writes.keep(after)
            self._writes.tell(events)
        self._replan(cell, instance, now_us)

    def _replan(self, cell: Cell, instance: Instance, now_us: int | None = None) -> None:
        after_us = now_us if now_us is not None else self._seen_us or 0
        deadline = deadline_us(instance.rule, instance.state, after_us)
        if deadline != instance.deadline:
            instance.deadline = deadline
            self._book.plan_instance(cell, instance)


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)
