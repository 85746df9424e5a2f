"""The outbox, as the delivery worker sees it: a cursor of its own beside the connection that lands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb

from pipeline.errors import StoreError

_MOST_ROWS = 500

Recorded = tuple[str, int, int | None, str | None, str | None, str, str]
"""What became of a row: state, attempts, next attempt (microseconds), error, message_id, event_id, channel."""


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
    kind: str
    severity: str
    firing_us: int | None
    message_id: str | None
    repeat_of: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What the worker goes by, all of one moment.

    Attributes:
        waiting: undelivered rows in the order in which they were written, the first ones of each channel.
        states: of their instances the state as JSON.
        unheard: firings that were never told to a channel: channel, rule, series and when it began to fire, in microseconds.
    """

    waiting: tuple[Waiting, ...] = ()
    states: tuple[str, ...] = ()
    unheard: frozenset[tuple[str, str, str, int | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """A firing that nobody has acknowledged, and what one channel was last told of it.

    Attributes:
        channel: the channel.
        event_id: the event that it was told last.
        first_id: the event that began it.
        payload: the event that it was told last, as JSON.
        done_us: wall time at which that was delivered, or given up.
        state: the alert's state as JSON.
        rule: its rule as JSON.
        journal_us: journal time now.
    """

    channel: str
    event_id: str
    first_id: str
    payload: str
    done_us: int
    state: str
    rule: str
    journal_us: int


class OutboxStore:
    """Reads what waits and writes what became of it. Used by one thread at a time.

    Every method raises StoreError when the database does not do it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection.cursor()

    def look(self) -> Look:
        """What waits, and all that decides whether it is sent; of one moment."""
        with self._transaction():
            # the payloads of thousands of waiting rows are not read to find the first ones
            numbers = self._connection.execute(
                """SELECT rowid FROM outbox WHERE state = 'waiting'
                   QUALIFY row_number() OVER (PARTITION BY channel ORDER BY rowid) <= ?""",
                [_MOST_ROWS],
            ).fetchall()
            if not numbers:
                return Look()
            rows = self._connection.execute(
                """SELECT event_id, channel, rule_id, series, payload, epoch_us(next_at), attempts,
                          coalesce(payload->>'kind', ''), coalesce(payload->>'severity', ''),
                          TRY_CAST(payload->>'active_since_us' AS BIGINT), message_id, repeat_of
                   FROM outbox WHERE rowid IN (SELECT unnest(?::BIGINT[])) ORDER BY rowid""",
                [[number for (number,) in numbers]],
            ).fetchall()
            keys = [[rule_id, series] for rule_id, series in {(row[2], row[3]) for row in rows}]
            states = self._connection.execute(
                """SELECT snapshot FROM alert_states s
                   JOIN (SELECT k[1] AS rule_id, k[2] AS series FROM (SELECT unnest(?::VARCHAR[][]) AS k)) USING (rule_id, series)""",
                [keys],
            ).fetchall()
            unheard = self._connection.execute(
                """SELECT DISTINCT channel, rule_id, series, TRY_CAST(payload->>'active_since_us' AS BIGINT) FROM outbox
                   WHERE state = 'silenced' AND attempts = 0 AND repeat_of IS NULL AND (payload->>'kind') = 'firing'
                     AND rule_id IN (SELECT k[1] FROM (SELECT unnest(?::VARCHAR[][]) AS k))""",
                [keys],
            ).fetchall()
        return Look(tuple(Waiting(*row) for row in rows), tuple(str(state) for (state,) in states), frozenset(unheard))

    def take_notices(self, channels: Sequence[str]) -> None:
        """Put the notices of the last day that are not there yet into the outbox, once for each channel."""
        with self._transaction():
            self._connection.execute(
                """INSERT INTO outbox (event_id, channel, rule_id, series, payload, state, attempts, next_at)
                   SELECT n.event_id, c.channel, n.topic, n.event_id, n.payload, 'waiting', 0, n.made_at
                   FROM notices n CROSS JOIN (SELECT unnest(?::VARCHAR[]) AS channel) c
                   WHERE n.made_at > now() - INTERVAL 1 DAY
                     AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = n.event_id AND o.channel = c.channel)
                   ORDER BY n.made_at""",
                [list(channels)],
            )

    def form(self, message_id: str, channel: str, event_ids: Sequence[str]) -> None:
        """Note that rows are sent in one message."""
        with self._transaction():
            self._connection.execute(
                "UPDATE outbox SET message_id = ? WHERE channel = ? AND event_id IN (SELECT unnest(?::VARCHAR[])) AND state = 'waiting'",
                [message_id, channel, list(event_ids)],
            )

    def record(self, results: Sequence[Recorded]) -> None:
        """Write what became of rows."""
        with self._transaction():
            # one statement: each would look through the whole table
            self._connection.execute(
                """UPDATE outbox SET state = r.state, attempts = r.attempts, next_at = coalesce(make_timestamptz(r.due_us), outbox.next_at),
                          last_error = r.error, message_id = coalesce(r.message_id, outbox.message_id),
                          done_at = if(r.state = 'waiting', NULL, now())
                   FROM (SELECT unnest($1::VARCHAR[]) AS state, unnest($2::BIGINT[]) AS attempts, unnest($3::BIGINT[]) AS due_us,
                                unnest($4::VARCHAR[]) AS error, unnest($5::VARCHAR[]) AS message_id, unnest($6::VARCHAR[]) AS event_id,
                                unnest($7::VARCHAR[]) AS channel) r
                   WHERE outbox.event_id = r.event_id AND outbox.channel = r.channel AND outbox.state = 'waiting'""",
                [list(column) for column in zip(*results, strict=True)],
            )

    def told(self) -> list[Told]:
        """What channels were last told of firings that nobody has acknowledged, muted or snoozed; nothing while something of them waits."""
        with self._transaction():
            rows = self._connection.execute(
                """WITH firing AS (
                       SELECT s.rule_id, s.series, TRY_CAST(s.snapshot->>'fired_us' AS BIGINT) AS firing_us, s.snapshot, r.rule
                       FROM alert_states s JOIN alert_rules r USING (rule_id)
                       WHERE r.enabled AND NOT s.acknowledged AND s.state IN ('firing', 'nodata', 'error')
                         AND (s.snapshot->>'fired_us') IS NOT NULL AND (s.snapshot->>'snoozed_until_us') IS NULL
                         AND coalesce(s.snapshot->>'muted', 'false') = 'false' AND coalesce(s.snapshot->>'untold', 'false') = 'false'
                   ), told AS (
                       SELECT o.channel, o.rule_id, o.series, arg_max(o.event_id, o.rowid) AS event_id,
                              arg_min(coalesce(o.repeat_of, o.event_id), o.rowid) AS first_id, arg_max(o.payload, o.rowid) AS payload,
                              max(o.done_at) AS done_at, bool_or(o.state = 'waiting') AS waits
                       FROM outbox o JOIN firing f USING (rule_id, series)
                       WHERE TRY_CAST(o.payload->>'active_since_us' AS BIGINT) = f.firing_us
                       GROUP BY o.channel, o.rule_id, o.series
                   )
                   SELECT t.channel, t.event_id, t.first_id, t.payload, epoch_us(t.done_at), f.snapshot, f.rule,
                          coalesce((SELECT epoch_us(max(journal_time)) FROM journal_clock), 0)
                   FROM told t JOIN firing f USING (rule_id, series) WHERE NOT t.waits AND t.done_at IS NOT NULL"""
            ).fetchall()
        return [Told(*row) for row in rows]

    def repeat(self, *, event_id: str, repeat_of: str, channel: str, rule_id: str, series: str, payload: str) -> None:
        """Append an event that is told again."""
        with self._transaction():
            self._connection.execute(
                """INSERT INTO outbox (event_id, channel, rule_id, series, payload, state, attempts, next_at, repeat_of)
                   SELECT $1, $2, $3, $4, $5, 'waiting', 0, now(), $6
                   WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE event_id = $1 AND channel = $2)""",
                [event_id, channel, rule_id, series, payload, repeat_of],
            )

    def sent_lately(self) -> dict[str, list[float]]:
        """For each channel, how many seconds ago the messages of the last minute were sent."""
        rows = self._connection.execute(
            """SELECT channel, greatest(epoch(now() - max(done_at)), 0) FROM outbox
               WHERE done_at > now() - INTERVAL 1 MINUTE AND message_id IS NOT NULL GROUP BY channel, message_id"""
        ).fetchall()
        found: dict[str, list[float]] = {}
        for channel, ago_s in rows:
            found.setdefault(channel, []).append(float(ago_s))
        return found

    def prune(self, days: int) -> None:
        """Remove rows that were delivered, or not wanted any more, so many days ago. What was given up stays."""
        with self._transaction():
            self._connection.execute("DELETE FROM outbox WHERE state IN ('delivered', 'silenced') AND done_at < now() - to_days(?)", [days])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            if isinstance(error, duckdb.Error):
                msg = f"the outbox cannot be read or written: {error}; it will be tried again"
                raise StoreError(msg) from error
            raise
