"""What the metrics page tells, read from the tables in one transaction beside landing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipeline.errors import StoreError

_STREAMS = "SELECT * REPLACE (epoch_us(last_message_at) AS last_message_at, epoch_us(observed_at) AS observed_at, epoch_us(silent_since) AS silent_since, epoch_us(clock_at) AS clock_at) FROM stream_health ORDER BY stream"  # noqa: E501
_GAPS = """
    SELECT symbol, CASE WHEN state = 'halt' AND first_missing <= last_missing THEN 'never_given' ELSE state END AS state,
           count(*) AS n, CAST(sum(last_missing - first_missing + 1) AS BIGINT) AS missing
    FROM gaps GROUP BY ALL ORDER BY ALL
"""
_CLOCK = "SELECT epoch_us(journal_time) AS journal_time, commit_no, epoch_us(committed_at) AS committed_at FROM journal_clock"


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the tables; each a list of rows by column, times in microseconds.

    ``streams`` is ``stream_health``; ``gaps`` has symbol, state (``never_given``: ids that the venue says do not exist), n, missing;
    ``counts`` source, name, count; ``lines`` those landed by source; ``clock`` journal_time, commit_no and committed_at, empty
    before anything has landed.
    """

    streams: Sequence[Mapping[str, Any]]
    gaps: Sequence[Mapping[str, Any]]
    counts: Sequence[Mapping[str, Any]]
    lines: Mapping[str, int]
    clock: Mapping[str, int]


class MetricsStore:
    """Reads on a cursor of its own; may be called from any thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._cursor = connection.cursor()
        self._one_at_a_time = threading.Lock()

    def read(self) -> Reading:
        """What the tables tell now.

        Raises:
            StoreError: when they cannot be read.
        """
        with self._one_at_a_time:
            try:
                self._cursor.execute("BEGIN")
                clock = self._rows(_CLOCK)
                return Reading(
                    streams=self._rows(_STREAMS),
                    gaps=self._rows(_GAPS),
                    counts=self._rows('SELECT source, name, "count" FROM landing_counts ORDER BY source, name'),
                    lines=dict(self._cursor.execute("SELECT source, lines FROM ingest_offsets ORDER BY source").fetchall()),
                    clock=clock[0] if clock else {},
                )
            except duckdb.Error as error:
                msg = f"the tables cannot be read: {str(error).splitlines()[0]}; the log of the warehouse says more"
                raise StoreError(msg) from error
            finally:
                with contextlib.suppress(duckdb.Error):
                    self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the cursor, once nobody reads."""
        with self._one_at_a_time:
            self._cursor.close()

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        found = self._cursor.execute(sql)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
