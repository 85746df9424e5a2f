r"""The published position of a source: how many bytes of which segment are durable.

The file ``HEAD`` holds ``<seq> <durable_bytes> <crc32>\n`` in fixed width and is rewritten in place with one
small write after every fsync of the segment. The checksum lets a reader that catches the write half done read again.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.position import START, Position

HEAD = "HEAD"

_ATTEMPTS = 100
_PAUSE_S = 0.001
_READ = 100
_HEAD = re.compile(rb"((\d{8,}) (\d{20,})) ([0-9a-f]{8})\n")


def encode_head(position: Position) -> bytes:
    """The content of ``HEAD``, always of the same length."""
    body = b"%08d %020d" % (position.seq, position.offset)
    return b"%b %08x\n" % (body, zlib.crc32(body))


def decode_head(content: bytes) -> Position | None:
    """The position that ``content`` tells; None when it is torn or damaged."""
    match = _HEAD.fullmatch(content)
    if match is None or zlib.crc32(match[1]) != int(match[4], 16):
        return None
    return Position(int(match[2]), int(match[3]))


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
            content = os.pread(handle, _READ, 0)
            if not content:
                return START
            position = decode_head(content)
            if position is not None:
                return position
            time.sleep(_PAUSE_S)
    finally:
        os.close(handle)
    msg = f"{directory / HEAD} is damaged; expected `<seq> <bytes> <crc32>`; restart the process that writes this source"
    raise JournalError(msg)
