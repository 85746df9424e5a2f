"""What every writer does alike: lines are gathered in memory, bounded, and go out as a group."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from pipeline.errors import JournalError
from pipeline.journal.position import START, Position

BUFFER_BYTES = 64 << 20


class BufferedWriter(ABC):
    """The one writer of a source, but for where its lines go.

    One thread calls ``append``, another one may call ``commit``: neither waits for the other.

    A line is durable when ``commit`` has returned a position behind it. What cannot be written
    stays in memory, up to ``buffer_bytes``, and goes out with the first commit that succeeds.

    Args:
        name: The source, as messages call it.
        fsync_s: Interval after which ``due`` asks for a commit, in seconds.
        buffer_bytes: Most bytes that wait in memory.
    """

    def __init__(self, name: str, *, fsync_s: float, buffer_bytes: int) -> None:
        self._name = name
        self._fsync_s = fsync_s
        self._buffer_bytes = buffer_bytes
        self._buffer: list[bytes] = []
        self._appended = 0  # bytes ever taken: written by the appending thread only
        self._written = 0  # bytes ever durable: written by the committing thread only
        self._failure: JournalError | None = None
        self._busy = threading.Lock()
        self._closed = False
        self._committed_at = time.monotonic()
        self._end = START

    # -- the appending thread ------------------------------------------------------------

    def append(self, recv_ns: int, raw: bytes) -> None:
        """Take one line into memory; line breaks inside ``raw`` (JSON white space) become spaces.

        Raises:
            DiskFull: when the buffer is full because there is no room for the journal.
            JournalError: when the buffer is full for another reason, or the writer is closed. The line is not taken.
        """
        if b"\n" in raw:
            raw = raw.replace(b"\r\n", b" ").replace(b"\n", b" ")
        line = b"%d %b\n" % (recv_ns, raw)
        appended = self._appended + len(line)
        if self._closed or appended - self._written > self._buffer_bytes:
            raise self._refusal()
        self._buffer.append(line)
        self._appended = appended

    def _refusal(self) -> JournalError:
        if self._closed:
            return JournalError(f"{self._name} was closed; open a new writer")
        if self._failure is not None:
            return type(self._failure)(f"{self._failure}; the buffer is full and lines are being refused")
        return JournalError(f"{self._buffer_bytes} bytes wait for {self._name} and it does not keep up; commit more often")

    @property
    def buffered_bytes(self) -> int:
        """Bytes taken and not yet durable."""
        return self._appended - self._written

    @property
    def due(self) -> bool:
        """Whether something waits and the last commit is ``fsync_s`` ago."""
        return self.buffered_bytes > 0 and time.monotonic() - self._committed_at >= self._fsync_s

    # -- the committing thread -----------------------------------------------------------

    def commit(self) -> Position:
        """Make everything taken so far durable, publish and return the durable position.

        Raises:
            DiskFull: when there is no room. What is not yet durable is kept, and the next commit tries again.
            JournalError: when it cannot be written for another reason, or the writer is closed; kept likewise.
        """
        with self._busy:
            if self._closed:
                raise self._refusal()
            self._commit()
            return self._end

    def rotate(self) -> None:
        """Commit, end the segment, and let the next line begin a new one.

        Raises:
            JournalError: as ``commit``.
        """
        with self._busy:
            if self._closed:
                raise self._refusal()
            self._commit()
            self._finish_segment()

    def close(self) -> None:
        """Commit and release the source. Closing twice does nothing.

        Raises:
            JournalError: as ``commit``; the source is released all the same and what waited is lost.
        """
        with self._busy:
            if self._closed:
                return
            try:
                self._commit()
            finally:
                self._closed = True
                self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _commit(self) -> None:
        self._committed_at = time.monotonic()
        count = len(self._buffer)
        taken = self._buffer[:count]  # each of the two steps is atomic beside `append`, and later lines come behind `count`
        del self._buffer[:count]
        try:
            self._write_out(b"".join(taken))
        except JournalError as error:
            self._failure = error
            raise
        self._failure = None

    @abstractmethod
    def _write_out(self, lines: bytes) -> None:
        """Make durable what could not be written before and then ``lines``, which are taken over whatever happens."""

    @abstractmethod
    def _finish_segment(self) -> None:
        """Let the next line begin a new segment."""

    @abstractmethod
    def _release(self) -> None:
        """Give everything back that is held open."""


def group_end(data: bytes, start: int, most: int) -> int:
    """End of the next group: whole lines, ``most`` bytes at most unless one line is longer."""
    if len(data) - start <= most:
        return len(data)
    stop = data.rfind(b"\n", start, start + most) + 1
    return stop if stop > start else data.index(b"\n", start) + 1
