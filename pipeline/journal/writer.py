"""The writer of one source: lines are gathered in memory, written and fsynced as a group, then published."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import DiskFull, JournalError
from pipeline.journal.head import HEAD, encode_head
from pipeline.journal.position import START, Position
from pipeline.journal.recovery import recover
from pipeline.journal.sealing import Sealer, fsync_directory
from pipeline.journal.segment import segment_name

LOCK = "LOCK"

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # disk, quota, or the limit that `ulimit -f` sets
_GROUP = 4 << 20
"""Most bytes of one fsync, so that a long backlog goes to a disk that was full step by step."""


@dataclass(frozen=True, slots=True)
class _Growing:
    """The segment that lines go to."""

    handle: int
    path: Path
    began: float


class JournalWriter:
    """The one writer of a source directory.

    One thread calls ``append``, another one may call ``commit``: neither waits for the other.

    A line is durable when ``commit`` has returned a position behind it. What cannot be written
    stays in memory, up to ``buffer_bytes``, and goes to disk with the first commit that succeeds.

    Args:
        directory: Where the segments lie; made when absent.
        fsync_s: Interval after which ``due`` asks for a commit, in seconds.
        segment_bytes: Size at which a segment is sealed and the next one begun.
        segment_seconds: Age at which the same happens, looked at when something is committed.
        buffer_bytes: Most bytes that wait in memory.

    Raises:
        JournalError: when another process writes this source, or the directory cannot be used.
    """

    def __init__(
        self, directory: Path, *, fsync_s: float, segment_bytes: int, segment_seconds: float, buffer_bytes: int = 64 << 20
    ) -> None:
        self.directory = directory
        self._fsync_s = fsync_s
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._buffer_bytes = buffer_bytes
        self._buffer: list[bytes] = []
        self._unwritten = b""
        self._appended = 0  # bytes ever taken: written by the appending thread only
        self._written = 0  # bytes ever durable: written by the committing thread only
        self._failure: JournalError | None = None
        self._busy = threading.Lock()
        self._closed = False
        self._growing: _Growing | None = None
        self._committed_at = time.monotonic()
        self._sealer = Sealer()
        self._end = START
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            try:
                self._open()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise self._said(error, "open") from error

    def _take_lock(self) -> int:
        handle = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            msg = f"{self.directory} is being written by another process; a source has one writer: stop the other one first"
            raise JournalError(msg) from None
        return handle

    def _open(self) -> None:
        self._end, plain = recover(self.directory)
        self._head = os.open(self.directory / HEAD, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._publish(self._end)
            os.ftruncate(self._head, len(encode_head(self._end)))
            os.fsync(self._head)
            fsync_directory(self.directory)
        except BaseException:
            os.close(self._head)
            raise
        for path in plain:
            self._sealer.submit(path)

    # -- the appending thread ------------------------------------------------------------

    def append(self, recv_ns: int, raw: bytes) -> None:
        """Take one line into memory; line breaks inside ``raw`` (JSON white space) become spaces.

        Raises:
            DiskFull: when the buffer is full because the disk is.
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
            return JournalError(f"{self.directory} was closed; open a new writer")
        if self._failure is not None:
            return type(self._failure)(f"{self._failure}; the buffer is full and lines are being refused")
        return JournalError(f"{self._buffer_bytes} bytes wait for {self.directory} and the disk does not keep up; commit more often")

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
        """Write and fsync everything taken so far, publish and return the durable position.

        Raises:
            DiskFull: when there is no room. What is not yet durable is kept, and the next commit tries again.
            JournalError: when the disk refuses for another reason, or the writer is closed; kept likewise.
        """
        with self._busy:
            if self._closed:
                raise self._refusal()
            self._commit()
            return self._end

    def rotate(self) -> None:
        """Commit, seal the segment in the background, and let the next line begin a new one.

        Raises:
            JournalError: as ``commit``.
        """
        with self._busy:
            if self._closed:
                raise self._refusal()
            self._commit()
            self._finish_segment()

    def close(self) -> None:
        """Commit, wait for sealing, release the source. Closing twice does nothing.

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
                self._sealer.close()
                if self._growing is not None:
                    os.close(self._growing.handle)
                os.close(self._head)
                os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _commit(self) -> None:
        self._committed_at = time.monotonic()
        count = len(self._buffer)
        if count:  # each of the two steps is atomic beside `append`, and later lines come behind `count`
            taken = self._buffer[:count]
            del self._buffer[:count]
            self._unwritten += b"".join(taken)
        data = self._unwritten
        start = 0
        try:
            while start < len(data):
                stop = _group_end(data, start)
                self._write(data if stop - start == len(data) else data[start:stop])
                start = stop
        except OSError as error:
            self._failure = self._said(error, "write")
            raise self._failure from error
        finally:
            if start:
                self._unwritten = data[start:]
        self._failure = None

    def _write(self, group: bytes) -> None:
        growing = self._growing or self._begin_segment(int(group[: group.index(b" ")]))
        try:
            view = memoryview(group)
            offset = self._end.offset
            while view:
                done = os.pwrite(growing.handle, view, offset)
                offset += done
                view = view[done:]
            os.fdatasync(growing.handle)
            self._publish(Position(self._end.seq, offset))
        except OSError:
            # All of the group or nothing: after a failed fsync the kernel may have dropped the pages, so they are written again.
            with contextlib.suppress(OSError):
                os.ftruncate(growing.handle, self._end.offset)
            raise
        self._end = Position(self._end.seq, offset)
        self._written += len(group)
        if offset >= self._segment_bytes or time.monotonic() - growing.began >= self._segment_seconds:
            self._finish_segment()

    def _begin_segment(self, first_recv_ns: int) -> _Growing:
        seq = self._end.seq + 1
        path = self.directory / segment_name(first_recv_ns, seq)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            fsync_directory(self.directory)
            self._publish(Position(seq, 0))
            os.fsync(self._head)  # so that the number is never given again, even when every segment has been pruned
        except OSError:
            os.close(handle)
            raise
        self._end = Position(seq, 0)
        self._growing = _Growing(handle, path, time.monotonic())
        return self._growing

    def _finish_segment(self) -> None:
        if self._growing is not None:
            os.close(self._growing.handle)
            self._sealer.submit(self._growing.path)
            self._growing = None

    def _publish(self, position: Position) -> None:
        os.pwrite(self._head, encode_head(position), 0)

    def _said(self, error: OSError, verb: str) -> JournalError:
        if error.errno in _NO_ROOM:
            room = f"up to {self._buffer_bytes} bytes wait in memory meanwhile"
            return DiskFull(f"no room to {verb} the journal {self.directory}: free disk space; {room}")
        return JournalError(f"cannot {verb} the journal {self.directory}: {error.strerror}; check the disk and the permissions")


def _group_end(data: bytes, start: int) -> int:
    """End of the next group: whole lines, ``_GROUP`` bytes at most unless one line is longer."""
    if len(data) - start <= _GROUP:
        return len(data)
    stop = data.rfind(b"\n", start, start + _GROUP) + 1
    return stop if stop > start else data.index(b"\n", start) + 1
