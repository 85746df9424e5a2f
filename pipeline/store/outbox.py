"""The outbox, as the delivery worker sees it: a cursor of its own beside the connection that lands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True, slots=True)
class Waiting:
    """One undelivered row."""

    event_id: str
    channel: str
    rule_id: str
    series: str
    payload: str
    due_us: int
    attempts: int


class OutboxStore:
    """Reads what waits and writes what became of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection.cursor()

    def waiting(self) -> list[Waiting]:
        """Undelivered rows in the order in which they were written."""
        rows = self._connection.execute(
            """SELECT event_id, channel, rule_id, series, payload, epoch_us(next_at), attempts
               FROM outbox WHERE state = 'waiting' ORDER BY rowid LIMIT 1000"""
        ).fetchall()
        return [Waiting(*row) for row in rows]

    def take_notices(self, channels: Sequence[str]) -> None:
        """Put the notices of the last day that are not there yet into the outbox, once for each channel."""
        self._connection.execute(
            """INSERT INTO outbox
               SELECT n.event_id, c.channel, n.topic, n.event_id, n.payload, 'waiting', 0, n.made_at, NULL
               FROM notices n CROSS JOIN (SELECT unnest(?::VARCHAR[]) AS channel) c
               WHERE n.made_at > now() - INTERVAL 1 DAY
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = n.event_id AND o.channel = c.channel)
               ORDER BY n.made_at""",
            [list(channels)],
        )

    def record(self, results: Sequence[tuple[str, int, int | None, str | None, str, str]]) -> None:
        """Write results: state, attempts, next attempt (microseconds), error, event_id, channel."""
        self._connection.executemany(
            """UPDATE outbox SET state = ?, attempts = ?, next_at = coalesce(make_timestamptz(?), next_at), last_error = ?
               WHERE event_id = ? AND channel = ?""",
            [list(result) for result in results],
        )
