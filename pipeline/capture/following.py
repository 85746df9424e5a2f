"""Follows the universe that the warehouse publishes, without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.profile import Profile, read_universe

_log = logging.getLogger(__name__)

_POLL_S = 1.0


class UniverseFollower:
    """Looks at the universe file once a second and tells changed symbols."""

    def __init__(self, profile: Profile, fallback: tuple[str, ...], changed: Callable[[tuple[str, ...]], None]) -> None:
        self._profile = profile
        self._changed = changed
        self._fallback = fallback
        self._symbols: tuple[str, ...] | None = None
        self._signature: tuple[int, int, int] | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_POLL_S)

    def look(self) -> None:
        """Read the file when it is another one than last time.

        Before it exists for the first time, the symbols of the settings are followed; a file that is removed or
        damaged later changes nothing (and is said).
        """
        signature = _signature(self._profile.universe_file)
        if signature == self._signature and self._symbols is not None:
            return
        self._signature = signature
        try:
            universe = read_universe(self._profile)
        except (ValueError, KeyError, TypeError, UsageError) as error:
            _log.error("universe cannot be read, following what was", extra={"file": str(self._profile.universe_file), "why": str(error)})
            universe = None
        if universe is not None:
            symbols = universe.symbols
        elif self._symbols is None:
            symbols = self._fallback
        else:
            return
        if symbols != self._symbols:
            _log.info("following symbols", extra={"count": len(symbols), "symbols": ",".join(symbols)})
            self._symbols = symbols
            self._changed(symbols)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
