"""The durable log between stream and tables: append-only lines ``<recv_ns> <raw json>``, fsynced as a group.

    <journal>/<source>/
        00000001723161255030314667-00000001.jnl.zst   a sealed segment
        00000001723164855030314667-00000002.jnl       the growing one
        HEAD                                          how far it is durable
        LOCK                                          held by the one writer

Sources are ``capture`` (live), ``control`` (what the warehouse was asked for), ``ingest``, ``repair`` and ``backfill``.
The same journal may lie in Redis Streams instead (``redis_streams``); ``open_journal`` is the door to either.
"""

from __future__ import annotations

from pipeline.journal.damage import Damage
from pipeline.journal.files import FileJournal
from pipeline.journal.finding import find_recordings
from pipeline.journal.head import durable
from pipeline.journal.interface import Journal, Reader, Writer
from pipeline.journal.opening import open_journal, written_file
from pipeline.journal.position import START, Position
from pipeline.journal.reader import JournalReader, sources
from pipeline.journal.recording import merge_numbered, merge_recordings, read_recording
from pipeline.journal.segment import Segment
from pipeline.journal.waiting import journal_answers
from pipeline.journal.writer import JournalWriter

__all__ = [
    "START",
    "Damage",
    "FileJournal",
    "Journal",
    "JournalReader",
    "JournalWriter",
    "Position",
    "Reader",
    "Segment",
    "Writer",
    "durable",
    "find_recordings",
    "journal_answers",
    "merge_numbered",
    "merge_recordings",
    "open_journal",
    "read_recording",
    "sources",
    "written_file",
]
