"""Segment files: their names, and reading any byte range of one, plain or compressed.

A segment is ``<first_recv_ns:020d>-<seq:08d>.jnl`` while it grows and ``....jnl.zst`` once sealed
(a standard zstd file that records its uncompressed size). Both may exist for a moment; their bytes agree.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from pipeline.errors import JournalError

PLAIN = ".jnl"
SEALED = ".jnl.zst"

_NAME = re.compile(r"(\d{20})-(\d{8,})(\.jnl|\.jnl\.zst)")
_SKIP_STEP = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment file, in the order of the journal."""

    seq: int
    first_recv_ns: int
    path: Path

    @property
    def sealed(self) -> bool:
        """Whether this is the compressed file."""
        return self.path.name.endswith(SEALED)


def segment_name(first_recv_ns: int, seq: int) -> str:
    """File name of a growing segment."""
    return f"{first_recv_ns:020d}-{seq:08d}{PLAIN}"


def list_segments(directory: Path) -> list[Segment]:
    """Every segment file by sequence number; where the plain and the sealed file both exist, the plain one comes first."""
    try:
        paths = list(directory.iterdir())
    except FileNotFoundError:
        return []
    found = []
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(Segment(int(match[2]), int(match[1]), path))
    return sorted(found, key=lambda segment: (segment.seq, segment.sealed))


class SegmentFile(Protocol):
    """An open segment."""

    def size(self) -> int:
        """Uncompressed bytes in the file at this moment."""

    def pread(self, count: int, offset: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` on; empty at the end."""

    def close(self) -> None:
        """Release the file."""


class PlainFile:
    """A segment that is not compressed; goes on working when the file is sealed and unlinked meanwhile."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY)

    def size(self) -> int:
        """Bytes in the file at this moment."""
        return os.fstat(self._handle).st_size

    def pread(self, count: int, offset: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` on; empty at the end."""
        return os.pread(self._handle, count, offset)

    def close(self) -> None:
        """Release the file."""
        os.close(self._handle)


class SealedFile:
    """A compressed segment, read forwards; what was read last is kept, so that stepping back a little costs nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")
        self._size = zstandard.frame_content_size(self._file.read(18))
        if self._size < 0:
            self._file.close()
            msg = f"{path} does not record its uncompressed size; it was not written by this journal, move it out of the directory"
            raise JournalError(msg)
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(0)
        self._stream = zstandard.ZstdDecompressor().stream_reader(self._file)
        self._last = b""
        self._last_at = 0

    def size(self) -> int:
        """Uncompressed bytes in the segment."""
        return self._size

    def pread(self, count: int, offset: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` on; empty at the end.

        Raises:
            JournalError: when the file is damaged.
        """
        if offset < self._last_at:
            self._rewind()
        try:
            while offset > self._last_at + len(self._last):
                self._advance(min(_SKIP_STEP, offset - self._last_at - len(self._last)))
                if not self._last:
                    return b""
            kept = self._last[offset - self._last_at :]
            if len(kept) < count:
                more = self._stream.read(count - len(kept))
                self._last, self._last_at = kept + more, offset
                kept = self._last
        except zstandard.ZstdError as error:
            msg = f"{self._path} is damaged ({error}); restore it from a backup or remove it, its ticks will show as gaps"
            raise JournalError(msg) from error
        return kept[:count]

    def _advance(self, count: int) -> None:
        self._last_at += len(self._last)
        self._last = self._stream.read(count)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def open_segment(segment: Segment) -> SegmentFile:
    """Open a segment, whichever of its two files is there.

    Raises:
        FileNotFoundError: when neither is.
    """
    if not segment.sealed:
        try:
            return PlainFile(segment.path)
        except FileNotFoundError:  # sealed since it was listed
            return SealedFile(segment.path.with_name(segment.path.name + ".zst"))
    return SealedFile(segment.path)
