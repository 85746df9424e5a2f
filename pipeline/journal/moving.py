"""From one journal into the other, with every line under the position that it had: what has been landed stays landed.

The record of where the journal is (``journal/redis.json``) changes last; until then the old journal is the one that counts,
and what an interrupted move left behind is removed by the next.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.files import FileJournal
from pipeline.journal.head import HEAD, encode_head
from pipeline.journal.interface import Reader
from pipeline.journal.naming import RedisName, forget_name, load_name, name_journal
from pipeline.journal.opening import file_journal, redis_client, redis_journal
from pipeline.journal.position import START, Position
from pipeline.journal.reader import sources
from pipeline.journal.sealing import fsync_directory, seal
from pipeline.journal.segment import list_segments, segment_name
from pipeline.profile import Profile
from pipeline.settings import Settings

Progress = Callable[[str, int], None]
"""Called with the name of a source and its lines so far."""

_LINES = 100_000


def exported(reader: Reader, directory: Path) -> Iterator[Path]:
    """A source as segment files in ``directory``, sealed, one after the other, and at last its ``HEAD``; up to where it is durable now.

    Each may be removed when the next one is asked for.

    Raises:
        JournalError: when the source cannot be read.
        OSError: when there is no room for one segment.
    """
    directory.mkdir(parents=True, exist_ok=True)
    end = reader.durable()
    position = START
    while position < end:
        block, after = reader.read(position, _LINES)
        if not block:
            break
        path = directory / segment_name(int(block[: block.index(b" ")]), after.seq)
        if after.offset != len(block):
            msg = f"segment {after.seq} of source {directory.name!r} lacks its first lines; the journal is damaged, restore a backup"
            raise JournalError(msg)
        with path.open("wb") as file:
            while block:
                if after.seq == end.seq and after.offset > end.offset:
                    block = block[: len(block) - (after.offset - end.offset)]
                    after = end
                file.write(block)
                position = after
                if position >= end:
                    break
                block, after = reader.read(position, _LINES)
                if after.seq != position.seq:
                    break
            file.flush()
            os.fsync(file.fileno())
        yield seal(path)
    head = directory / HEAD
    head.write_bytes(encode_head(end))
    yield head


def move_to_files(profile: Profile, settings: Settings, progress: Progress) -> int:
    """Let the journal of a profile that does not run be files; what is in Redis is removed. Returns the number of sources.

    Raises:
        SettingsError: when Redis's URL or client is missing.
        JournalError: when Redis cannot be read.
    """
    name = load_name(profile.journal)
    if name is None:
        return 0
    _remove_files(profile)
    journal = redis_journal(profile, settings, name)
    names = journal.sources()
    for source in names:
        with journal.reader(source) as reader:
            for number, path in enumerate(exported(reader, profile.journal / source)):
                progress(f"{source}: {path.name}", number)
        fsync_directory(profile.journal / source)
    forget_name(profile)
    journal.drop()
    journal.close()
    return len(names)


def move_to_redis(profile: Profile, settings: Settings, progress: Progress) -> int:
    """Let the journal of a profile that does not run be in Redis; the files are removed. Returns the number of sources.

    Raises:
        SettingsError: when Redis's URL or client is missing.
        JournalError: when Redis cannot be written, or a file cannot be read.
    """
    if load_name(profile.journal) is not None:
        return 0
    server = redis_client(settings)
    files = file_journal(profile.journal, settings)
    names = files.sources()
    for source in names:  # as every writer does first: cuts a torn line, and nobody else may write meanwhile
        files.writer(source).close()

    def copy(name: RedisName) -> None:
        from pipeline.journal.redis_streams import RedisImport  # noqa: PLC0415 -- an optional extra

        server.begin_journal(name.prefix, profile.name)
        for source in names:
            with files.reader(source) as reader, RedisImport(server, name.prefix, source) as target:
                for block, position, written_ns in _blocks(files, source, reader):
                    target.add(block, position, written_ns)
                    progress(source, target.lines)
                target.finish(reader.durable())

    name_journal(profile, copy)
    _remove_files(profile)
    return len(names)


def begin_files(profile: Profile, landed: Mapping[str, Position]) -> None:
    """Begin a journal of files behind what has been landed, for a journal in Redis that is lost; what was not landed is lost with it."""
    _remove_files(profile)
    for source, position in landed.items():
        directory = profile.journal / source
        directory.mkdir(parents=True, exist_ok=True)
        (directory / HEAD).write_bytes(encode_head(position))
        fsync_directory(directory)
    forget_name(profile)


def _blocks(files: FileJournal, source: str, reader: Reader) -> Iterator[tuple[bytes, Position, int]]:
    """Blocks of a source, the position behind each, and when its segment was last written."""
    written = {segment.seq: segment.path.stat().st_mtime_ns for segment in list_segments(files.root / source)}
    position = START
    while True:
        block, position = reader.read(position, _LINES, max_bytes=1 << 18)
        if not block:
            return
        yield block, position, written.get(position.seq, time.time_ns())


def _remove_files(profile: Profile) -> None:
    for source in sources(profile.journal):
        shutil.rmtree(profile.journal / source)
