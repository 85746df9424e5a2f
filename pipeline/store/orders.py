"""Orders: work that only the process that holds the database can do, asked for by flows and commands.

Whoever asks appends a row to ``orders``; the warehouse process carries it out between two landing transactions (or beside
them, where it can), removes it, and says in ``order_log`` what became of it. Where no warehouse process runs, a command that has
opened the file carries out its orders itself (``pipeline.store.archiving.carry_out``).

    ids = place_orders(warehouse, [Order(OrderKind.CHECKPOINT)], run=run)
    rows = await_orders(warehouse, ids)          # outcome, detail (JSON), seconds

``detail`` of a checkpoint: file_bytes_before, wal_bytes_before, file_bytes, wal_bytes.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import polars as pl

from pipeline.errors import StoreError, WarehouseBusy
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_PLACE = statement(
    "place_orders",
    stage="stage_orders",
    sql="INSERT INTO orders BY NAME SELECT * EXCLUDE (batch) FROM stage_orders WHERE batch = '{batch}'",
)

_OUTCOMES = """
    SELECT order_id, kind, dataset, symbol, day, outcome, CAST(detail AS VARCHAR) AS detail, seconds, finished_at
    FROM order_log WHERE order_id IN (SELECT unnest($ids)) ORDER BY finished_at, order_id
"""

_POLL_S = 0.1
_PATIENCE_S = 600.0


class OrderKind(StrEnum):
    """What the holder of the database is asked to do."""

    ARCHIVE = "archive"
    """Write one symbol's day of a dataset to Parquet and take its rows out of the database."""
    EXPIRE = "expire"
    """Remove an archived day for good."""
    CHECKPOINT = "checkpoint"
    """Move the write-ahead log into the file."""
    COPY = "copy"
    """Write a consistent copy of the database, with the archive's files beside it, under the profile's run directory."""


class Outcome(StrEnum):
    """What became of an order."""

    DONE = "done"
    NOTHING = "nothing to do"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of work.

    Attributes:
        kind: what to do.
        dataset: ``ticks``, ``quotes`` or ``bars_1s``, for ``archive`` and ``expire``.
        symbol: whose, for the same.
        day: UTC day, for the same.
    """

    kind: OrderKind
    dataset: str | None = None
    symbol: str | None = None
    day: date | None = None

    @property
    def partition(self) -> str:
        """Its name in the ledger of partitions, such as ``ticks/BTCUSDT/2026-11-20``."""
        return f"{self.dataset}/{self.symbol}/{self.day}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one order.

    Attributes:
        order_id: which.
        order: what was asked for.
        outcome: done, nothing to do, or failed.
        detail: facts by name; ``error`` when it failed.
        seconds: how long it took.
    """

    order_id: str
    order: Order
    outcome: Outcome
    detail: dict[str, Any]
    seconds: float


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "order_id": pl.String,
    "kind": pl.String,
    "dataset": pl.String,
    "symbol": pl.String,
    "day": pl.Date,
    "run": pl.String,
    "ordered_at": pl.Datetime("us", "UTC"),
}


def place_orders(warehouse: Warehouse, orders: Sequence[Order], *, run: str) -> list[str]:
    """Append orders; ``run`` says who asks. Returns their ids, in the same order."""
    ids = [uuid.uuid4().hex for _ in orders]
    now = datetime.now(UTC)
    rows = [
        (order_id, order.kind.value, order.dataset, order.symbol, order.day, run, now) for order_id, order in zip(ids, orders, strict=True)
    ]
    if rows:
        warehouse.run(_PLACE, pl.DataFrame(rows, schema=_SCHEMA, orient="row"))
    return ids


def order_reports(warehouse: Warehouse, ids: Sequence[str]) -> list[Report]:
    """Those of the orders that have been carried out."""
    rows = warehouse.select(_OUTCOMES, ids=list(ids)).iter_rows(named=True)
    return [
        Report(
            row["order_id"],
            Order(OrderKind(row["kind"]), row["dataset"], row["symbol"], row["day"]),
            Outcome(row["outcome"]),
            json.loads(row["detail"]),
            row["seconds"],
        )
        for row in rows
    ]


def await_orders(
    warehouse: Warehouse,
    ids: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    patience_s: float = _PATIENCE_S,
    failing: bool = True,
) -> list[Report]:
    """Wait until the warehouse process has carried out every order.

    Args:
        warehouse: the running one.
        ids: as from ``place_orders``.
        progress: called with how many are done, and of how many, whenever that has changed.
        patience_s: longest time in which no order is finished.
        failing: raise when one of them failed; otherwise that is told in its report only.

    Raises:
        WarehouseBusy: when nothing was finished for that long.
        StoreError: when one of them failed; the others are carried out all the same.
    """
    done: list[Report] = []
    until = time.monotonic() + patience_s
    while len(done) < len(ids):
        found = order_reports(warehouse, ids)
        if len(found) > len(done):
            done, until = found, time.monotonic() + patience_s
            if progress is not None:
                progress(len(done), len(ids))
            continue
        if time.monotonic() > until:
            msg = f"{len(ids) - len(done)} orders were not carried out within {patience_s:g} s; look at the warehouse's log and try again"
            raise WarehouseBusy(msg)
        time.sleep(_POLL_S)
    return require_success(done) if failing else done


def require_success(reports: list[Report]) -> list[Report]:
    """The reports, when none of them tells of a failure.

    Raises:
        StoreError: with the first failure otherwise.
    """
    failed = [report for report in reports if report.outcome is Outcome.FAILED]
    if failed:
        first = failed[0]
        what = first.order.kind.value if first.order.dataset is None else f"{first.order.kind.value} {first.order.partition}"
        msg = f"{len(failed)} of {len(reports)} orders failed; {what}: {first.detail.get('error', 'no reason given')}"
        raise StoreError(msg)
    return reports
