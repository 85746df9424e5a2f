"""Fetching some of a list at a time, and writing candlesticks several days at a time, both in the order of the plan."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

import polars as pl

from pipeline.jobs.backfill.order import Backfilled, Meter
from pipeline.store.klines import save_klines
from pipeline.store.protocol import Warehouse

_WORKERS = 4
_ROWS_TOGETHER = 10_000
_TOGETHER_S = 1.0

A = TypeVar("A")
B = TypeVar("B")


class Saver:
    """Writes several parts in one transaction, for a transaction costs more than a day of rows."""

    def __init__(self, warehouse: Warehouse, meter: Meter, *, run: str) -> None:
        self._warehouse = warehouse
        self._meter = meter
        self._run = run
        self._waiting: list[tuple[Backfilled, int, pl.DataFrame]] = []
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        # What was fetched before a failure is kept: the next run need not fetch it again.
        if kind is None or issubclass(kind, Exception):
            self.save()

    def take(self, told: Backfilled, steps: int, rows: pl.DataFrame) -> None:
        """Write these rows of the table ``klines`` soon, whole days of them; ``steps`` of the meter are done then."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((told, steps, rows))
        if sum(rows.height for *_, rows in self._waiting) >= _ROWS_TOGETHER or time.monotonic() - self._since >= _TOGETHER_S:
            self.save()

    def save(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            save_klines(self._warehouse, pl.concat([rows for *_, rows in waiting]), run=self._run)
        for told, steps, rows in waiting:
            times = rows["ts"]
            told.wrote(rows.height, times.min(), times.max())  # type: ignore[arg-type]  # of a column of times
            self._meter.did(steps, rows.height)


def ahead(work: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """``map`` over threads, in order, at most twice as many results waiting as there are threads."""
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="backfill")
    try:
        left = iter(items)
        running: deque[Future[B]] = deque(pool.submit(work, item) for item in itertools.islice(left, 2 * _WORKERS))
        while running:
            done = running.popleft().result()
            running.extend(pool.submit(work, item) for item in itertools.islice(left, 1))
            yield done
    finally:
        pool.shutdown(cancel_futures=True)
