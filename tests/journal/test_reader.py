from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JournalError
from pipeline.journal import START, FileJournal, Journal, JournalReader, Position, Reader, open_journal
from pipeline.journal.reader import end_of_line
from pipeline.journal.segment import list_segments
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings


def fill(kit, directory, counts, size=20):
    """One segment for each count; all lines."""
    lines = []
    with kit.open_writer(directory) as writer:
        for count in counts:
            for _ in range(count):
                raw = b'{"n":%d,"x":"%b"}' % (len(lines), b"y" * size)
                lines.append(b"%d %b\n" % (len(lines), raw))
                writer.append(len(lines) - 1, raw)
            writer.rotate()
    return lines


@pytest.mark.parametrize("max_lines", [1, 2, 3, 7, 100])
def test_any_split_gives_the_same_bytes(tmp_path, kit, max_lines):
    lines = fill(kit, tmp_path, [3, 1, 5, 40])
    assert kit.read_all(tmp_path, max_lines=max_lines) == b"".join(lines)


def test_max_bytes_gives_whole_lines_and_at_least_one(tmp_path, kit):
    lines = fill(kit, tmp_path, [10, 4], size=50)
    for max_bytes in (1, 60, 150, 151, 1_000):
        position, blocks = START, []
        with JournalReader(tmp_path) as reader:
            while True:
                block, position = reader.read(position, 1_000, max_bytes=max_bytes)
                if not block:
                    break
                assert block.endswith(b"\n")
                assert len(block) <= max_bytes or block.count(b"\n") == 1
                blocks.append(block)
        assert b"".join(blocks) == b"".join(lines)


def test_a_line_longer_than_a_chunk(tmp_path, kit):
    raw = b'"' + b"z" * 2_500_000 + b'"'
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, raw)
        writer.append(2, raw)
        writer.rotate()
        writer.append(3, raw)
        writer.commit()
    with JournalReader(tmp_path) as reader:
        block, position = reader.read(START, 10, max_bytes=10)
        assert block == b"1 " + raw + b"\n"
        block, position = reader.read(position, 10, max_bytes=10)
        assert block == b"2 " + raw + b"\n"
        block, position = reader.read(position, 10)
        assert block == b"3 " + raw + b"\n"


