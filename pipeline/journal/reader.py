"""Reading a source while it is written: durable lines only, through sealed and growing segments alike."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.journal.head import HEAD, durable
from pipeline.journal.interface import MAX_BYTES
from pipeline.journal.position import Position
from pipeline.journal.segment import Segment, SegmentFile, list_segments, open_segment

_log = logging.getLogger(__name__)

_CHUNK = 1 << 20
_SHORT = 256
_TIMED = 1_000_000_000_000
"""Segments that were begun in Redis have times for numbers: what lies between two of them is nothing that is missing."""


class JournalReader:
    """One reader of a source directory, which need not exist yet. Where it stands is the caller's to keep.

    It holds the segment it read last open, so that reading on is cheap. Not to be shared between threads.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.missing_segments = 0
        self._segments: dict[int, Segment] = {}
        self._file: SegmentFile | None = None
        self._seq = 0

    def read(self, position: Position, max_lines: int, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, Position]:
        """Whole durable lines from ``position`` on, and the position behind them.

        The block holds at most ``max_lines`` lines and ``max_bytes`` bytes (one line at least) of one segment.
        It is empty when nothing more is durable. Segments that are gone are passed over, logged and counted in
        ``missing_segments``; before the oldest one kept, that is the normal case and not counted.

        Raises:
            JournalError: when a segment or the published position is damaged.
        """
        end = self.durable()
        while position < end and max_lines > 0:
            file = self._at(position.seq)
            if file is not None:
                limit = end.offset if position.seq == end.seq else file.size()
                block = _whole_lines(file, position.offset, limit, max_lines, max_bytes)
                if block or position.seq == end.seq:
                    return block, Position(position.seq, position.offset + len(block))
            following = self._following(position.seq)
            if following is None or following > end.seq:
                return b"", position
            missing = following - position.seq - (1 if file is not None else 0)
            if missing and position.seq > 0 and following < _TIMED:
                self.missing_segments += missing
                facts = {"source": self.directory.name, "first": following - missing, "last": following - 1}
                _log.error("journal segments are gone", extra=facts)
            position = Position(following, 0)
        return b"", position

    def durable(self) -> Position:
        """How far the source is durable; ``START`` when it does not exist.

        Raises:
            JournalError: when the published position is damaged.
        """
        return durable(self.directory)

    def oldest(self) -> Segment | None:
        """The oldest segment that is kept; None when there is none."""
        return min(list_segments(self.directory), default=None)

    def backlog_bytes(self, position: Position) -> int:
        """Durable uncompressed bytes behind ``position``; 0 when it lies at or beyond the end.

        Raises:
            JournalError: when a sealed segment is damaged.
        """
        end = self.durable()
        total = 0
        counted: set[int] = set()
        for segment in list_segments(self.directory):
            if segment.seq < position.seq or segment.seq > end.seq or segment.seq in counted:
                continue
            counted.add(segment.seq)
            size = end.offset if segment.seq == end.seq else _size(segment)
            total += max(0, size - position.offset) if segment.seq == position.seq else size
        return total

    def prune(self, older_than_ns: int, up_to: Position) -> int:
        """Remove sealed segments that lie wholly before ``up_to`` and were last written before ``older_than_ns``.

        That time is the file's, not the receive time in it: a recording of long ago is kept as long as live data.
        The segments of ``up_to`` and of the durable position always stay.

        Returns:
            How many segments were removed.
        """
        first_kept = min(up_to.seq, self.durable().seq)
        removed = 0
        for segment in list_segments(self.directory):
            if segment.sealed and segment.seq < first_kept and segment.path.stat().st_mtime_ns < older_than_ns:
                segment.path.unlink(missing_ok=True)
                removed += 1
        return removed

    def close(self) -> None:
        """Release the segment held open; the reader can be used again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _at(self, seq: int) -> SegmentFile | None:
        """The segment, open; None when it does not exist (any more)."""
        if self._file is not None and self._seq == seq:
            return self._file
        self.close()
        if seq == 0:
            return None
        for attempt in range(2):  # a name may have become old: the segment was sealed or pruned since
            if attempt or seq not in self._segments:
                self._list()
            segment = self._segments.get(seq)
            if segment is None:
                return None
            try:
                self._file = open_segment(segment)
            except FileNotFoundError:
                continue
            self._seq = seq
            return self._file
        return None

    def _following(self, seq: int) -> int | None:
        later = min((known for known in self._segments if known > seq), default=None)
        if later is None or later > seq + 1:
            self._list()
            later = min((known for known in self._segments if known > seq), default=None)
        return later

    def _list(self) -> None:
        self._segments = {segment.seq: segment for segment in reversed(list_segments(self.directory))}


def _size(segment: Segment) -> int:
    try:
        file = open_segment(segment)
    except FileNotFoundError:  # pruned since it was listed
        return 0
    try:
        return file.size()
    finally:
        file.close()


def _whole_lines(file: SegmentFile, offset: int, limit: int, max_lines: int, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = lines = 0
    while offset + size < limit:
        # Behind max_bytes it only goes on until the first line is complete.
        room = max_bytes - size if size < max_bytes else _CHUNK
        piece = file.pread(min(_CHUNK, room, limit - offset - size), offset + size)
        if not piece:
            break
        found = piece.count(b"\n")
        if lines + found >= max_lines:
            pieces.append(piece[: end_of_line(piece, max_lines - lines)])
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        lines += found
        if size >= max_bytes and lines:
            break
    block = b"".join(pieces)
    if size > max_bytes and lines:  # one line longer than max_bytes
        return block[: block.index(b"\n") + 1]
    return block[: block.rfind(b"\n") + 1]


def end_of_line(piece: bytes, number: int) -> int:
    """Where line ``number`` (from 1) of ``piece`` ends: halving, each half counted at the speed of memory."""
    low, high = 0, len(piece)
    while high - low > _SHORT:
        middle = (low + high) // 2
        found = piece.count(b"\n", low, middle)
        if found >= number:
            high = middle
        else:
            low = middle
            number -= found
    for _ in range(number):
        low = piece.index(b"\n", low) + 1
    return low


def sources(root: Path) -> list[str]:
    """Names of the sources under a journal's root, in order; a source exists once a writer has opened it."""
    return sorted(path.parent.name for path in root.glob(f"*/{HEAD}"))
