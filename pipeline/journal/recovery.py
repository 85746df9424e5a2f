"""What a writer does first: bring a source that a crash left behind into order."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.head import durable
from pipeline.journal.position import START, Position
from pipeline.journal.sealing import remove_unfinished
from pipeline.journal.segment import list_segments, open_segment

_log = logging.getLogger(__name__)


def recover(directory: Path) -> tuple[Position, list[Path]]:
    """Cut torn lines, remove left-overs, and tell where the source ends and which complete segments are still plain.

    Everything up to the returned position is durable. It never lies before the one published earlier,
    even where a file has become shorter than it should be (which is logged).

    Raises:
        OSError: when the directory cannot be read or written.
    """
    remove_unfinished(directory)
    try:
        published = durable(directory)
    except JournalError as error:
        _log.warning("published position made anew", extra={"why": str(error)})
        published = START
    end = published
    plain: list[Path] = []
    sealed = {segment.seq for segment in list_segments(directory) if segment.sealed}
    for segment in list_segments(directory):
        if not segment.sealed and segment.seq in sealed:  # sealed completely, died before the plain file was removed
            segment.path.unlink()
            continue
        if segment.sealed:
            source = open_segment(segment)
            size = source.size()
            source.close()
        else:
            size = segment.path.stat().st_size
            if segment.seq >= published.seq:
                size = _cut(segment.path, published.offset if segment.seq == published.seq else 0)
            plain.append(segment.path)
        if segment.seq == published.seq and size < published.offset:
            facts = {"segment": str(segment.path), "bytes": size, "published": published.offset}
            _log.error("segment is shorter than what was published", extra=facts)
        end = max(end, Position(segment.seq, size))
    return end, plain


def _cut(path: Path, known: int) -> int:
    """Cut a segment behind its last whole line from byte ``known`` on and make the rest durable; its new size."""
    handle = os.open(path, os.O_RDWR)
    try:
        size = os.fstat(handle).st_size
        if size > known:
            tail = _pread_all(handle, size - known, known)
            keep = known + whole_lines(tail)
            if keep < size:
                _log.info("torn line cut", extra={"segment": str(path), "bytes": size - keep})
                os.ftruncate(handle, keep)
                size = keep
        os.fsync(handle)
    finally:
        os.close(handle)
    return size


def _pread_all(handle: int, count: int, offset: int) -> bytes:
    pieces = []
    while count > 0 and (piece := os.pread(handle, count, offset)):
        pieces.append(piece)
        offset += len(piece)
        count -= len(piece)
    return b"".join(pieces)


def whole_lines(tail: bytes) -> int:
    r"""Length of the leading part of ``tail`` that is whole journal lines.

    A power cut can leave blocks of zeros where data was never written, so what follows a line that
    is not ``<digits> <anything>\n`` is not trusted.
    """
    good = 0
    while (end := tail.find(b"\n", good)) >= 0:
        head, space, raw = tail[good:end].partition(b" ")
        if not (space and head.isdigit()) or b"\0" in raw:
            break
        good = end + 1
    return good
