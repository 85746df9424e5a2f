"""The published position of a source: how many bytes of which segment are durable.

The file ``HEAD`` holds ``<seq> <durable_bytes> <crc32>\\n`` in fixed width and is rewritten in place with one
small write after every fsync of the segment. The checksum lets a reader that catches the write half done read again.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.position import START, Position

HEAD = "HEAD"

_ATTEMPTS = 1_000
_WIDTH = 39


def encode_head(position: Position) -> bytes:
    """The content of ``HEAD``, always of the same length."""
    body = b"%08d %020d" % (position.seq, position.offset)
    return b"%b %08x\n" % (body, zlib.crc32(body))


def decode_head(content: bytes) -> Position | None:
    """The position that ``content`` tells; None when it is torn or damaged."""
    parts = content.split()
    if len(parts) != 3 or not content.endswith(b"\n") or encode_head(Position(int(parts[0]), int(parts[1]))) != content:  # noqa: PLR2004
        return None
    return Position(int(parts[0]), int(parts[1]))


def durable(directory: Path) -> Position:
    """How far a source is durable; ``START`` when it does not exist or nothing was ever committed.

    Raises:
        JournalError: when ``HEAD`` is damaged; the next opening by a writer makes it anew.
    """
    try:
        handle = os.open(directory / HEAD, os.O_RDONLY)
    except FileNotFoundError:
        return START
    try:
        for _ in range(_ATTEMPTS):
            content = os.pread(handle, _WIDTH + 1, 0)
            if not content:
                return START
            try:
                position = decode_head(content)
            except ValueError:
                position = None
            if position is not None:
                return position
    finally:
        os.close(handle)
    msg = f"{directory / HEAD} is damaged; expected `<seq> <bytes> <crc32>`; restart the process that writes this source"
    raise JournalError(msg)
