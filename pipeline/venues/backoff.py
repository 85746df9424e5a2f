"""How long to wait before the next try, and whether a next try makes sense."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from typing import Final

from pipeline.errors import RateLimited, RegionBlocked, VenueUnavailable, WarehouseUnavailable

_FATAL_ERRNO: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EMFILE, errno.ENFILE}
)

BLOCKED_S: Final = 300.0
"""Pause after 403 or 451: somebody has to act, and asking often makes a refusal longer."""


def backoff(*, base_s: float = 0.5, max_s: float = 30.0, jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Pauses in seconds, without end: uniform between 0 and a bound that doubles from ``base_s`` to ``max_s``.

    ``jitter`` gives numbers in [0, 1), such as ``random.Random(seed).random``. Full jitter keeps many
    clients that lost the venue at once from returning at once (AWS, "Exponential Backoff And Jitter", 2015).
    Start a new generator after a success.
    """
    bound = min(base_s, max_s)
    while True:
        yield jitter() * bound
        bound = min(bound * 2, max_s)


def is_retryable(error: BaseException) -> bool:
    """Whether trying again may help: the venue or the warehouse is away, asks to slow down, or the network failed.

    False for a blocked region, a refused request, malformed data, a full disk and programming errors:
    those need somebody to act. A certificate that is not trusted is False too.
    """
    if isinstance(error, (VenueUnavailable, RateLimited, WarehouseUnavailable, TimeoutError, ConnectionError)):
        return True
    # Name resolution and routing failures are plain OSErrors; an SSL certificate error is a ValueError as well.
    return isinstance(error, OSError) and not isinstance(error, ValueError) and error.errno not in _FATAL_ERRNO


def pause_s(error: BaseException, delays: Iterator[float]) -> float:
    """Seconds to wait after ``error``: the next backoff delay, never less than the venue asked for, and long where it refuses us."""
    delay = next(delays)
    if isinstance(error, RateLimited):
        return error.retry_after_s + delay  # the jitter comes on top: not everybody at the same moment
    return BLOCKED_S + delay if isinstance(error, RegionBlocked) else delay
