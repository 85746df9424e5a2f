"""One writer for each table: whoever does a job takes its turn, whether a scheduled run, one by hand, or a command.

The files stay: they are only what the kernel's locks hang on, and a lock ends with its holder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import WarehouseBusy
from pipeline.profile import Profile

_LOOK_AGAIN_S = 0.25


@contextmanager
def turn(profile: Profile, job: str, *, patience_s: float = 600.0) -> Iterator[None]:
    """Hold the right to run ``job`` in a profile; the kernel gives it back when the holder dies.

    Args:
        profile: whose tables are written.
        job: name of the job, which names the tables too.
        patience_s: longest wait for another holder.

    Raises:
        WarehouseBusy: when another holder has not finished by then.
    """
    path = profile.turns / job
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    msg = f"another {job} of profile {profile.name!r} is still running after {patience_s:g} s; let it finish, or cancel it"
                    raise WarehouseBusy(msg) from None
            time.sleep(_LOOK_AGAIN_S)
        yield
    finally:
        os.close(handle)
