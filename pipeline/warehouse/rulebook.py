"""Every rule with its instances, indexed by what moves them: what cannot have changed is not evaluated."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from pipeline.alerts import METRICS, AlertState, MadeBy, Metric, Rule, TargetKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.warehouse.watch import Cell, Instance, Watch, symbols_of

ANY = "*"
"""Stands for the trades of any symbol."""


class Rulebook:
    """Rules, cells and the calendar of what time alone changes. Knows no values."""

    def __init__(self, symbols: tuple[str, ...], pairs: tuple[Pair, ...]) -> None:
        self.rules: dict[str, Rule] = {}
        self.symbols = symbols
        self.pairs = pairs
        self.cells: dict[Watch, Cell] = {}
        self._instances: dict[str, dict[str, tuple[Cell, Instance]]] = {}
        self._by_symbol: dict[str, dict[Cell, None]] = {}
        self._on_close: dict[str, dict[Cell, None]] = {}
        self._by_pair: dict[tuple[Pair, Timeframe], dict[Cell, None]] = {}
        self._number = count()
        self._cell_times: list[tuple[int, int, Cell]] = []
        self._instance_times: list[tuple[int, int, Cell, Instance]] = []
        self._expiries: list[tuple[int, str]] = []

    # ------------------------------------------------------------------ what there is

    def add(self, rule: Rule, states: Mapping[tuple[str, str], AlertState]) -> list[Cell]:
        """Take a rule in, with the states its instances had; the cells that are to be looked at for the first time."""
        self.rules[rule.rule_id] = rule
        if not rule.enabled:
            return []
        if rule.expires_at_us is not None:
            heapq.heappush(self._expiries, (rule.expires_at_us, rule.rule_id))
        mine = self._instances[rule.rule_id] = {}
        touched = []
        for series in self.series(rule):
            watch = Watch.of(rule, series)
            cell = self.cells.get(watch) or self._new_cell(watch, symbols_of(rule, series, (ANY,)))
            state = states.get((rule.rule_id, series)) or AlertState(rule_id=rule.rule_id, series=series)
            instance = Instance(rule, state)
            cell.instances[rule.rule_id] = instance
            mine[series] = (cell, instance)
            touched.append(cell)
        return touched

    def remove(self, rule_id: str) -> None:
        """Forget a rule's instances, and the rule."""
        for cell, instance in self._instances.pop(rule_id, {}).values():
            instance.deadline = None
            del cell.instances[rule_id]
            if cell.instances:
                cell.envelope()
            else:
                self._drop_cell(cell)
        self.rules.pop(rule_id, None)

    def series(self, rule: Rule) -> tuple[str, ...]:
        """The series of the universe that a rule watches."""
        return rule.series(self.symbols, self.pairs)

    def instances(self, rule_id: str) -> dict[str, tuple[Cell, Instance]]:
        """The instances of a rule by series; none when it is switched off."""
        return self._instances.get(rule_id, {})

    def every_instance(self) -> Iterator[Instance]:
        """The instances of all rules."""
        for mine in self._instances.values():
            for _, instance in mine.values():
                yield instance

    def watched(self, rules: Iterable[Rule] | None = None) -> Iterator[tuple[str, Timeframe | None]]:
        """The symbols, with timeframes, that the rules (None: all that are on) look at."""
        for rule in self.rules.values() if rules is None else rules:
            if rule.enabled:
                for series in self.series(rule):
                    for symbol in symbols_of(rule, series, self.symbols):
                        yield symbol, rule.timeframe if METRICS[rule.metric].made_by is not MadeBy.FLOW else None

    def measured(self) -> dict[Timeframe, list[str]]:
        """The symbols of each timeframe whose liquidity rules watch."""
        found: dict[Timeframe, list[str]] = {}
        for watch in self.cells:
            if METRICS[watch.metric].made_by is MadeBy.FLOW and watch.frame is not None:
                found.setdefault(watch.frame, []).append(watch.series)
        return found

    @property
    def watches_flows(self) -> bool:
        """Whether a rule watches how flows end."""
        return any(watch.metric is Metric.FLOW_FAILURES for watch in self.cells)

    def touched_by(self, symbols: Iterable[str]) -> Iterator[Cell]:
        """The cells that trades of these symbols may change at once."""
        for symbol in symbols:
            yield from self._by_symbol.get(symbol, ())
        yield from self._by_symbol.get(ANY, ())

    def resting(self, symbols: Iterable[str]) -> Iterator[Cell]:
        """The cells on bar close of these symbols that wait for no bar close."""
        for symbol in symbols:
            for cell in self._on_close.get(symbol, ()):
                if cell.due is None:
                    yield cell

    def of_pair(self, pair: Pair, frame: Timeframe) -> list[Cell]:
        """The cells of a pair on a timeframe."""
        return list(self._by_pair.get((pair, frame), ()))

    def of_metric(self, metrics: Iterable[Metric]) -> list[Cell]:
        """The cells of some metrics."""
        wanted = set(metrics)
        return [cell for watch, cell in self.cells.items() if watch.metric in wanted]

    def closing(self) -> list[Cell]:
        """The cells that are looked at on bar close."""
        return [cell for watch, cell in self.cells.items() if watch.on_close]

    def _new_cell(self, watch: Watch, symbols: Sequence[str]) -> Cell:
        cell = self.cells[watch] = Cell(watch)
        facts = METRICS[watch.metric]
        if facts.kind is TargetKind.PAIR and watch.frame is not None:
            self._by_pair.setdefault((watch.pair, watch.frame), {})[cell] = None
        if facts.made_by is MadeBy.TRADES or watch.on_close:
            index = self._on_close if watch.on_close else self._by_symbol
            for symbol in symbols:
                index.setdefault(symbol, {})[cell] = None
        return cell

    def _drop_cell(self, cell: Cell) -> None:
        del self.cells[cell.watch]
        cell.due = None
        for index in (self._by_symbol, self._on_close):
            for symbol in (*cell.watch.legs, ANY):
                index.get(symbol, {}).pop(cell, None)
        if cell.watch.frame is not None and METRICS[cell.watch.metric].kind is TargetKind.PAIR:
            self._by_pair.get((cell.watch.pair, cell.watch.frame), {}).pop(cell, None)

    # ------------------------------------------------------------------ when

    def plan(self, cell: Cell, due: int | None) -> None:
        """Have a cell looked at at a time; None: not by itself."""
        if due != cell.due:
            cell.due = due
            if due is not None:
                heapq.heappush(self._cell_times, (due, next(self._number), cell))

    def plan_instance(self, cell: Cell, instance: Instance) -> None:
        """Have an instance looked at at its deadline."""
        if instance.deadline is not None:
            heapq.heappush(self._instance_times, (instance.deadline, next(self._number), cell, instance))

    def next_time(self) -> int | None:
        """The first time at which something is to be looked at."""
        while self._cell_times and self._cell_times[0][0] != self._cell_times[0][2].due:
            heapq.heappop(self._cell_times)
        while self._instance_times and self._instance_times[0][0] != self._instance_times[0][3].deadline:
            heapq.heappop(self._instance_times)
        while self._expiries and not self._stands(*self._expiries[0]):
            heapq.heappop(self._expiries)
        heads = [times[0][0] for times in (self._cell_times, self._instance_times, self._expiries) if times]
        return min(heads, default=None)

    def due_cells(self, point: int) -> list[Cell]:
        """Take out the cells whose time has come."""
        found = []
        while self._cell_times and self._cell_times[0][0] <= point:
            due, _, cell = heapq.heappop(self._cell_times)
            if due == cell.due:
                cell.due = None
                found.append(cell)
        return found

    def due_instances(self, point: int) -> list[tuple[Cell, Instance]]:
        """Take out the instances whose deadline has come."""
        found = []
        while self._instance_times and self._instance_times[0][0] <= point:
            due, _, cell, instance = heapq.heappop(self._instance_times)
            if due == instance.deadline:
                instance.deadline = None
                found.append((cell, instance))
        return found

    def expired(self, point: int) -> list[Rule]:
        """Take out the rules that expire at this time."""
        found = []
        while self._expiries and self._expiries[0][0] <= point:
            expires_us, rule_id = heapq.heappop(self._expiries)
            if self._stands(expires_us, rule_id):
                found.append(self.rules[rule_id])
        return found

    def _stands(self, expires_us: int, rule_id: str) -> bool:
        rule = self.rules.get(rule_id)
        return rule is not None and rule.enabled and rule.expires_at_us == expires_us
