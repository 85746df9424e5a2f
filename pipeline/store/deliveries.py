"""What became of alerts on their way out: what waits, what was delivered, and what was given up and can be sent again.

To send something again ask for it (`ResendEvent` of `pipeline.store.requests`).
"""

from __future__ import annotations

import polars as pl

from pipeline.errors import UsageError
from pipeline.store.protocol import Warehouse

STATES = ("waiting", "delivered", "dead", "silenced")
"""Waiting to be sent or sent again; delivered; given up; not sent because nobody wanted to be told any more."""

_DELIVERIES = """
    SELECT o.event_id, o.channel, o.rule_id, o.series, o.payload->>'kind' AS kind, o.payload->>'severity' AS severity,
           coalesce(make_timestamptz(TRY_CAST(o.payload->>'at_us' AS BIGINT)), TRY_CAST(o.payload->>'at' AS TIMESTAMPTZ)) AS occurred_at,
           o.state, o.attempts, if(o.state = 'waiting', o.next_at, NULL) AS next_at, o.done_at, o.last_error, o.message_id, o.repeat_of,
           o.payload->>'text' AS message
    FROM outbox o
    WHERE (len($states) = 0 OR list_contains($states, o.state)) AND ($channel = '' OR o.channel = $channel)
      AND ($event_id = '' OR o.event_id = $event_id)
    ORDER BY o.rowid DESC LIMIT $most
"""

_COUNTS = """
    SELECT channel, count(*) FILTER (state = 'waiting') AS waiting, count(*) FILTER (state = 'delivered') AS delivered,
           count(*) FILTER (state = 'dead') AS dead, count(*) FILTER (state = 'silenced') AS silenced,
           max(done_at) FILTER (state = 'delivered') AS last_delivered_at,
           arg_max(last_error, coalesce(done_at, next_at)) FILTER (state IN ('waiting', 'dead')) AS last_error
    FROM outbox GROUP BY channel ORDER BY channel
"""


def load_deliveries(
    warehouse: Warehouse, *, states: tuple[str, ...] = (), channel: str | None = None, event_id: str | None = None, most: int = 200
) -> pl.DataFrame:
    """The newest deliveries, one row for each event and channel.

    Args:
        warehouse: where from.
        states: of `STATES`, any of these; empty is all. ``("dead",)`` are the dead letters.
        channel: of one channel.
        event_id: of one event.
        most: how many.

    Returns:
        event_id, channel, rule_id, series, kind, severity, occurred_at, state, attempts, next_at (of what waits), done_at (of all others),
        last_error, message_id (what it was sent in), repeat_of (the event that it tells again), message.

    Raises:
        UsageError: when there is no such state.
    """
    for state in states:
        if state not in STATES:
            msg = f"delivery state {state!r} is unknown; expected one of {', '.join(STATES)}"
            raise UsageError(msg)
    return warehouse.select(_DELIVERIES, states=list(states), channel=channel or "", event_id=event_id or "", most=most)


def count_deliveries(warehouse: Warehouse) -> pl.DataFrame:
    """For each channel: waiting, delivered, dead, silenced, last_delivered_at, last_error (of what waits or was given up)."""
    return warehouse.select(_COUNTS)
