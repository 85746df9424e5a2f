"""Alerts as they stand, what has happened, and what could not be delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from dashboards.hub import Moment
from pipeline.alerts import AlertState, Rule
from pipeline.store import Warehouse
from pipeline.store.alert_history import EventSearch, find_events
from pipeline.store.alerts import load_rules, load_states
from pipeline.store.deliveries import load_deliveries


@dataclass(frozen=True, slots=True, eq=False)
class Alerts:
    """Rules, the state of each instance, and deliveries that were given up."""

    rules: tuple[Rule, ...]
    states: tuple[AlertState, ...]
    dead: pl.DataFrame

    def same(self, other: Alerts) -> bool:
        """Whether there is nothing new in ``other``."""
        return self.rules == other.rules and self.states == other.states and self.dead.equals(other.dead)


@dataclass(frozen=True, slots=True)
class AlertsTopic:
    """How alerts stand."""

    every_s: float = 0.5
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The alerts now."""
        if warehouse is None:
            return before
        now = Alerts(load_rules(warehouse), load_states(warehouse), load_deliveries(warehouse, states=("dead",), most=50))
        return before if before is not None and before.same(now) else now


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found, newest first."""

    search: EventSearch
    events: pl.DataFrame


@dataclass(frozen=True, slots=True)
class HistoryTopic:
    """The events that a search finds, also those to come."""

    search: EventSearch
    every_s: float = 0.5
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The events now."""
        if warehouse is None:
            return before
        events = find_events(warehouse, self.search)
        return before if before is not None and before.events.equals(events) else Found(self.search, events)


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """The newest events that people are told of, and the journal's time when they were read."""

    events: pl.DataFrame
    time: datetime


@dataclass(frozen=True, slots=True)
class NewsTopic:
    """What fires and what is over, for whoever has a page open."""

    every_s: float = 0.5
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The news of the last minutes."""
        if warehouse is None or moment is None:
            return before
        search = EventSearch(kinds=("firing", "reminded", "resolved"), start=moment.time - timedelta(minutes=5), most=20)
        events = find_events(warehouse, search)
        return before if before is not None and before.events.equals(events) else News(events, moment.time)
