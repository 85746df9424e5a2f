"""One log file a process: appended to, moved aside when it has grown, and its last line when something ended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MAX_BYTES = 20_000_000
_KEPT = 3
_TAIL_BYTES = 8_192


def rotate(path: Path, *, max_bytes: int = _MAX_BYTES, kept: int = _KEPT) -> None:
    """Move a log of ``max_bytes`` or more to ``.1``, what was there to ``.2`` and so on; the oldest goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size < max_bytes:
        return
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))


def last_line(path: Path, *, since: int = 0) -> str:
    """The last line that says something, of what was written after byte ``since``; empty when there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(since, end - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def rotate_growing(directory: Path, *, max_bytes: int = _MAX_BYTES, kept: int = _KEPT) -> int:
    """Move aside what logs of running processes have grown to; returns how many were.

    The files are copied and emptied in their place, because their writers hold them open (for appending, so they go on at the
    beginning). What is written between the two steps is lost: a line or two, once in 20 MB.
    """
    moved = 0
    for path in sorted(directory.glob("*.log")):
        if path.stat().st_size < max_bytes:
            continue
        for number in range(kept - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)
        moved += 1
    return moved
