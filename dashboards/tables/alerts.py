"""Alerts as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboards.hub import Moment
from pipeline.alerts import AlertState, Rule
from pipeline.store import Warehouse
from pipeline.store.alerts import load_events, load_rules, load_states
from pipeline.store.requests import load_pending


@dataclass(frozen=True, slots=True, eq=False)
class Alerts:
    """Rules, the state of each instance, the newest history, and requests that wait to be applied."""

    rules: tuple[Rule, ...]
    states: tuple[AlertState, ...]
    events: pl.DataFrame
    pending: pl.DataFrame

    def same(self, other: Alerts) -> bool:
        """Whether there is nothing new in ``other``."""
        told = self.rules == other.rules and self.states == other.states
        return told and self.events.equals(other.events) and self.pending.equals(other.pending)


@dataclass(frozen=True, slots=True)
class AlertsTopic:
    """Everything about alerts."""

    every_s: float = 0.5
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The alerts now."""
        if warehouse is None:
            return before
        now = Alerts(load_rules(warehouse), load_states(warehouse), load_events(warehouse), load_pending(warehouse))
        return before if before is not None and before.same(now) else now
