"""The history of alerts, searched: every transition with its value, its threshold, the model and the bars that it was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.alerts import EventKind, Severity
from pipeline.errors import UsageError
from pipeline.store.binding import Value
from pipeline.store.protocol import Warehouse

EVENT_COLUMNS = """event_id, rule_id, payload->>'$.rule_name' AS rule_name, series, kind, occurred_at, value, threshold, severity,
    payload->>'$.metric' AS metric, payload->>'$.timeframe' AS timeframe, payload->>'$.model_id' AS model_id,
    make_timestamptz(TRY_CAST(payload->>'$.first_bar_us' AS BIGINT)) AS first_bar,
    make_timestamptz(TRY_CAST(payload->>'$.last_bar_us' AS BIGINT)) AS last_bar,
    payload->>'$.reason' AS reason, payload->>'$.note' AS note, message"""
"""SQL: the columns of an event as people search and export them."""

OF_SERIES = "(series = $symbol OR list_contains(string_split(series, '/'), $symbol))"
"""SQL: an event of a symbol, of a pair, or of a pair that has the symbol as a leg."""


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events; what is None or empty does not narrow.

    Attributes:
        rule: a rule's id, or a part of its name.
        series: a symbol (pairs that have it as a leg included) or a pair.
        kinds: what happened, any of these.
        severities: any of these.
        start: first time, inclusive.
        end: last time, exclusive.
        words: text that the message contains, whatever its case.
        most: how many, the newest.
    """

    rule: str | None = None
    series: str | None = None
    kinds: Sequence[str] = ()
    severities: Sequence[str] = ()
    start: datetime | None = None
    end: datetime | None = None
    words: str | None = None
    most: int = 200

    def check(self) -> None:
        """Refuse what can find nothing because it means nothing.

        Raises:
            UsageError: when a kind or a severity does not exist, or the range is empty.
        """
        for name, given, known in (("kind", self.kinds, EventKind), ("severity", self.severities, Severity)):
            for one in given:
                if one not in set(known):
                    msg = f"{name} {one!r} is unknown; expected one of {', '.join(known)}"
                    raise UsageError(msg)
        if self.start and self.end and self.start >= self.end:
            msg = f"the range from {self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S} is empty; the end must be after the start"
            raise UsageError(msg)


def find_events(warehouse: Warehouse, search: EventSearch) -> pl.DataFrame:
    """The events that a search finds, newest first.

    Returns:
        event_id, rule_id, rule_name, series, kind, occurred_at, value, threshold, severity, metric, timeframe, model_id, first_bar,
        last_bar (open times of the oldest and the newest bar that the value was computed from), reason, note, message.

    Raises:
        UsageError: as `EventSearch.check`.
    """
    search.check()
    conditions, parameters = ["TRUE"], dict[str, Value](most=search.most)
    for given, name, sql in (
        (search.rule, "rule", "(rule_id = $rule OR contains(lower(coalesce(payload->>'$.rule_name', '')), lower($rule)))"),
        (search.series, "symbol", OF_SERIES),
        (list(search.kinds) or None, "kinds", "kind IN (SELECT unnest($kinds))"),
        (list(search.severities) or None, "severities", "severity IN (SELECT unnest($severities))"),
        (search.start, "start", "occurred_at >= $start"),
        (search.end, "end", "occurred_at < $end"),
        (search.words, "words", "contains(lower(message), lower($words))"),
    ):
        if given is not None:
            conditions.append(sql)
            parameters[name] = given
    where = " AND ".join(conditions)
    return warehouse.select(
        f"SELECT {EVENT_COLUMNS} FROM alert_events WHERE {where} ORDER BY occurred_at DESC, event_id LIMIT $most",  # noqa: S608  constant
        **parameters,
    )