def test_a_reader_on_a_plain_segment_goes_on_when_it_is_sealed(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        for number in range(100):
            writer.append(number, b"{}")
        writer.commit()
        reader = JournalReader(tmp_path)
        first, position = reader.read(START, 10)
        writer.rotate()
        writer.append(100, b"{}")
        writer.commit()
        deadline = time.monotonic() + 10
        while list(tmp_path.glob("*-00000001.jnl")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not list(tmp_path.glob("*-00000001.jnl"))
        blocks = [first]
        while True:
            block, position = reader.read(position, 10)
            if not block:
                break
            blocks.append(block)
        reader.close()
    assert b"".join(blocks) == b"".join(b"%d {}\n" % number for number in range(101))


def test_any_position_of_a_line_start_reads_on_from_there(tmp_path, kit):
    lines = fill(kit, tmp_path, [6, 6])
    with JournalReader(tmp_path) as reader:
        position, places = START, []
        for _ in lines:
            _, position = reader.read(position, 1)
            places.append(position)
        for number in (11, 3, 7, 0, 5, 2):  # back and forth, in plain and sealed segments
            block, _ = reader.read(places[number], 1_000)
            rest = b"".join(lines[number + 1 :])
            assert rest.startswith(block)
            assert block or number == 11


def test_a_position_beyond_the_end_reads_nothing(tmp_path, kit):
    fill(kit, tmp_path, [2])
    with JournalReader(tmp_path) as reader:
        assert reader.read(Position(9, 9), 10) == (b"", Position(9, 9))
        assert reader.backlog_bytes(Position(9, 9)) == 0
        assert reader.read(START, 0) == (b"", START)


def test_backlog_counts_uncompressed_durable_bytes(tmp_path, kit):
    lines = fill(kit, tmp_path, [3, 4, 5])
    total = sum(map(len, lines))
    with JournalReader(tmp_path) as reader:
        assert reader.backlog_bytes(START) == total
        position, done = START, 0
        while done < total:
            block, position = reader.read(position, 2)
            done += len(block)
            assert reader.backlog_bytes(position) == total - done


def test_nothing_there_yet(tmp_path):
    reader = JournalReader(tmp_path / "capture")
    assert reader.read(START, 10) == (b"", START)
    assert reader.backlog_bytes(START) == 0
    assert reader.oldest() is None
    assert reader.prune(10**30, Position(5, 0)) == 0


def test_prune_keeps_what_is_young_or_not_landed_or_last(tmp_path, kit):
    lines = fill(kit, tmp_path, [2, 2, 2, 2])
    old = time.time_ns() - 10**12
    for segment in list_segments(tmp_path):
        os.utime(segment.path, ns=(old, old))
    with JournalReader(tmp_path) as reader:
        assert reader.prune(old - 1, Position(4, 0)) == 0
        assert reader.prune(old + 1, Position(2, 5)) == 1
        assert [segment.seq for segment in list_segments(tmp_path)] == [2, 3, 4]
        assert reader.oldest().seq == 2
        assert kit.read_all(tmp_path) == b"".join(lines[2:])
        assert reader.prune(old + 1, Position(99, 0)) == 2
        assert [segment.seq for segment in list_segments(tmp_path)] == [4]
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b"{}")
        assert writer.commit().seq == 5


def test_sealing_keeps_the_time_of_last_change(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b"{}")
        writer.commit()
    [plain] = tmp_path.glob("*.jnl")
    os.utime(plain, ns=(10**18, 10**18))
    kit.open_writer(tmp_path).close()
    [sealed] = tmp_path.glob("*.zst")
    assert sealed.stat().st_mtime_ns == 10**18


def test_segments_that_are_gone_are_counted_not_silent(tmp_path, kit, caplog):
    lines = fill(kit, tmp_path, [1, 1, 1, 1, 1])
    for segment in list_segments(tmp_path):
        if segment.seq in (3, 4):
            segment.path.unlink()
    with JournalReader(tmp_path) as reader:
        block, position = b"x", Position(2, 0)
        blocks = []
        while block:
            block, position = reader.read(position, 10)
            blocks.append(block)
        assert b"".join(blocks) == lines[1] + lines[4]
        assert reader.missing_segments == 2
        assert reader.read(Position(3, 0), 10)[0] == lines[4]
        assert reader.missing_segments == 4
    assert "journal segments are gone" in caplog.text


def test_a_damaged_sealed_segment_is_an_error(tmp_path, kit):
    fill(kit, tmp_path, [2_000])
    [sealed] = tmp_path.glob("*.zst")
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    sealed.write_bytes(content)
    with JournalReader(tmp_path) as reader, pytest.raises(JournalError, match="damaged"):
        reader.read(START, 10_000)


@given(st.binary(max_size=1_200).map(lambda data: data.replace(b"z", b"\n")), st.data())
def testend_of_line(data, draw):
    data += b"\n"
    number = draw.draw(st.integers(1, data.count(b"\n")))
    end = end_of_line(data, number)
    assert data[:end].count(b"\n") == number
    assert data[end - 1 : end] == b"\n"


def test_the_journal_of_a_profile(tmp_path):
    profile = create_profile(tmp_path, "one", Kind.RECORDED, TradeKind.RAW, created_at="2026-01-01T00:00:00Z")
    journal = open_journal(profile, Settings(data_dir=tmp_path, fsync_ms=1))
    assert isinstance(journal, Journal)
    assert isinstance(journal, FileJournal)
    assert journal.sources() == []
    with journal.writer("ingest") as writer:
        writer.append(5, b"{}")
        writer.commit()
    with journal.reader("ingest") as reader:
        assert isinstance(reader, Reader)
        assert reader.read(START, 5)[0] == b"5 {}\n"
    journal.writer("capture").close()
    assert journal.sources() == ["capture", "ingest"]
