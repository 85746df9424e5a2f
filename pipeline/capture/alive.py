"""A sign of life for the supervisor while the disk takes nothing.

It judges capture by the time of a file that every commit writes. With a full disk, or an fsync that does not end, there is no
commit; to be replaced for that would lose what waits in memory, and help nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

_EVERY_S = 5.0


async def show_life(path: Path) -> None:
    """Renew the time of ``path`` every few seconds, until cancelled; what is not there is not made."""
    while True:
        await asyncio.sleep(_EVERY_S)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(os.utime, path)
