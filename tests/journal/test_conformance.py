"""What every journal must do, asked of both: files, and Redis Streams on a real redis-server."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import JournalError
from pipeline.journal import START, FileJournal, Journal, Position, Reader, Writer

ENDLESS = 1 << 62
DEFAULTS = {"fsync_s": 0.0, "segment_bytes": 1 << 20, "segment_seconds": 3_600.0}


@dataclass(frozen=True)
class Make:
    """Opens the journal of one place, as often as a test wants."""

    kind: str
    fresh: Callable[..., Callable[[], Journal]]
    """Options -> something that opens a journal that is empty at first."""

    def __call__(self, **options: float) -> Journal:
        return self.fresh(**options)()


@pytest.fixture(scope="module", params=["files", "redis"])
def make(request, tmp_path_factory) -> Make:
    if request.param == "files":
        root = tmp_path_factory.mktemp("files")

        def fresh(**options):
            place = root / secrets.token_hex(4)
            return lambda: FileJournal(place, **(DEFAULTS | options))
    else:
        server = request.getfixturevalue("redis_server")

        def fresh(**options):
            return redis_opener(server.url, **options)

    return Make(request.param, fresh)


def redis_opener(url, **options):
    from pipeline.journal.redis_streams import RedisJournal, Server

    prefix = f"spreadwatch:{{t-{secrets.token_hex(4)}}}"
    Server(url).begin_journal(prefix, "t")
    return lambda: RedisJournal(Server(url), prefix, **(DEFAULTS | options))


def read_all(journal, source="capture", *, max_lines=1_000, start=START, **options):
    blocks = []
    position = start
    with journal.reader(source) as reader:
        while True:
            block, after = reader.read(position, max_lines, **options)
            if not block:
                assert after >= position or after == START  # on to a segment that has nothing yet, at most
                return b"".join(blocks)
            assert block.endswith(b"\n")
            assert block.count(b"\n") <= max_lines
            assert after > position
            blocks.append(block)
            position = after


def lines_of(block):
    """Lines end with a line feed only: a carriage return may stand in one."""
    return [line + b"\n" for line in block.split(b"\n")[:-1]]


def fill(writer, counts, size=20):
    """One segment for each count; all lines."""
    lines = []
    for count in counts:
        for _ in range(count):
            raw = b'{"n":%d,"x":"%b"}' % (len(lines), b"y" * size)
            lines.append(b"%d %b\n" % (len(lines), raw))
            writer.append(len(lines) - 1, raw)
        writer.rotate()
    return lines


def test_it_is_a_journal_of_the_interface(make):
    journal = make()
    assert isinstance(journal, Journal)
    with journal.writer("capture") as writer, journal.reader("capture") as reader:
        assert isinstance(writer, Writer)
        assert isinstance(reader, Reader)
    journal.close()


def test_lines_come_back_in_order_and_with_their_receive_time(make):
    journal = make()
    with journal.writer("capture") as writer:
        lines = fill(writer, [3, 1, 5, 40])
    for max_lines in (1, 2, 3, 7, 100):
        assert read_all(journal, max_lines=max_lines) == b"".join(lines)


def test_nothing_is_visible_before_commit(make):
    journal = make()
    with journal.writer("capture") as writer:
        writer.append(1, b"{}")
        assert writer.buffered_bytes == 5
        assert read_all(journal) == b""
        position = writer.commit()
        assert position.offset == 5
        assert writer.buffered_bytes == 0
        assert read_all(journal) == b"1 {}\n"
        assert journal.reader("capture").durable() == position
        writer.append(2, b"{}")
        assert read_all(journal) == b"1 {}\n"
    assert read_all(journal) == b"1 {}\n2 {}\n"


def test_one_writer_for_a_source_also_from_another_process(make, tmp_path):
    journal = make()
    with journal.writer("capture"):
        with pytest.raises(JournalError, match="one writer"):
            journal.writer("capture")
        journal.writer("control").close()
    journal.writer("capture").close()


def test_a_source_exists_once_it_was_opened_and_two_are_apart(make):
    journal = make()
    assert journal.sources() == []
    assert journal.reader("capture").read(START, 5) == (b"", START)
    with journal.writer("repair") as one, journal.writer("capture") as other:
        one.append(1, b"one")
        other.append(2, b"other")
        one.commit()
        assert read_all(journal, "capture") == b""
        other.commit()
    assert journal.sources() == ["capture", "repair"]
    assert read_all(journal, "repair") == b"1 one\n"
    assert read_all(journal, "capture") == b"2 other\n"
    assert all(journal.stored_bytes(source) > 0 for source in journal.sources())


def test_a_writer_that_is_opened_again_goes_on_behind(make):
    opener = make.fresh()
    lines, before = b"", START
    for life in range(3):
        with opener().writer("capture") as writer:
            for number in range(life + 1):
                writer.append(number, b"life %d" % life)
                lines += b"%d life %d\n" % (number, life)
            after = writer.commit()
            assert after > before
            before = after
    assert read_all(opener()) == lines


def test_any_position_of_a_line_start_reads_on_from_there(make):
    journal = make()
    with journal.writer("capture") as writer:
        lines = fill(writer, [6, 6])
    with journal.reader("capture") as reader:
        position, places = START, []
        for _ in lines:
            _, position = reader.read(position, 1)
            places.append(position)
        assert places == sorted(set(places))
        for number in (11, 3, 7, 0, 5, 2):  # back and forth
            block, _ = reader.read(places[number], 1_000)
            rest = b"".join(lines[number + 1 :])
            assert rest.startswith(block)
            assert block or number == 11


def test_a_position_beyond_the_end_reads_nothing(make):
    journal = make()
    with journal.writer("capture") as writer:
        fill(writer, [2])
    beyond = Position(ENDLESS, 9)
    with journal.reader("capture") as reader:
        assert reader.read(beyond, 10) == (b"", beyond)
        assert reader.backlog_bytes(beyond) == 0
        assert reader.read(START, 0) == (b"", START)


def test_a_block_is_of_one_segment(make):
    journal = make()
    with journal.writer("capture") as writer:
        lines = fill(writer, [3, 4])
    with journal.reader("capture") as reader:
        first, position = reader.read(START, 100)
        second, after = reader.read(position, 100)
    assert first == b"".join(lines[:3])
    assert second == b"".join(lines[3:])
    assert position.offset == len(first)
    assert after.offset == len(second)
    assert after.seq > position.seq


def test_segments_are_begun_by_size_and_by_age(make):
    for options in ({"segment_bytes": 10}, {"segment_seconds": 0.0}):
        journal = make(**options)
        with journal.writer("capture") as writer:
            ends = []
            for number in range(3):
                writer.append(number, b'{"some":"thing"}')
                ends.append(writer.commit())
        assert len({position.seq for position in ends}) == 3
        assert read_all(journal).count(b"\n") == 3


def test_max_bytes_gives_whole_lines_and_at_least_one(make):
    journal = make()
    with journal.writer("capture") as writer:
        lines = fill(writer, [10, 4], size=50)
    for max_bytes in (1, 60, 150, 151, 1_000):
        position, blocks = START, []
        with journal.reader("capture") as reader:
            while True:
                block, position = reader.read(position, 1_000, max_bytes=max_bytes)
                if not block:
                    break
                assert len(block) <= max_bytes or block.count(b"\n") == 1
                blocks.append(block)
        assert b"".join(blocks) == b"".join(lines)


def test_any_byte_but_a_line_break_comes_back(make):
    raw = bytes(byte for byte in range(256) if byte != 10) * 3
    journal = make()
    with journal.writer("capture") as writer:
        writer.append(7, raw)
        writer.append(8, b"")
        writer.append(9, b'{\r\n"a":\n1}')
    assert read_all(journal) == b"7 " + raw + b'\n8 \n9 { "a": 1}\n'


def test_large_lines(make):
    raw = b'"' + os.urandom(1_250_000).hex().encode() + b'"'
    journal = make(segment_bytes=1 << 30)
    with journal.writer("capture") as writer:
        for number in (1, 2, 3):
            writer.append(number, raw)
        writer.rotate()
        writer.append(4, raw)
    assert read_all(journal, max_lines=1) == b"".join(b"%d %b\n" % (number, raw) for number in (1, 2, 3, 4))
    with journal.reader("capture") as reader:
        block, position = reader.read(START, 10, max_bytes=10)
        assert block == b"1 " + raw + b"\n"
        block, _ = reader.read(position, 10)
        assert block == b"2 " + raw + b"\n3 " + raw + b"\n"


def test_backlog_counts_uncompressed_durable_bytes(make):
    journal = make()
    with journal.writer("capture") as writer:
        lines = fill(writer, [3, 4, 5])
        writer.append(1, b"not yet")
        total = sum(map(len, lines))
        with journal.reader("capture") as reader:
            assert reader.backlog_bytes(START) == total
            position, done = START, 0
            while done < total:
                block, position = reader.read(position, 2)
                done += len(block)
                assert reader.backlog_bytes(position) == total - done
    assert journal.reader("nowhere").backlog_bytes(START) == 0


def test_prune_never_takes_what_is_young_or_not_landed_or_last(make):
    journal = make()
    with journal.writer("capture") as writer:
        ends, lines = [], []
        for number in range(4):
            for _ in range(2):
                lines.append(b"%d {}\n" % number)
                writer.append(number, b"{}")
            ends.append(writer.commit())
            writer.rotate()
    future = time.time_ns() + 10**12
    with journal.reader("capture") as reader:
        prune_it(journal, reader, ends, lines, future)
    with journal.writer("capture") as writer:
        writer.append(9, b"{}")
        assert writer.commit() > ends[3]
    assert read_all(journal) == b"".join(lines[6:]) + b"9 {}\n"
    assert journal.reader("nowhere").prune(future, Position(5, 0)) == 0


def prune_it(journal, reader, ends, lines, future):
    assert reader.prune(time.time_ns() - 10**12, ends[3]) == 0
    assert reader.prune(future, START) == 0
    assert reader.prune(future, Position(ends[1].seq, 5)) == 1
    assert read_all(journal) == b"".join(lines[2:])
    assert reader.read(ends[0], 100)[0] == b"".join(lines[2:4])
    assert reader.backlog_bytes(START) == sum(map(len, lines[2:]))
    assert reader.prune(future, Position(ENDLESS, 0)) == 2
    assert read_all(journal) == b"".join(lines[6:])
    assert reader.read(Position(ends[0].seq, 5), 100)[0] == b"".join(lines[6:])
    assert reader.missing_segments > 0


def test_a_reader_follows_while_it_is_written(make):
    journal = make(segment_bytes=4_000)
    total = 3_000

    def write():
        with journal.writer("capture") as writer:
            for number in range(total):
                writer.append(number, b"{}")
                if number % 37 == 0:
                    writer.commit()

    thread = threading.Thread(target=write)
    thread.start()
    numbers, position = [], START
    until = time.monotonic() + 30
    with journal.reader("capture") as reader:
        while len(numbers) < total and time.monotonic() < until:
            block, position = reader.read(position, 111)
            numbers.extend(int(line.split()[0]) for line in block.splitlines())
    thread.join()
    assert numbers == list(range(total))


def test_a_closed_writer_refuses(make):
    writer = make().writer("capture")
    writer.close()
    writer.close()
    for use in (lambda: writer.append(1, b"{}"), writer.commit, writer.rotate):
        with pytest.raises(JournalError, match="was closed"):
            use()


def test_a_buffer_that_nobody_commits_is_bounded(make):
    with make().writer("capture") as writer:
        writer._buffer_bytes = 20
        for number in range(4):
            writer.append(number, b"{}")
        with pytest.raises(JournalError, match="commit more often"):
            writer.append(5, b"{}")
        writer.commit()
        writer.append(5, b"{}")


def test_dropping_leaves_nothing(make):
    opener = make.fresh()
    journal = opener()
    with journal.writer("capture") as writer:
        fill(writer, [2, 2])
    journal.drop()
    if make.kind == "files":
        assert opener().sources() == []
    else:
        with pytest.raises(JournalError, match="has no journal"):
            opener().sources()


# ---------------------------------------------------------------------------------------------------- any history

raws = st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"").replace(b"\0", b""))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(raws, min_size=1, max_size=5)),
        st.tuples(st.sampled_from(["commit", "rotate", "reopen"]), st.none()),
        st.tuples(st.just("read"), st.integers(1, 7)),
        st.tuples(st.just("prune"), st.booleans()),
    ),
    max_size=16,
)


@dataclass
class Model:
    """A journal as plain lists: segments of lines, the last of which grows, and what waits."""

    segments: list[list[bytes]] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    growing: bool = False

    def commit(self) -> None:
        if self.waiting:
            if not self.growing:
                self.segments.append([])
                self.growing = True
            self.segments[-1] += self.waiting
            self.waiting = []

    def rotate(self) -> None:
        self.commit()
        self.growing = False


@settings(max_examples=60, deadline=None)
@given(steps=operations)
def test_any_history_equals_a_list(make, steps):
    opener = make.fresh()
    writer, reader = opener().writer("capture"), opener().reader("capture")
    model, position, landed, number = Model(), START, [], 0
    try:
        for step, argument in steps:
            if step == "append":
                for raw in argument:
                    writer.append(number, raw)
                    model.waiting.append(b"%d %b\n" % (number, raw))
                    number += 1
            elif step == "commit":
                writer.commit()
                model.commit()
            elif step == "rotate":
                writer.rotate()
                model.rotate()
            elif step == "reopen":
                writer.close()
                writer = opener().writer("capture")
                model.rotate()
            elif step == "read":
                block, position = reader.read(position, argument)
                everything = list(itertools.chain(*model.segments))
                landed += lines_of(block)
                assert landed == everything[: len(landed)]
                assert bool(block) == (len(landed) - block.count(b"\n") < len(everything))
            elif step == "prune":
                reader.prune(time.time_ns() + 10**12 if argument else 0, position)
                kept = lines_of(read_all(opener()))
                everything = list(itertools.chain(*model.segments))
                assert kept == everything[len(everything) - len(kept) :]
                assert len(kept) >= len(everything) - len(landed)
        assert reader.missing_segments == 0
        assert reader.backlog_bytes(position) == sum(map(len, list(itertools.chain(*model.segments))[len(landed) :]))
        writer.close()
        model.commit()
        while block := reader.read(position, 3):
            if not block[0]:
                break
            landed += lines_of(block[0])
            position = block[1]
        assert landed == list(itertools.chain(*model.segments))
    finally:
        writer.close()
        reader.close()


# ---------------------------------------------------------------------------------------------------- sudden death

OPEN = {
    "files": """
