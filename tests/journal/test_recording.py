from __future__ import annotations

import gzip
import os
import zlib

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import RecordingError
from pipeline.journal import Damage, find_recordings, merge_recordings, read_recording
from pipeline.journal.recording import seconds_to_ns


def write(path, content):
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_both_forms_in_each_packing(tmp_path, suffix):
    ours = write(tmp_path / f"a.txt{suffix}", b'1723161255030314667 {"a":1}\r\n\n12 [1]\n')
    assert list(read_recording(ours)) == [(1723161255030314667, b'{"a":1}'), (12, b"[1]")]
    theirs = write(
        tmp_path / f"b.txt{suffix}",
        b'wss://fstream.binance.com/stream?streams=a/b <-> 1626992740.179554\n1626992741.06217: {"a":1}\n1626992741.081672: {"b":2}',
    )
    assert list(read_recording(theirs)) == [(1626992741062170000, b'{"a":1}'), (1626992741081672000, b'{"b":2}')]


def test_packing_is_told_by_content_not_by_name(tmp_path):
    path = tmp_path / "plain.name"
    path.write_bytes(gzip.compress(b"1 {}\n") + gzip.compress(b"2 {}\n"))  # appended gzip members are one file
    assert list(read_recording(path)) == [(1, b"{}"), (2, b"{}")]
    path.write_bytes(zstandard.ZstdCompressor().compress(b"1 {}\n") + zstandard.ZstdCompressor().compress(b"2 {}\n"))
    assert list(read_recording(path)) == [(1, b"{}"), (2, b"{}")]


def test_our_own_segments_are_recordings(tmp_path, kit):
    with kit.open_writer(tmp_path) as writer:
        for number in range(50):
            writer.append(number, b"{}")
            if number % 20 == 19:
                writer.rotate()
    paths = sorted(tmp_path.glob("*.jnl*"))
    assert len(paths) == 3
    assert [recv for recv, _ in merge_recordings(paths)] == list(range(50))


@given(st.integers(0, 10**11), st.integers(0, 10**9 - 1), st.integers(0, 9), st.text("0123456789", max_size=4))
def test_seconds_are_exact(whole, fraction, digits, beyond):
    text = f"{fraction:09d}"
    ns = whole * 10**9 + int(text[:digits].ljust(9, "0"))
    assert seconds_to_ns(f"{whole}.{text[:digits]}".encode()) == ns
    assert seconds_to_ns(f"{whole}.{text}{beyond}".encode()) == whole * 10**9 + fraction
    assert seconds_to_ns(b"%d" % whole) == whole * 10**9


@pytest.mark.parametrize("text", [b"", b".", b".5", b"-1", b"1e9", b"1.5e3", b"1_0", b"1.-5", b" 1", b"nan"])
def test_other_times_are_none(text):
    assert seconds_to_ns(text) is None


BAD = [
    (b"hello world", "no receive time"),
    (b'{"a":1}', "no receive time"),
    (b'12: {"a":1}x', "not a whole JSON message"),
    (b'12 {"a":1', "not a whole JSON message"),
    (b"12", "not a whole JSON message"),
    (b"-12 {}", "no receive time"),
    (b"\xff\xfe {}", "no receive time"),
]


@pytest.mark.parametrize(("line", "why"), BAD)
def test_a_bad_line_is_told_with_file_and_line(tmp_path, line, why):
    path = write(tmp_path / "x.gz", b"1 {}\n" + line + b"\n3 {}\n")
    lines = read_recording(path)
    assert next(lines) == (1, b"{}")
    with pytest.raises(RecordingError, match=f"x.gz:2: .*{why}"):
        next(lines)
    found = []
    assert list(read_recording(path, on_bad=found.append)) == [(1, b"{}"), (3, b"{}")]
    assert len(found) == 1
    assert why in str(found[0])


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_ends_too_early(tmp_path, suffix):
    content = b"".join(b'%d {"x":"%b"}\n' % (n, os.urandom(30).hex().encode()) for n in range(2_000))
    path = write(tmp_path / f"x{suffix}", content)
    path.write_bytes(path.read_bytes()[:-5_000])
    with pytest.raises(RecordingError, match=f"x{suffix}:[0-9]+: compressed data"):
        list(read_recording(path))
    found = []
    lines = list(read_recording(path, on_bad=found.append))
    assert lines == [(int(line.split()[0]), line.split()[1]) for line in content.splitlines()[: len(lines)]]
    assert found


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecordingError, match="No such file"):
        list(read_recording(tmp_path / "absent"))
    with pytest.raises(RecordingError, match="cannot be read"):
        list(read_recording(tmp_path))


def test_merging_keeps_input_order_at_equal_times(tmp_path):
    one = write(tmp_path / "1", b'1 {"f":1}\n5 {"f":1}\n5 {"g":1}\n9 {"f":1}\n')
    two = write(tmp_path / "2", b'5 {"f":2}\n6 {"f":2}\n')
    three = write(tmp_path / "3", b'0 {"f":3}\n5 {"f":3}\n')
    merged = list(merge_recordings([one, two, three]))
    assert [recv for recv, _ in merged] == [0, 1, 5, 5, 5, 5, 6, 9]
    assert [raw for recv, raw in merged if recv == 5] == [b'{"f":1}', b'{"g":1}', b'{"f":2}', b'{"f":3}']
    assert list(merge_recordings([one])) == list(read_recording(one))
    assert list(merge_recordings([])) == []


