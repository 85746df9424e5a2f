"""Helpers of the journal tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.journal import START, JournalReader, JournalWriter, Position


def open_writer(directory: Path, **options) -> JournalWriter:
    defaults = {"fsync_s": 0.0, "segment_bytes": 1 << 20, "segment_seconds": 3_600.0}
    return JournalWriter(directory, **(defaults | options))


def read_all(directory: Path, *, max_lines: int = 1_000, start: Position = START) -> bytes:
    blocks = []
    position = start
    with JournalReader(directory) as reader:
        while True:
            block, position = reader.read(position, max_lines)
            if not block:
                return b"".join(blocks)
            assert block.endswith(b"\n")
            assert block.count(b"\n") <= max_lines
            blocks.append(block)


def abandon(writer: JournalWriter) -> None:
    """End a writer as kill -9 does: nothing more is written, the kernel closes what was open."""
    writer._sealer.close()
    if writer._growing is not None:
        os.close(writer._growing.handle)
    os.close(writer._head)
    os.close(writer._lock)
    writer._closed = True


class Kit:
    """The helpers as one fixture: test modules of an import-mode without packages cannot import each other."""

    open_writer = staticmethod(open_writer)
    read_all = staticmethod(read_all)
    abandon = staticmethod(abandon)


@pytest.fixture(scope="session")
def kit():
    return Kit
