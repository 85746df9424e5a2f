"""Finding and ending every process that belongs to one supervised process, however deep and whatever its process group.

Each child is started with a mark in its environment, which everything that it starts inherits. A process group
alone would miss what calls ``setsid``; a list of pids would miss what started after it was made.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil

MARK = "SUPERVISED_BY_SPREADWATCH"


def mark_of(run_directory: Path, *parts: str) -> str:
    """The mark of a child (parts: run id, process name); with fewer parts the prefix that several share.

    The run id keeps the guard of a dead supervisor away from the children of the next one.
    """
    return ":".join([str(run_directory.resolve()), *parts]) + ":"


def find(prefix: str) -> list[psutil.Process]:
    """Every process whose mark starts with ``prefix``, ourselves excepted. Processes of other users are not seen."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK, "").startswith(prefix):
                found.append(process)
    return found


def end(prefix: str, *, grace_s: float) -> list[str]:
    """Ask all of them to end, and end by force what is left after ``grace_s`` seconds. Blocks.

    Returns:
        One ``name (pid)`` for each process that was there.
    """
    ended: dict[int, str] = {}
    deadline = time.monotonic() + grace_s
    asked: set[int] = set()
    while remaining := [process for process in find(prefix) if _alive(process)]:
        for process in remaining:
            with contextlib.suppress(psutil.Error):
                ended.setdefault(process.pid, f"{process.name()} ({process.pid})")
                if time.monotonic() >= deadline:
                    process.kill()
                elif process.pid not in asked:
                    asked.add(process.pid)
                    process.terminate()
        time.sleep(0.05)
    return list(ended.values())


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
