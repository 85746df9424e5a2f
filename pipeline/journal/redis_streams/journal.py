"""All sources of one journal in Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.journal.redis_streams.reader import RedisReader
from pipeline.journal.redis_streams.server import Keys, Server
from pipeline.journal.redis_streams.writer import RedisWriter


class RedisJournal:
    """Every source under one prefix. Arguments as of ``RedisWriter``; ``beats`` is where its files that are touched lie."""

    def __init__(
        self, server: Server, prefix: str, *, fsync_s: float, segment_bytes: int, segment_seconds: float, beats: Path | None = None
    ) -> None:
        self.server = server
        self.prefix = prefix
        self._fsync_s = fsync_s
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._beats = beats
        self._client: Any = server.connect()

    def sources(self) -> list[str]:
        """Names of the sources that exist, in order.

        Raises:
            JournalUnavailable: when Redis does not answer.
            JournalError: when Redis has no such journal any more.
        """
        with self.server.translated("read"):
            found = self._client.smembers(f"{self.prefix}:sources")
            if not found:
                self.server.require_journal(self._client, self.prefix)
        return sorted(name.decode() for name in found)

    def writer(self, source: str) -> RedisWriter:
        """Open a source for writing; it is made when it does not exist.

        Raises:
            JournalError: when another process writes it, or Redis cannot be used.
        """
        return RedisWriter(
            self.server,
            self.prefix,
            source,
            fsync_s=self._fsync_s,
            segment_bytes=self._segment_bytes,
            segment_seconds=self._segment_seconds,
            beat=self._beats / f"journal-{source}" if self._beats is not None else None,
        )

    def reader(self, source: str) -> RedisReader:
        """Open a source for reading; it need not exist yet."""
        return RedisReader(self.server, self.prefix, source)

    def stored_bytes(self, source: str) -> int:
        """Memory that the source takes, as Redis estimates it.

        Raises:
            JournalError: as ``sources``.
        """
        with self.server.translated("read"):
            return int(self._client.memory_usage(Keys.of(self.prefix, source).lines) or 0)

    def drop(self) -> None:
        """Remove every source and the journal itself, for good.

        Raises:
            JournalError: as ``sources``.
        """
        with self.server.translated("remove"):
            names = [name.decode() for name in self._client.smembers(f"{self.prefix}:sources")]
            keys = [key for name in names for key in Keys.of(self.prefix, name).all()]
            self._client.unlink(f"{self.prefix}:about", f"{self.prefix}:sources", *keys)

    def close(self) -> None:
        """Release the connection."""
        self._client.close()
