from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading

import pytest

from pipeline.errors import DiskFull, JournalError
from pipeline.journal import START, JournalReader, JournalWriter, Position, Writer, durable, sources


def test_nothing_is_visible_before_commit(tmp_path, kit):
    with kit.open_writer(tmp_path / "capture") as writer:
        writer.append(1, b"{}")
        assert kit.read_all(tmp_path / "capture") == b""
        assert writer.buffered_bytes == 5
        assert writer.commit() == Position(1, 5)
        assert writer.buffered_bytes == 0
        assert kit.read_all(tmp_path / "capture") == b"1 {}\n"
        assert durable(tmp_path / "capture") == Position(1, 5)
    assert sources(tmp_path) == ["capture"]


def test_head_is_fixed_width_and_human(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        first = (tmp_path / "HEAD").read_bytes()
        writer.append(7, b"{}")
        writer.commit()
        second = (tmp_path / "HEAD").read_bytes()
    assert len(first) == len(second) == 39
    assert second.split()[:2] == [b"00000001", b"00000000000000000005"]


def test_names_tell_first_receive_time_and_sequence(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1723161255030314667, b"{}")
        writer.rotate()
        writer.append(42, b"{}")
        writer.commit()
    names = sorted(path.name for path in tmp_path.glob("*.jnl*"))
    assert names == ["00000000000000000042-00000002.jnl", "01723161255030314667-00000001.jnl.zst"]


def test_segments_are_sealed_by_size_and_by_age(tmp_path, kit):
    with kit.open_writer(tmp_path / "size", segment_bytes=10) as writer:
        for number in range(5):
            writer.append(number, b'{"some":"thing"}')
            writer.commit()
    assert len(list((tmp_path / "size").glob("*.jnl.zst"))) == 5
    with kit.open_writer(tmp_path / "age", segment_seconds=0.0) as writer:
        for number in range(3):
            writer.append(number, b"{}")
            writer.commit()
    assert len(list((tmp_path / "age").glob("*.jnl.zst"))) == 3
    assert not list((tmp_path / "age").glob("*.jnl"))
    assert kit.read_all(tmp_path / "age") == b"0 {}\n1 {}\n2 {}\n"


def test_sealed_segment_is_plain_zstd(tmp_path, kit):
    import zstandard

    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b'{"a":1}')
        writer.rotate()
    [path] = tmp_path.glob("*.zst")
    assert zstandard.ZstdDecompressor().decompress(path.read_bytes()) == b'1 {"a":1}\n'


def test_line_breaks_inside_a_message_become_spaces(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b'{\r\n"a":\n1}')
        writer.commit()
    assert kit.read_all(tmp_path) == b'1 { "a": 1}\n'


def test_one_writer_for_a_source(tmp_path, kit):
    with kit.open_writer(tmp_path):
        with pytest.raises(JournalError, match="one writer"):
            kit.open_writer(tmp_path)
        script = (
            "import sys; from pathlib import Path; from pipeline.journal import JournalWriter\n"
            "JournalWriter(Path(sys.argv[1]), fsync_s=0, segment_bytes=1, segment_seconds=1)"
        )
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
        assert "is being written by another process" in done.stderr
    kit.open_writer(tmp_path).close()


def test_a_directory_that_cannot_be_used_is_said(tmp_path, kit):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot open the journal"):
        kit.open_writer(tmp_path / "file")


def test_sequence_goes_on_after_everything_was_removed(tmp_path, kit):
    for expected in (1, 2, 3):
        with kit.open_writer(tmp_path) as writer:
            writer.append(1, b"{}")
            assert writer.commit().seq == expected
        for path in tmp_path.glob("*.jnl*"):
            path.unlink()


