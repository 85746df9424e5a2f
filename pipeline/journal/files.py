"""The journal as files: one directory per source under the profile's ``journal/``."""

from __future__ import annotations

from pathlib import Path

from pipeline.journal.reader import JournalReader, sources
from pipeline.journal.writer import JournalWriter
from pipeline.profile import Profile
from pipeline.settings import Settings


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


def open_journal(profile: Profile, settings: Settings) -> FileJournal:
    """The journal of a profile, as the settings want it."""
    return FileJournal(
        profile.journal,
        fsync_s=settings.fsync_ms / 1_000,
        segment_bytes=settings.segment_mb << 20,
        segment_seconds=settings.segment_minutes * 60,
    )
