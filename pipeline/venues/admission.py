"""When this address may connect to the venue, pure: the time is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

CONNECTS: Final = 240
"""Most attempts of one process in `WINDOW_S`. Binance allows about 300 an address; the rest is for others at the same one."""
WINDOW_S: Final = 300.0
LONGEST_S: Final = 3 * 86_400.0
"""Longest ban that Binance announces."""


class Admission:
    """One for all connections of a process: counts attempts, and knows until when the venue wants none.

    Time is any number of seconds that never runs backwards. Failed attempts count, since the venue counts them.
    """

    def __init__(self, *, connects: int = CONNECTS, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._attempts: deque[float] = deque(maxlen=connects)
        self._held_until: float | None = None
        self.changes = 0
        """Attempts and wishes taken note of so far: grows whenever there is something new to remember."""

    def hold(self, now: float, seconds: float) -> None:
        """The venue asked to be left alone for so long (429, 418); a shorter wish than the present one changes nothing."""
        self._held_until = max(self._held_until if self._held_until is not None else now, now + seconds)
        self.changes += 1

    def held_s(self, now: float) -> float:
        """Seconds for which the venue still wants to be left alone; 0 when it does not."""
        return 0.0 if self._held_until is None else max(0.0, self._held_until - now)

    def wait_s(self, now: float) -> float:
        """Seconds to wait before the next attempt; ask again after them, for somebody else may have been quicker."""
        full = len(self._attempts) == self._attempts.maxlen
        return max(self.held_s(now), self._attempts[0] + self._window_s - now if full else 0.0)

    def attempt(self, now: float) -> None:
        """An attempt is made. Call it right after ``wait_s`` gave 0 or less."""
        self._attempts.append(now)
        self.changes += 1

    def memory(self, now: float) -> tuple[list[float], float]:
        """What another process at this address must know: how long ago each attempt was, oldest first, and the seconds still held."""
        ages = [now - at for at in self._attempts]
        return [age for age in ages if age < self._window_s], self.held_s(now)

    def recall(self, ages: Iterable[float], held_s: float, now: float) -> None:
        """Take over the ``memory`` of a process before this one; call it first of all. What cannot be true is left out."""
        self._attempts.extend(sorted(now - age for age in ages if 0 <= age < self._window_s))
        if 0 < held_s <= LONGEST_S:
            self._held_until = now + held_s
