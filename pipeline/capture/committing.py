"""The group commit: every few hundred milliseconds, in a thread, so that receiving goes on during an fsync."""

from __future__ import annotations

import asyncio
import logging
import time

from pipeline.capture.intake import Intake
from pipeline.errors import JournalError, WriterFenced
from pipeline.journal import Writer

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
_SAID_EVERY_S = 10.0
_STALLED_S = 5.0


class Committer:
    """Commits the journal for ever; what goes wrong is said loudly and tried again."""

    def __init__(self, writer: Writer, intake: Intake, interval_s: float) -> None:
        self._writer = writer
        self._intake = intake
        self._interval_s = interval_s
        self._said_at = -_SAID_EVERY_S
        self._began: float | None = None
        self.fault: JournalError | None = None

    async def run(self) -> None:
        """Commit until cancelled.

        Raises:
            WriterFenced: when another process has become the writer: nothing can be kept any more.
        """
        while True:
            await asyncio.sleep(self._interval_s if self.fault is None else max(self._interval_s, _RETRY_S))
            self._began = time.monotonic()
            try:
                await asyncio.to_thread(self._writer.commit)
            except WriterFenced:
                raise
            except JournalError as error:
                self._failed(error)
            else:
                self._succeeded()
            self._began = None

    def look(self) -> None:
        """Say loudly when a commit does not end: a disk that stalls fails nothing, and messages may be lost all the same."""
        now = time.monotonic()
        if self._began is not None and now - self._began >= _STALLED_S and now - self._said_at >= _SAID_EVERY_S:
            facts = {
                "seconds": round(now - self._began, 1),
                "buffered_bytes": self._intake.buffered_bytes,
                "lost_lines": self._intake.lost.lines,
            }
            _log.error("journal write stalls, is the disk all right?", extra=facts)
            self._said_at = now

    def _failed(self, error: JournalError) -> None:
        now = time.monotonic()
        if self.fault is None or now - self._said_at >= _SAID_EVERY_S:
            _log.error("journal cannot be written", extra={"why": str(error), "lost_lines": self._intake.lost.lines})
            self._said_at = now
        self.fault = error

    def _succeeded(self) -> None:
        if self.fault is not None:
            lost = self._intake.lost
            facts = {"lost_lines": lost.lines, "lost_from_ns": lost.first_ns, "lost_to_ns": lost.last_ns}
            _log.warning("journal is written again", extra=facts)
        self.fault = None