from pipeline.journal import FileJournal
journal = FileJournal(__import__("pathlib").Path({place!r}), fsync_s=0, segment_bytes=30_000, segment_seconds=3600)
""",
    "redis": """
from pipeline.journal.redis_streams import RedisJournal, Server
journal = RedisJournal(Server({url!r}), {prefix!r}, fsync_s=0, segment_bytes=30_000, segment_seconds=3600)
""",
}
WRITE = """
import sys
writer = journal.writer("capture")
number = int(sys.argv[1])
while True:
    for _ in range(50):
        writer.append(number, b'{"n":%d}' % number)
        number += 1
    writer.commit()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def script(make, journal):
    if make.kind == "files":
        return OPEN["files"].format(place=str(journal.root)) + WRITE
    return OPEN["redis"].format(url=journal.server._url, prefix=journal.prefix) + WRITE


def numbers_of(journal):
    lines = read_all(journal, max_lines=997).splitlines()
    for line in lines:
        recv, raw = line.split(b" ", 1)
        assert raw == b'{"n":%d}' % int(recv)  # whole
    return [int(line.split()[0]) for line in lines]


def test_a_writer_killed_again_and_again_loses_only_what_was_not_committed(make):
    opener = make.fresh(segment_bytes=30_000)
    code, first = script(make, opener()), 0
    for life in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(first)], stdout=subprocess.PIPE, text=True) as process:
            said = [process.stdout.readline() for _ in range(5)]
            time.sleep(0.05 + 0.03 * life)
            os.kill(process.pid, signal.SIGKILL)
            said += process.stdout.read().splitlines()[:-1]  # the last one may be torn
        acknowledged = int(said[-1])
        began = time.monotonic()
        opener().writer("capture").close()  # nobody waits for the dead one's lock
        assert time.monotonic() - began < 5
        numbers = numbers_of(opener())
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged > first
        first = len(numbers)


def test_a_second_writer_is_refused_in_another_process(make):
    opener = make.fresh()
    code = script(make, opener())
    with subprocess.Popen([sys.executable, "-c", code, "0"], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        with pytest.raises(JournalError, match="one writer"):
            opener().writer("capture")
        os.kill(process.pid, signal.SIGKILL)
    opener().writer("capture").close()


def test_a_fresh_directory_is_made(tmp_path):
    with tempfile.TemporaryDirectory(dir=tmp_path) as name, FileJournal(Path(name) / "a" / "b", **DEFAULTS).writer("x") as writer:
        writer.append(1, b"{}")