def test_due_asks_for_a_commit_only_when_something_waits(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        assert not writer.due
        writer.append(1, b"{}")
        assert writer.due
        writer.commit()
        assert not writer.due
    with kit.open_writer(tmp_path, fsync_s=60.0) as writer:
        writer.append(1, b"{}")
        assert not writer.due


def test_a_closed_writer_refuses(tmp_path, kit):
    writer = kit.open_writer(tmp_path)
    writer.close()
    writer.close()
    for use in (lambda: writer.append(1, b"{}"), writer.commit, writer.rotate):
        with pytest.raises(JournalError, match="was closed"):
            use()


def test_appending_while_another_thread_commits_loses_nothing(tmp_path, kit):
    writer = kit.open_writer(tmp_path, segment_bytes=200_000)
    stop = threading.Event()

    def commit_all_the_time():
        while not stop.is_set():
            writer.commit()

    thread = threading.Thread(target=commit_all_the_time)
    thread.start()
    for number in range(60_000):
        writer.append(number, b"{}")
    stop.set()
    thread.join()
    writer.close()
    assert kit.read_all(tmp_path, max_lines=7_001) == b"".join(b"%d {}\n" % number for number in range(60_000))


@pytest.fixture
def file_size_limit():
    """A real refusal of the operating system to write on, that can be lifted again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(count: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before if count is None else (count, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_lines_wait_and_go_on_when_room_returns(tmp_path, kit, file_size_limit):
    writer = kit.open_writer(tmp_path, buffer_bytes=2_000)
    writer.append(0, b"{}")
    before = writer.commit()
    file_size_limit(60)
    taken = [0]
    while writer.buffered_bytes < 1_990:
        taken.append(len(taken))
        writer.append(taken[-1], b"{}")
        if len(taken) % 50 == 49:
            with pytest.raises(DiskFull, match="no room to write"):
                writer.commit()
            assert durable(tmp_path) == before
            assert kit.read_all(tmp_path) == b"0 {}\n"
    with pytest.raises(DiskFull, match=r"free disk space.* lines are being refused"):
        writer.append(1, b'{"long":"line"}')
    assert 1_900 < writer.buffered_bytes <= 2_000
    file_size_limit(None)
    assert writer.commit() > before
    writer.append(99, b"{}")
    writer.close()
    assert kit.read_all(tmp_path) == b"".join(b"%d {}\n" % number for number in [*taken, 99])


def test_a_full_disk(tmp_path, kit):
    """The same on a file system that is really full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        writer = kit.open_writer(disk / "capture")
        raw = b'{"fill":"' + b"x" * 2_000 + b'"}'
        (disk / "hog").write_bytes(b"0" * 100_000)
        taken = 0
        for _ in range(40):
            writer.append(taken, raw)
            taken += 1
            writer.commit()
        for _ in range(60):
            writer.append(taken, raw)
            taken += 1
        with pytest.raises(DiskFull):
            writer.commit()
        (disk / "hog").unlink()
        writer.close()
        assert kit.read_all(disk / "capture") == b"".join(b"%d %b\n" % (n, raw) for n in range(taken))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_buffer_that_nobody_commits_is_bounded(tmp_path, kit):
    with kit.open_writer(tmp_path, buffer_bytes=20) as writer:
        for number in range(4):
            writer.append(number, b"{}")
        with pytest.raises(JournalError, match="commit more often"):
            writer.append(5, b"{}")


def test_a_long_backlog_is_written_in_groups_of_whole_lines(tmp_path, kit, monkeypatch):
    monkeypatch.setattr("pipeline.journal.writer._GROUP", 32)
    lines = [b"%d %b\n" % (n, b"x" * (n * 7 % 60)) for n in range(100)]
    with kit.open_writer(tmp_path, segment_bytes=300) as writer:
        for line in lines:
            recv, _, raw = line[:-1].partition(b" ")
            writer.append(int(recv), raw)
        writer.commit()
    assert kit.read_all(tmp_path) == b"".join(lines)
    assert len(list(tmp_path.glob("*.jnl*"))) > 5


def test_left_overs_of_an_interrupted_sealing_are_removed(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b"{}")
        writer.rotate()
        writer.append(2, b"{}")
        writer.commit()
    [sealed] = tmp_path.glob("*.zst")
    sealed.with_name(f".{sealed.name}.sealing").write_bytes(b"half")
    sealed.with_name(sealed.name.removesuffix(".zst")).write_bytes(b"1 {}\n")  # died between rename and unlink
    assert kit.read_all(tmp_path) == b"1 {}\n2 {}\n"
    kit.open_writer(tmp_path).close()
    assert [path.suffix for path in tmp_path.glob("0*")] == [".zst", ".zst"]
    assert not list(tmp_path.glob(".*"))
    assert kit.read_all(tmp_path) == b"1 {}\n2 {}\n"


def test_a_segment_shorter_than_published_is_said_and_left_behind(tmp_path, kit, caplog):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b"{}")
        writer.append(2, b"{}")
        before = writer.commit()
    [path] = tmp_path.glob("*.jnl")
    os.truncate(path, 5)
    with kit.open_writer(tmp_path) as writer:
        assert "segment is shorter than what was published" in caplog.text
        assert durable(tmp_path) >= before
        writer.append(3, b"{}")
        writer.commit()
    assert kit.read_all(tmp_path) == b"1 {}\n3 {}\n"


def test_a_damaged_head_is_made_anew(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        writer.append(1, b"{}")
        writer.commit()
    (tmp_path / "HEAD").write_bytes(b"0" * 39)
    with pytest.raises(JournalError, match="HEAD is damaged"):
        durable(tmp_path)
    kit.open_writer(tmp_path).close()
    assert durable(tmp_path) == Position(1, 5)


def test_it_is_a_journal_writer_of_the_interface(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        assert isinstance(writer, Writer)
        assert isinstance(writer, JournalWriter)
    assert JournalReader(tmp_path / "nowhere").durable() == START
