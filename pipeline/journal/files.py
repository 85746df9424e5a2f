"""The journal as files: one directory per source under the profile's ``journal/``."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pipeline.journal.reader import JournalReader, sources
from pipeline.journal.writer import JournalWriter


class FileJournal:
    """All sources under one root directory. Arguments as of ``JournalWriter``."""

    def __init__(self, root: Path, *, fsync_s: float, segment_bytes: int, segment_seconds: float) -> None:
        self.root = root
        self._fsync_s = fsync_s
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds

    def sources(self) -> list[str]:
        """Names of the sources that exist, in order."""
        return sources(self.root)

    def writer(self, source: str) -> JournalWriter:
        """Open a source for writing; it is made when it does not exist.

        Raises:
            JournalError: when another process writes it, or the directory cannot be used.
        """
        return JournalWriter(
            self.root / source, fsync_s=self._fsync_s, segment_bytes=self._segment_bytes, segment_seconds=self._segment_seconds
        )

    def reader(self, source: str) -> JournalReader:
        """Open a source for reading; it need not exist yet."""
        return JournalReader(self.root / source)

    def stored_bytes(self, source: str) -> int:
        """Bytes of the source's files."""
        total = 0
        for path in (self.root / source).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # sealed or pruned at this moment
                total += path.stat().st_size
        return total

    def drop(self) -> None:
        """Remove every source, for good."""
        for source in self.sources():
            shutil.rmtree(self.root / source)

    def close(self) -> None:
        """Nothing is held open."""
