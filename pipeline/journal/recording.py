"""Recordings of this and other projects, as ``(recv_ns, raw json)``.

Understood, line by line and whatever the file is called: hftbacktest's and our own ``<recv_ns> <json>``, and
cryptofeed's ``<recv_s>: <json>`` (its lines that tell the address or the configuration are passed over). Plain, gzip and zstd files
are told apart by their first bytes.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from pipeline.errors import RecordingError
from pipeline.journal.unpacking import DAMAGED, unpacked

Line = tuple[int, bytes]
NumberedLine = tuple[int, bytes, Path, int]
"""A line, its file, and its number in that file, from 1."""
OnBad = Callable[[RecordingError], None]

LONGEST_LINE = 32 << 20
"""No message is as long: a file with such a line is no recording."""
_SHOWN = 60
_NS_DIGITS = 9
_RECV_DIGITS = 19  # of the largest int64
_INT64_MAX = 2**63 - 1
_HEADERS = (b"wss://", b"ws://", b"https://", b"http://", b"configuration: ")
_EXPECTED = "expected `<recv_ns> <json>` or `<recv_s>: <json>`"
_OPENING = frozenset({b"{", b"["})
_CLOSING = frozenset({b"}", b"]"})


def read_recording(path: Path, *, on_bad: OnBad | None = None) -> Iterator[Line]:
    """The lines of one recording, in its own order.

    Args:
        path: The file.
        on_bad: Called with the error of each line that cannot be read, which is then passed over (so an ingest can count
            them, keep a sample and go on, or raise when there are too many). A file that cannot be opened, ends too early, is
            damaged, or ends within a line is reported the same way, after every line before the damage. None: the first one is raised.

    Yields:
        Receive time in nanoseconds, exactly as recorded (digits beyond nanoseconds are cut), and the raw JSON text.

    Raises:
        RecordingError: at the first thing that is wrong, without ``on_bad``; with file and line number.
    """
    return ((recv_ns, raw) for recv_ns, raw, _, _ in read_numbered(path, on_bad=on_bad))


def read_numbered(path: Path, *, on_bad: OnBad | None = None) -> Iterator[NumberedLine]:
    """The same with file and line number.

    Raises:
        RecordingError: as ``read_recording``.
    """
    report = _raise if on_bad is None else on_bad
    for number, line in enumerate(_lines(path, report), start=1):
        head, _, raw = line.partition(b" ")
        if head.isdigit() and len(head) <= _RECV_DIGITS:
            recv_ns = int(head)
        elif head.endswith(b":") and (exact := seconds_to_ns(head[:-1])) is not None:
            recv_ns = exact
        elif not line or line.isspace() or line.startswith(_HEADERS):
            continue
        else:
            report(_bad(path, number, f"no receive time in {_shown(line)}; {_EXPECTED}"))
            continue
        if recv_ns > _INT64_MAX:
            report(_bad(path, number, f"receive time {_shown(head)} is beyond all times; {_EXPECTED}"))
            continue
        if raw[:1] in _OPENING and raw[-1:] in _CLOSING:
            yield recv_ns, raw, path, number
            continue
        raw = raw.strip()
        if raw[:1] in _OPENING and raw[-1:] in _CLOSING:
            yield recv_ns, raw, path, number
        else:
            report(_bad(path, number, f"not a whole JSON message: {_shown(raw)}; {_EXPECTED}"))


def merge_recordings(paths: Iterable[Path], *, on_bad: OnBad | None = None) -> Iterator[Line]:
    """The lines of several recordings by receive time; at equal times in the order of ``paths``, and in each file in its own order.

    A file whose receive times step back keeps its own order: nothing is sorted within a file. Memory does not grow with the files.

    Raises:
        RecordingError: as ``read_recording``.
    """
    return ((recv_ns, raw) for recv_ns, raw, _, _ in merge_numbered(paths, on_bad=on_bad))


def merge_numbered(paths: Iterable[Path], *, on_bad: OnBad | None = None) -> Iterator[NumberedLine]:
    """The same with file and line number.

    Raises:
        RecordingError: as ``read_recording``.
    """
    streams = [read_numbered(path, on_bad=on_bad) for path in paths]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=itemgetter(0))


def seconds_to_ns(text: bytes) -> int | None:
    """Decimal seconds as nanoseconds, without a float on the way; None when it is not ``digits[.digits]``, or beyond all times."""
    whole, _, fraction = text.partition(b".")
    if not whole.isdigit() or len(whole) > _RECV_DIGITS or (fraction and not fraction.isdigit()):
        return None
    return int(whole + fraction[:_NS_DIGITS].ljust(_NS_DIGITS, b"0"))


def _lines(path: Path, report: OnBad) -> Iterator[bytes]:
    number = 0
    rest = b""
    damage = None
    try:
        for chunk in unpacked(path):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            number += len(lines)
            yield from lines
            if len(rest) > LONGEST_LINE:
                report(_bad(path, number + 1, f"longer than {LONGEST_LINE >> 20} MiB; {_EXPECTED}; nothing after it was read"))
                return
    except DAMAGED as error:
        damage = f"compressed data is damaged or ends too early ({error}); record or copy it again"
    except OSError as error:
        report(RecordingError(f"{path} cannot be read: {error.strerror or error}; expected a recording, plain, .gz or .zst", path))
        return
    if rest and (_is_whole(rest) or (damage is None and not _is_timed(rest))):
        number += 1
        yield rest
    elif rest and damage is None:
        report(_bad(path, number + 1, f"the last line is torn: {_shown(rest)}"))
    if damage is not None:
        report(_bad(path, number + 1, damage))


def _is_timed(line: bytes) -> bool:
    """Whether a line begins as a recorded message does."""
    head = line.partition(b" ")[0]
    return head.isdigit() or seconds_to_ns(head.removesuffix(b":")) is not None


def _is_whole(line: bytes) -> bool:
    """Whether what follows the receive time is JSON to its end."""
    try:
        json.loads(line.partition(b" ")[2])
    except (ValueError, RecursionError):
        return False
    return True


def _bad(path: Path, number: int, reason: str) -> RecordingError:
    return RecordingError(f"{path}:{number}: {reason}", path, number)


def _raise(error: RecordingError) -> None:
    raise error


def _shown(line: bytes) -> str:
    text = line[:_SHOWN].decode("utf-8", "replace")
    return repr(text + ("..." if len(line) > _SHOWN else ""))
