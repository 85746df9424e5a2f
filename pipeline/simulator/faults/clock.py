"""The venue's clock, which can be wrong."""

from __future__ import annotations

from collections.abc import Callable


class VenueClock:
    """Milliseconds of another clock, plus what it is off by.

    Attributes:
        off_ms: what everything that happens is off by.
        told_off_ms: what REST's answers about the time are off by, on top.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._highest_ms = 0
        self.off_ms = 0
        self.told_off_ms = 0

    def __call__(self) -> int:
        """The market's time."""
        now_ms = self._clock_ms() + self.off_ms
        self._highest_ms = max(self._highest_ms, now_ms)
        return now_ms

    @property
    def highest_ms(self) -> int:
        """The latest moment that the market has ever come to; behind it nothing has been told."""
        return max(self._highest_ms, self())
