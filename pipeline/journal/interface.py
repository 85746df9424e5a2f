r"""What the rest of the platform needs of a journal: files, or Redis Streams.

A journal is a set of named sources. A source has one writer and any number of readers, and is a
sequence of lines ``<recv_ns> <raw json>\n``. A reader sees durable lines only.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from pipeline.journal.position import Position

MAX_BYTES = 32 << 20


@runtime_checkable
class Writer(Protocol):
    """The one writer of a source; a context manager that closes itself."""

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

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class Reader(Protocol):
    """One reader of a source; where it stands is the caller's to keep. A context manager that closes itself."""

    def read(self, position: Position, max_lines: int, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, Position]:
        """Whole durable lines of one segment from ``position`` on, and the position behind them.

        At most ``max_lines`` lines and ``max_bytes`` bytes, but one line at least; empty when nothing more is durable.
        """

    def durable(self) -> Position:
        """How far the source is durable."""

    def backlog_bytes(self, position: Position) -> int:
        """Durable bytes behind ``position``."""

    def prune(self, older_than_ns: int, up_to: Position) -> int:
        """Drop segments last written before ``older_than_ns`` that lie wholly before ``up_to``; how many."""

    def close(self) -> None:
        """Release what the reader holds open."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class Journal(Protocol):
    """All sources of one profile."""

    def sources(self) -> list[str]:
        """Names of the sources that exist."""

    def writer(self, source: str) -> Writer:
        """Open a source for writing; it is made when it does not exist."""

    def reader(self, source: str) -> Reader:
        """Open a source for reading; it need not exist yet."""

    def stored_bytes(self, source: str) -> int:
        """Bytes that a source takes where it is kept, compressed."""

    def drop(self) -> None:
        """Remove every source, for good."""

    def close(self) -> None:
        """Release what the journal itself holds open; its writers and readers have their own."""
