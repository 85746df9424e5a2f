"""One supervisor a profile: a lock that the kernel releases when its holder dies, so a stale file is no obstacle."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import AlreadyRunning

_FILE = "up.lock"
_PATIENCE_S = 0.5


@contextlib.contextmanager
def hold(run_directory: Path) -> Iterator[None]:
    """Hold the profile's lock; the file goes away with it.

    Raises:
        AlreadyRunning: when another process holds it; names the process.
    """
    path = run_directory / _FILE
    handle = _acquire(path)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def holder(run_directory: Path) -> int | None:
    """The pid of the process that runs the profile now, None when nobody does."""
    path = run_directory / _FILE
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(handle, 32).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else 0
    else:
        return None
    finally:
        os.close(handle)


def _acquire(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            if time.monotonic() < deadline:  # `status` looks at the lock for a moment
                time.sleep(0.05)
                continue
            profile = path.parent.parent.name
            msg = f"profile {profile!r} is being run already by process {pid}; stop it (Ctrl-C, or kill {pid}) or name another --profile"
            raise AlreadyRunning(msg) from None
        if _is_current(path, handle):
            return handle
        os.close(handle)  # the previous holder removed the file between our open and our lock


def _is_current(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
