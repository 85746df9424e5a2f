"""Which files are meant when recordings are named: files as they are, of a directory those that are recordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import RecordingError
from pipeline.journal.reader import sources
from pipeline.journal.segment import list_segments

SUFFIXES = (".jnl", ".gz", ".zst", ".jsonl", ".ndjson", ".txt", ".log", ".dat")
"""What a recording in a directory is called; a file that is named itself may be called anything."""
_NO_MARKET_DATA = "control"  # what the warehouse was asked for


def find_recordings(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files behind ``paths``, each once, in their order.

    A directory stands for the recordings in it: a directory of one of our journal's sources for its segments in order, a journal or a
    profile for the segments of all its sources, any other for its files with a name of ``SUFFIXES``, by name, not those of
    directories further down.

    Raises:
        RecordingError: when a directory has no recording.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_inside(path) if path.is_dir() else [path]))
    return tuple(found)


def _inside(directory: Path) -> list[Path]:
    segments = _segments(directory)
    for root in (directory, directory / "journal"):
        if segments:
            break
        segments = [path for source in sources(root) if source != _NO_MARKET_DATA for path in _segments(root / source)]
    if segments:
        return segments
    files = sorted(path for path in directory.iterdir() if path.is_file() and path.name.endswith(SUFFIXES))
    if not files:
        msg = f"{directory} has no recordings; expected files such as *.gz, *.zst or *.jnl in it, or a journal"
        raise RecordingError(msg, directory)
    return files


def _segments(directory: Path) -> list[Path]:
    """The segment files of one source; of a segment that is being sealed the plain file."""
    by_seq: dict[int, Path] = {}
    for segment in list_segments(directory):
        by_seq.setdefault(segment.seq, segment.path)
    return list(by_seq.values())
