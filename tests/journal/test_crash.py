"""Whatever is done to a journal and wherever it dies: what was committed is read back, whole lines only, in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.journal import START, JournalReader, Position, durable
from pipeline.journal.head import encode_head
from pipeline.journal.recovery import whole_lines
from pipeline.journal.segment import list_segments

raws = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\0", b""))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(raws, min_size=1, max_size=5)),
        st.just(("commit", None)),
        st.just(("rotate", None)),
        st.just(("reopen", None)),
        st.just(("read", None)),
        st.tuples(
            st.just("crash"), st.tuples(st.integers(0, 300), st.sampled_from([b"", b"\0\0\0\0", b"\0\0\n7 {}\n", b"9 x"]), st.booleans())
        ),
    ),
    max_size=14,
)


def die(kit, writer, waiting, reached, garbage, head_lost):  # noqa: PLR0917 a crash in all its parts
    """Let a writer die after `reached` bytes of the group in hand, and perhaps blocks never written, got into the file; the lines kept."""
    kit.abandon(writer)
    if writer._growing is None:
        return b""
    with writer._growing.path.open("ab") as file:
        file.write(waiting[:reached] + garbage)
    if head_lost:  # a power cut: the page with the position was not on the disk yet
        (writer.directory / "HEAD").write_bytes(encode_head(Position(writer._end.seq, 0)))
    return waiting[: whole_lines(waiting[:reached])]


@settings(max_examples=150, deadline=None)
@given(operations, st.integers(1, 5), st.sampled_from([40, 100_000]))
def test_any_history(kit, steps, split, segment_bytes):
    with tempfile.TemporaryDirectory(prefix="journal-") as name:
        directory = Path(name)
        writer = kit.open_writer(directory, segment_bytes=segment_bytes)
        reader = JournalReader(directory)
        position, seen = START, b""
        committed, waiting = b"", b""
        furthest = durable(directory)
        number = 0
        for step, argument in steps:
            if step == "append":
                for raw in argument:
                    writer.append(number, raw)
                    waiting += b"%d %b\n" % (number, raw)
                    number += 1
            elif step == "commit":
                writer.commit()
            elif step == "rotate":
                writer.rotate()
            elif step == "reopen":
                writer.close()
                writer = kit.open_writer(directory, segment_bytes=segment_bytes)
            elif step == "crash":
                kept = die(kit, writer, waiting, *argument)
                writer = kit.open_writer(directory, segment_bytes=segment_bytes)
                committed += kept
                waiting = b""
            if step in ("commit", "rotate", "reopen"):
                committed, waiting = committed + waiting, b""
            now = durable(directory)
            assert now >= furthest
            furthest = now
            block, position = reader.read(position, split)
            seen += block
            assert committed.startswith(seen)
            assert kit.read_all(directory, max_lines=split) == committed
        writer.close()
        committed += waiting
        while True:
            block, position = reader.read(position, split)
            if not block:
                break
            seen += block
        reader.close()
        assert seen == committed == kit.read_all(directory, max_lines=split)
        numbers = [segment.seq for segment in list_segments(directory)]
        assert numbers == list(range(1, len(numbers) + 1))


@given(st.binary(max_size=60))
def test_whole_lines_is_a_prefix_of_lines(tail):
    good = whole_lines(tail)
    assert good == 0 or tail[good - 1 : good] == b"\n"
    assert whole_lines(tail[:good]) == good


WRITER = """
import sys
from pathlib import Path
from pipeline.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]), fsync_s=0, segment_bytes=30_000, segment_seconds=3600)
number = int(sys.argv[2])
while True:
    for _ in range(50):
        writer.append(number, b'{"n":%d}' % number)
        number += 1
    writer.commit()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.slow
def test_killed_again_and_again(tmp_path):
    first = 0
    for life in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True) as process:
            said = [process.stdout.readline().rstrip("\n")]
            time.sleep(0.05 + 0.03 * life)
            os.kill(process.pid, signal.SIGKILL)
            said += process.stdout.read().split("\n")  # the last one is empty or torn
        acknowledged = int(said[-2])
        position, numbers = START, []
        with JournalReader(tmp_path) as reader:
            while True:
                block, position = reader.read(position, 997)
                if not block:
                    break
                numbers.extend(int(line.split()[0]) for line in block.splitlines())
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
        # What the next life finds in the files beyond the published position is kept too: it goes on behind it.
        last = max((segment for segment in list_segments(tmp_path)), default=None)
        first = len(numbers)
        if last is not None and not last.sealed and last.seq == position.seq:
            tail = last.path.read_bytes()[position.offset :]
            first += tail[: whole_lines(tail)].count(b"\n")
        elif last is not None and last.seq > position.seq:
            first += last.path.read_bytes().count(b"\n")
    assert first >= 300
