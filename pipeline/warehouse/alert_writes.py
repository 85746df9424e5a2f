"""What one landing transaction changes about alerts, written at its end: one statement for all of it, however many rules fire at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

from pipeline.alerts import AlertEvent, AlertState
from pipeline.notify.delivery import outbox_rows
from pipeline.store.live import LiveStore

_log = logging.getLogger(__name__)
_MOST_LOGGED = 20


class AlertWrites:
    """States, events and deliveries that wait for the end of the transaction."""

    def __init__(self, store: LiveStore, channels: Sequence[str], *, told: bool = True) -> None:
        self._store = store
        self._channels = tuple(channels)
        self._told = told
        self._states: dict[tuple[str, str], AlertState | None] = {}
        self._events: list[AlertEvent] = []

    def keep(self, state: AlertState) -> None:
        """Write the state of an instance."""
        self._states[state.rule_id, state.series] = state

    def drop(self, rule_id: str, series: str) -> None:
        """Forget an instance."""
        self._states[rule_id, series] = None

    def tell(self, events: Iterable[AlertEvent]) -> None:
        """Write events, and deliveries of those that people are told of."""
        self._events += events

    def flush(self) -> None:
        """Write everything."""
        if self._states:
            gone = [key for key, state in self._states.items() if state is None]
            self._store.write_states(gone, [_state_row(state) for state in self._states.values() if state is not None])
            self._states = {}
        if self._events:
            self._store.add_events([_event_row(event) for event in self._events])
            self._store.add_outbox(
                [
                    [row.event_id, row.channel, row.rule_id, row.series, row.payload, row.due_us]
                    for event in self._events
                    for row in outbox_rows(event, event.channels or self._channels, event.at_us)
                ]
            )
            for event in self._events[: _MOST_LOGGED if self._told else 0]:
                _log.info("alert", extra={"rule": event.rule_id, "series": event.series, "kind": event.kind.value, "value": event.value})
            if self._told and len(self._events) > _MOST_LOGGED:
                _log.info("alerts", extra={"events": len(self._events), "logged": _MOST_LOGGED})
            self._events = []


def _state_row(state: AlertState) -> list[object]:
    return [state.rule_id, state.series, state.phase.value, state.since_us, _finite(state.value), state.acknowledged, state.to_json()]


def _event_row(event: AlertEvent) -> list[object]:
    return [
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


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