def test_real_captures(market_data):
    folder = market_data / "ws_usdm_20240808"
    last, count = 0, 0
    for recv_ns, _ in merge_recordings(sorted(folder.glob("*.gz"))):
        assert recv_ns >= last
        last, count = recv_ns, count + 1
    assert count == 93_954 + 74_655
    lines = list(read_recording(market_data / "ws_cryptofeed" / "BINANCE_FUTURES.ws.1.0.gz"))
    assert len(lines) == 1_535
    assert lines[0][0] == 1626992741062170000


def packed(suffix, content):
    """Incompressible lines in several blocks or members, as appending writers make them."""
    if suffix == ".gz":
        return gzip.compress(content[:40_000]) + gzip.compress(content[40_000:])
    return zstandard.ZstdCompressor().compress(content[:40_000]) + zstandard.ZstdCompressor().compress(content[40_000:])


NOISE = b"".join(b'%d {"x":"%b"}\n' % (n, bytes(format(n * 2_654_435_761 % 2**200, "050x"), "ascii")) for n in range(1, 1_500))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@given(share=st.floats(0, 1), broken=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_before_the_damage_is_kept(tmp_path, suffix, share, broken):
    whole = packed(suffix, NOISE)
    at = 12 + int(share * (len(whole) - 13))
    path = tmp_path / f"x{suffix}"
    path.write_bytes(whole[:at] + (bytes([whole[at] ^ 0x55]) + whole[at + 1 :] if broken else b""))
    told = []
    lines = list(read_recording(path, on_bad=told.append))
    expected = list(read_recording(write(tmp_path / "plain", NOISE)))
    good = 0
    while good < len(lines) and lines[good] == expected[good]:
        good += 1
    if not broken:
        # what a streaming decompressor of the library finds in the same bytes, cut after its last whole line
        assert good == len(lines) == plainly(suffix, path.read_bytes()).count(b"\n")
        assert [(error.path, error.line) for error in told] == ([(path, good + 1)] if len(lines) < len(expected) or told else [])
    else:
        assert told or lines == expected or suffix == ".zst"  # zstd has a check sum only where it was asked for


def plainly(suffix, raw):
    found = b""
    while raw:
        stream = zlib.decompressobj(31) if suffix == ".gz" else zstandard.ZstdDecompressor().decompressobj()
        found += stream.decompress(raw)
        raw = stream.unused_data
    return found


@pytest.mark.parametrize(
    ("content", "lines", "told"),
    [
        (b'1 {"a":{"b":1}}\n2 {"a":{"b":1}', 1, ":2: the last line is torn"),
        (b'1 {"a":{"b":1}}\n2 {"a":{"b"', 1, ":2: the last line is torn"),
        (b"1 {}\n2.5: ", 1, ":2: the last line is torn"),
        (b"1 {}\n2 {}", 2, ""),
        (b"1 {}\nhello", 1, ":2: no receive time in 'hello'"),
        (b"1 {}\n" + b"9" * 5_000 + b" {}\n3 {}\n", 2, ":2: no receive time in '9999"),
        (b"1 {}\n" + b"9" * 5_000 + b".1: {}\n3 {}\n", 2, ":2: no receive time in '9999"),
        (b"1 {}\n9999999999999999999 {}\n3 {}\n", 2, ":2: receive time '9999999999999999999' is beyond all times"),
        (b"1 {}\n" + b"x" * (33 << 20), 1, ":2: longer than 32 MiB"),
    ],
)
def test_torn_and_odd_lines(tmp_path, content, lines, told):
    path = write(tmp_path / "x", content)
    found = []
    assert len(list(read_recording(path, on_bad=found.append))) == lines
    assert len(found) == bool(told)
    assert all(told in str(error) for error in found)


def test_what_cannot_be_opened_does_not_keep_the_others_from_being_read(tmp_path):
    good = write(tmp_path / "good", b"1 {}\n3 {}\n")
    found = []
    assert [recv for recv, _ in merge_recordings([tmp_path / "absent", good, tmp_path], on_bad=found.append)] == [1, 3]
    assert [error.path for error in found] == [tmp_path / "absent", tmp_path]


def test_a_directory_stands_for_its_recordings(tmp_path):
    for name in ("b.gz", "a.jsonl", "LICENSE", "README.md", "c.zst"):
        write(tmp_path / name, b"1 {}\n")
    (tmp_path / "further").mkdir()
    assert [path.name for path in find_recordings([tmp_path, tmp_path / "b.gz", tmp_path / "LICENSE"])] == [
        "a.jsonl",
        "b.gz",
        "c.zst",
        "LICENSE",
    ]
    with pytest.raises(RecordingError, match="further has no recordings"):
        find_recordings([tmp_path / "further"])


def test_damage_is_told_in_one_line(tmp_path):
    damage = Damage()
    assert (bool(damage), damage.told()) == (False, "")
    for number in range(20_000):
        path = tmp_path / f"f{number % 6}"
        damage.kept[path] += 1
        damage.note(RecordingError(f"{path}:{number}: bad", path, number))
    assert len(damage.first) == 10
    told = damage.told()
    assert told.startswith(f"20000 problems in 6 files, the first: {tmp_path / 'f0'}:0: bad; kept: 3334 lines of f0, 3334 lines of f1")
    assert told.endswith("and 2 files more")
