"""The writer of one source: lines are gathered in memory, written and fsynced as a group, then published."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DiskFull, JournalError
from pipeline.journal.buffered import BUFFER_BYTES, BufferedWriter, group_end
from pipeline.journal.head import HEAD, encode_head
from pipeline.journal.position import Position
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


class JournalWriter(BufferedWriter):
    """The one writer of a source directory. A segment is sealed in the background; closing waits for it.

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
        self, directory: Path, *, fsync_s: float, segment_bytes: int, segment_seconds: float, buffer_bytes: int = BUFFER_BYTES
    ) -> None:
        super().__init__(str(directory), fsync_s=fsync_s, buffer_bytes=buffer_bytes)
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._unwritten = b""
        self._growing: _Growing | None = None
        self._sealer = Sealer()
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

    def _write_out(self, lines: bytes) -> None:
        self._unwritten += lines
        data = self._unwritten
        start = 0
        try:
            while start < len(data):
                stop = group_end(data, start, _GROUP)
                self._write(data if stop - start == len(data) else data[start:stop])
                start = stop
        except OSError as error:
            raise self._said(error, "write") from error
        finally:
            if start:
                self._unwritten = data[start:]

    def _release(self) -> None:
        self._sealer.close()
        if self._growing is not None:
            os.close(self._growing.handle)
        os.close(self._head)
        os.close(self._lock)

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
