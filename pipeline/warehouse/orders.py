"""Orders carried out by the warehouse process: what takes long in a thread beside landing, the rest between two blocks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.archiving import Archiver, Waiting, Written
from pipeline.store.orders import OrderKind, Outcome, Report

_log = logging.getLogger(__name__)

_CHANGE_ARCHIVE = frozenset({OrderKind.ARCHIVE, OrderKind.EXPIRE})


class _Preparation(threading.Thread):
    """The first step of one order."""

    def __init__(self, archiver: Archiver, waiting: Waiting) -> None:
        super().__init__(name=f"order-{waiting.order_id[:8]}", daemon=True)
        self.waiting = waiting
        self.prepared: Written | dict[str, Any] | None = None
        self.error: StoreError | None = None
        self._archiver = archiver

    def run(self) -> None:
        try:
            self.prepared = self._archiver.prepare(self.waiting)
        except StoreError as error:
            self.error = error


class OrderDesk:
    """One order after the other. Every method is for the thread that lands.

    ``changed`` is called behind each order that has changed which days are archived.
    """

    def __init__(self, archiver: Archiver, changed: Callable[[], None]) -> None:
        self._archiver = archiver
        self._changed = changed
        self._preparation: _Preparation | None = None
        self._queue: list[Waiting] = []
        self._began = 0.0
        self._archiver.sweep(at_start=True)

    def look(self) -> None:
        """Finish the order that is ready, and begin the next one."""
        at_work = self._preparation
        if at_work is not None:
            if at_work.is_alive():
                return
            self._preparation = None
            self._finish(at_work)
        if self._preparation is None:
            if not self._queue:
                self._queue = self._archiver.waiting()
            if self._queue:
                self._began = time.monotonic()
                self._begin(self._queue.pop(0))

    def sweep(self) -> None:
        """Remove files that nobody names any more."""
        if self._preparation is None:
            self._archiver.sweep()

    def close(self) -> None:
        """Wait for the thread: it uses the database that is about to be closed."""
        if self._preparation is not None:
            self._preparation.join()

    def _begin(self, waiting: Waiting) -> None:
        self._preparation = _Preparation(self._archiver, waiting)
        self._preparation.start()

    def _finish(self, ready: _Preparation) -> None:
        waiting = ready.waiting
        try:
            if ready.error is not None:
                raise ready.error
            report = self._archiver.settle(waiting, ready.prepared, began=self._began)
        except StoreError as error:
            report = self._archiver.fail(waiting, error, began=self._began)
        if report is None:  # rows have landed meanwhile, or somebody else was writing
            self._begin(waiting)
            return
        if report.order.kind in _CHANGE_ARCHIVE:
            self._changed()
        _say(report)


def _say(report: Report) -> None:
    facts = {"kind": report.order.kind.value, "outcome": report.outcome.value, "seconds": round(report.seconds, 3), **report.detail}
    if report.order.dataset is not None:
        facts["partition"] = report.order.partition
    _log.log(logging.ERROR if report.outcome is Outcome.FAILED else logging.INFO, "order carried out", extra=facts)
