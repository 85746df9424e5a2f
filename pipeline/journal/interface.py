r"""What the rest of the platform needs of a journal; files are the first implementation, Redis Streams can be the second.

A journal is a set of named sources. A source has one writer and any number of readers, and is a
sequence of lines ``<recv_ns> <raw json>\n``. A reader sees durable lines only.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipeline.journal.position import Position


@runtime_checkable
class Writer(Protocol):
    """The one writer of a source."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes taken and not yet durable."""

    def append(self, recv_ns: int, raw: bytes) -> None:
        """Take one line into memory."""

    def commit(self) -> Position:
        """Make every line taken so far durable, then let readers see it."""

    def rotate(self) -> None:
        """Commit and let the next line begin a new segment."""

    def close(self) -> None:
        """Commit and release the source."""


@runtime_checkable
class Reader(Protocol):
    """One reader of a source; where it stands is the caller's to keep."""

    def read(self, position: Position, max_lines: int) -> tuple[bytes, Position]:
        """Whole durable lines from ``position`` on, at most ``max_lines``, and the position behind them."""

    def durable(self) -> Position:
        """How far the source is durable."""

    def backlog_bytes(self, position: Position) -> int:
        """Durable bytes behind ``position``."""

    def prune(self, older_than_ns: int, up_to: Position) -> int:
        """Drop old segments that lie wholly before ``up_to``; how many."""

    def close(self) -> None:
        """Release what the reader holds open."""


@runtime_checkable
class Journal(Protocol):
    """All sources of one profile."""

    def sources(self) -> list[str]:
        """Names of the sources that exist."""

    def writer(self, source: str) -> Writer:
        """Open a source for writing; it is made when it does not exist."""

    def reader(self, source: str) -> Reader:
        """Open a source for reading; it need not exist yet."""
