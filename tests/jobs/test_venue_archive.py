"""Files of the archive over HTTP: verified, read as a stream, missing ones told from broken ones."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import date

import pytest

from pipeline.errors import DataError, RegionBlocked, VenueUnavailable
from pipeline.jobs import venue_archive
from pipeline.jobs.venue_archive import VenueArchive, line_blocks
from pipeline.venues.binance_archive import trade_file

FILE = trade_file("BTCUSDT", date(2026, 11, 20))
TEXT = b"1,2,3\n4,5,6\n"


def zipped(text: bytes = TEXT, names: tuple[str, ...] = ("BTCUSDT-aggTrades-2026-11-20.csv",)) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return body.getvalue()


def checksum(body: bytes) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}  {FILE.name}\n".encode()


def read(url):
    with VenueArchive(url) as archive, archive.opened(FILE) as content:
        return None if content is None else content.read()


def test_a_file_that_fits_its_checksum(files):
    body = zipped()
    with files({FILE.path: [(200, body)], FILE.checksum_path: [(200, checksum(body))]}) as (url, asked):
        assert read(url) == TEXT
        assert read(url + "/") == TEXT
    assert asked == [FILE.checksum_path, FILE.path] * 2


def test_a_file_that_is_not_there(files):
    with files({}) as (url, asked):
        assert read(url) is None
        assert asked == [FILE.checksum_path]
    with files({FILE.checksum_path: [(200, checksum(b""))]}) as (url, _):
        assert read(url) is None


def test_a_mismatch_is_tried_once_more(files):
    body = zipped()
    with files({FILE.path: [(200, body[:-9]), (200, body)], FILE.checksum_path: [(200, checksum(body))]}) as (url, asked):
        assert read(url) == TEXT
    assert asked == [FILE.checksum_path, FILE.path] * 2


@pytest.mark.parametrize("told", [checksum(b"other"), b"<html>no</html>"])
def test_a_mismatch_that_stays_names_the_file(files, told):
    with (
        files({FILE.path: [(200, zipped())], FILE.checksum_path: [(200, told)]}) as (url, asked),
        pytest.raises(DataError, match=r"BTCUSDT-aggTrades-2026-11-20\.zip does not fit its checksum") as caught,
    ):
        read(url)
    assert len(asked) == 4
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"no zip at all", zipped(names=("a.csv", "b.csv")), zipped(names=("a.txt",))])
def test_what_is_no_zip_of_one_csv_is_refused(files, body):
    with (
        files({FILE.path: [(200, body)], FILE.checksum_path: [(200, checksum(body))]}) as (url, _),
        pytest.raises(DataError, match="2026-11-20"),
    ):
        read(url)


def test_a_server_that_fails_is_asked_again(files, monkeypatch):
    monkeypatch.setattr(venue_archive, "_FIRST_PAUSE_S", 0.01)
    body = zipped()
    with files({FILE.path: [(503, b""), (502, b""), (200, body)], FILE.checksum_path: [(500, b""), (200, checksum(body))]}) as (url, _):
        assert read(url) == TEXT
    with files({FILE.checksum_path: [(503, b"")]}) as (url, asked), pytest.raises(VenueUnavailable, match="503"):
        read(url)
    assert len(asked) == 3
    with files({FILE.checksum_path: [(451, b"")]}) as (url, asked), pytest.raises(RegionBlocked):
        read(url)
    assert len(asked) == 1
    with pytest.raises(VenueUnavailable, match=r"archive at http://127\.0\.0\.1:9 cannot be reached"):
        read("http://127.0.0.1:9")


def test_blocks_are_whole_lines():
    text = b"".join(b"%d,x\n" % number for number in range(1_000)) + b"last"
    blocks = list(line_blocks(io.BytesIO(text), 64))
    assert b"".join(blocks) == text
    assert len(blocks) > 50
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert list(line_blocks(io.BytesIO(b""))) == []
