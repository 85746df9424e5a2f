"""Waiting until the warehouse has landed what a job wrote into the journal."""

from __future__ import annotations

import time

from pipeline.errors import WarehouseUnavailable
from pipeline.journal import Position
from pipeline.journal.interface import Journal
from pipeline.store.counts import load_offset
from pipeline.store.protocol import Warehouse

_POLL_S = 0.05


def wait_until_landed(warehouse: Warehouse, journal: Journal, source: str, *, patience_s: float = 120.0) -> None:
    """Return when every durable line of a source is in the tables.

    Args:
        warehouse: a running one, which lands by itself.
        journal: of the same profile.
        source: whose lines.
        patience_s: longest time in which landing does not move.

    Raises:
        WarehouseUnavailable: when landing does not move for so long, or the warehouse does not answer.
    """
    reader = journal.reader(source)
    try:
        moved_at, last = time.monotonic(), None
        while True:
            seq, offset, _ = load_offset(warehouse, source)
            if reader.backlog_bytes(Position(seq, offset)) == 0:
                return
            if (seq, offset) != last:
                moved_at, last = time.monotonic(), (seq, offset)
            elif time.monotonic() - moved_at > patience_s:
                msg = f"the warehouse has landed nothing of the journal source {source!r} for {patience_s:g} s; see its log, or restart it"
                raise WarehouseUnavailable(msg)
            time.sleep(_POLL_S)
    finally:
        reader.close()
