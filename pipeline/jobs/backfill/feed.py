"""Fetched trades on their way into the tables: through the journal, under a source of their own, a bounded distance ahead of landing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Self

from pipeline.errors import WarehouseUnavailable
from pipeline.jobs.landed import wait_until_landed
from pipeline.journal import Journal, Position, Writer
from pipeline.store.counts import load_offset
from pipeline.store.protocol import Warehouse

SOURCE = "backfill"

_GROUP = 20_000
_POLL_S = 0.05
_PATIENCE_S = 120.0


class TradeFeed:
    """Appends lines to the journal's source ``backfill`` and sees them landed.

    Args:
        warehouse: that lands them.
        journal: of the same profile.
        land: lands what the journal has, where no warehouse process does.
        most_behind: bytes that may wait for landing before more are fetched.
    """

    def __init__(
        self, warehouse: Warehouse, journal: Journal, *, land: Callable[[], object] | None = None, most_behind: int = 64 << 20
    ) -> None:
        self._warehouse = warehouse
        self._journal = journal
        self._land = land
        self._most_behind = most_behind
        self._writer: Writer | None = None
        self._uncommitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def put(self, lines: Iterable[bytes]) -> int:
        """Append lines; now and then they are made durable, and landing is waited for when it is far behind. Returns how many.

        Raises:
            JournalError: when the journal cannot be written.
            WarehouseUnavailable: when landing stands still.
        """
        if self._writer is None:
            self._writer = self._journal.writer(SOURCE)
        received_ns = time.time_ns()
        count = 0
        for line in lines:
            self._writer.append(received_ns, line)
            count += 1
            self._uncommitted += 1
            if self._uncommitted >= _GROUP:
                self._commit(self._writer)
        return count

    def settle(self) -> None:
        """Return when everything that was put is in the tables.

        Raises:
            WarehouseUnavailable: when landing stands still.
        """
        if self._writer is not None:
            self._writer.commit()
            self._uncommitted = 0
        if self._land is not None:
            self._land()
        else:
            # Also what a run before this one wrote and did not see landed.
            wait_until_landed(self._warehouse, self._journal, SOURCE)

    def _commit(self, writer: Writer) -> None:
        writer.commit()
        self._uncommitted = 0
        if self._land is not None:
            self._land()
            return
        reader = self._journal.reader(SOURCE)
        try:
            moved_at, last = time.monotonic(), None
            while True:
                seq, offset, _ = load_offset(self._warehouse, SOURCE)
                if reader.backlog_bytes(Position(seq, offset)) <= self._most_behind:
                    return
                if (seq, offset) != last:
                    moved_at, last = time.monotonic(), (seq, offset)
                elif time.monotonic() - moved_at > _PATIENCE_S:
                    msg = f"the warehouse has landed no backfilled trades for {_PATIENCE_S:g} s; see its log, or restart it"
                    raise WarehouseUnavailable(msg)
                time.sleep(_POLL_S)
        finally:
            reader.close()
