"""Recordings of this and other projects, as ``(recv_ns, raw json)``.

Understood, line by line and whatever the file is called: hftbacktest's and our own ``<recv_ns> <json>``, and
cryptofeed's ``<recv_s>: <json>`` (its lines that tell the address or the configuration are passed over). Plain, gzip and zstd files
are told apart by their first bytes.
"""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import zstandard

from pipeline.errors import RecordingError

Line = tuple[int, bytes]
OnBad = Callable[[RecordingError], None]

_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 17
_SHOWN = 60
_NS_DIGITS = 9
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_HEADERS = (b"wss://", b"ws://", b"https://", b"http://", b"configuration: ")
_EXPECTED = "expected `<recv_ns> <json>` or `<recv_s>: <json>`"


def read_recording(path: Path, *, on_bad: OnBad | None = None) -> Iterator[Line]:
    """The lines of one recording, in its own order.

    Args:
        path: The file.
        on_bad: Called with the error of each line that cannot be read, which is then passed over (so an ingest can count
            them, keep a sample and go on, or raise when there are too many). A compressed file that ends too early or is damaged
            is reported the same way, after the lines before the damage. None: the first one is raised.

    Yields:
        Receive time in nanoseconds, exactly as recorded (digits beyond nanoseconds are cut), and the raw JSON text.

    Raises:
        RecordingError: when the file cannot be opened, and at a bad line without ``on_bad``; with file and line number.
    """
    report = _raise if on_bad is None else on_bad
    for number, line in enumerate(_lines(path, report), start=1):
        head, _, raw = line.partition(b" ")
        if head.isdigit():
            recv_ns = int(head)
        elif head.endswith(b":") and (exact := seconds_to_ns(head[:-1])) is not None:
            recv_ns = exact
        elif not line or line.isspace() or line.startswith(_HEADERS):
            continue
        else:
            report(RecordingError(f"{path}:{number}: no receive time in {_shown(line)}; {_EXPECTED}"))
            continue
        if raw[:1] in _OPENING and raw[-1:] in _CLOSING:
            yield recv_ns, raw
            continue
        raw = raw.strip()
        if raw[:1] in _OPENING and raw[-1:] in _CLOSING:
            yield recv_ns, raw
        else:
            report(RecordingError(f"{path}:{number}: not a whole JSON message: {_shown(raw)}; {_EXPECTED}"))


_OPENING = frozenset({b"{", b"["})
_CLOSING = frozenset({b"}", b"]"})


def merge_recordings(paths: Iterable[Path], *, on_bad: OnBad | None = None) -> Iterator[Line]:
    """The lines of several recordings by receive time; at equal times in the order of ``paths``, and in each file in its own order.

    A file whose receive times step back keeps its own order: nothing is sorted within a file. Memory does not grow with the files.

    Raises:
        RecordingError: as ``read_recording``.
    """
    streams = [read_recording(path, on_bad=on_bad) for path in paths]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=itemgetter(0))


def seconds_to_ns(text: bytes) -> int | None:
    """Decimal seconds as nanoseconds, without a float on the way; None when it is not ``digits[.digits]``."""
    whole, _, fraction = text.partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()):
        return None
    return int(whole + fraction[:_NS_DIGITS].ljust(_NS_DIGITS, b"0"))


def _lines(path: Path, report: OnBad) -> Iterator[bytes]:
    number = 0
    rest = b""
    try:
        for chunk in unpacked(path):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            number += len(lines)
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        report(RecordingError(f"{path}:{number + 1}: compressed data is damaged or ends too early ({error}); record or copy it again"))
        return
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}; expected a recording, plain, .gz or .zst"
        raise RecordingError(msg) from error
    if rest:
        yield rest


def unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of a plain, gzip or zstd file, in pieces; EOFError or the library's own error where it is cut or damaged."""
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(_GZIP):
            with gzip.open(file, "rb") as unpacked:
                while chunk := unpacked.read(_CHUNK):
                    yield chunk
        elif magic == _ZSTD:
            yield from _unzstd(file)
        else:
            while chunk := file.read(_CHUNK):
                yield chunk


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    # Not the library's stream reader: that takes a file cut at a block boundary for a complete one.
    frame = zstandard.ZstdDecompressor().decompressobj()
    while packed := file.read(_PACKED_CHUNK):
        while packed:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data
    if not frame.eof:
        msg = "the last frame is not complete"
        raise EOFError(msg)


def _raise(error: RecordingError) -> None:
    raise error


def _shown(line: bytes) -> str:
    text = line[:_SHOWN].decode("utf-8", "replace")
    return repr(text + ("..." if len(line) > _SHOWN else ""))
