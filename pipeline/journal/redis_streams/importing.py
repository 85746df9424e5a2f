"""Filling a new source from elsewhere, under the positions that its lines had there."""

from __future__ import annotations

import time
from typing import Any, Self

import zstandard

from pipeline.journal.position import START, Position
from pipeline.journal.redis_streams.server import Keys, Server, encode

_LEVEL = 3


class RedisImport:
    """The one who fills a source that nobody reads yet: nothing of it is published before ``finish``."""

    def __init__(self, server: Server, prefix: str, source: str) -> None:
        self.lines = 0
        self._server = server
        self._prefix = prefix
        self._source = source
        self._keys = Keys.of(prefix, source)
        self._client: Any = server.connect()
        self._pack = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress
        self._end = START

    def add(self, block: bytes, end: Position, written_ns: int) -> None:
        """Add whole lines that end at ``end``.

        Raises:
            JournalError: when Redis cannot be written.
        """
        with self._server.translated("write"):
            together = self._client.pipeline(transaction=True)
            together.xadd(self._keys.lines, {"b": self._pack(block), "p": encode(self._end)}, id=encode(end))
            together.hset(self._keys.segments, str(end.seq), f"{end.offset} {written_ns}")
            together.execute()
        self._end = end
        self.lines += block.count(b"\n")

    def finish(self, end: Position) -> None:
        """Publish; the source ends at ``end``, which may lie in a segment that has been pruned.

        Raises:
            JournalError: when Redis cannot be written.
        """
        at = encode(end)
        with self._server.translated("write"):
            together = self._client.pipeline(transaction=True)
            together.hset(self._keys.state, mapping={"end": at, "head": at, "moved_ms": time.time_ns() // 1_000_000})
            together.sadd(self._keys.sources, self._source)
            together.execute()
            self._server.settle(self._client, self._prefix)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._client.close()
