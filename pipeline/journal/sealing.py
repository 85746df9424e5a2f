"""Compression of full segments in the background."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from pathlib import Path

import zstandard

_log = logging.getLogger(__name__)

_LEVEL = 3
_CHUNK = 1 << 20
_NICE = 10
_TEMPORARY = ".sealing"


def seal(path: Path) -> Path:
    """Compress one complete segment and remove the plain file; a reader meets one or the other, whole, at any moment.

    The sealed file keeps the time of last change, by which retention counts.

    Raises:
        OSError: when there is no room, among others; the plain file is then still there.
    """
    target = path.with_name(path.name + ".zst")
    beside = path.with_name(f".{target.name}{_TEMPORARY}")
    try:
        with path.open("rb") as source, beside.open("wb") as sink:
            status = os.fstat(source.fileno())
            with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(sink, size=status.st_size, closefd=False) as out:
                while chunk := source.read(_CHUNK):
                    out.write(chunk)
            sink.flush()
            os.utime(sink.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))
            os.fsync(sink.fileno())
        beside.replace(target)
        fsync_directory(path.parent)
        path.unlink()
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target


def remove_unfinished(directory: Path) -> None:
    """Remove what a sealing left behind that was interrupted by a crash."""
    for path in directory.glob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def fsync_directory(directory: Path) -> None:
    """Make names that were made or removed in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Sealer:
    """Seals segments one after the other in a thread of its own, started by the first."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, path: Path) -> None:
        """Have a complete segment sealed soon."""
        self._waiting.put(path)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal-sealer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait until everything submitted is sealed."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # compression can wait, what is being received cannot
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (path := self._waiting.get()) is not None:
            try:
                seal(path)
            except (OSError, zstandard.ZstdError) as error:  # the segment stays plain and is tried again at the next start
                _log.warning("segment not sealed", extra={"segment": str(path), "why": str(error)})
