"""How often one may try to log in: pauses that grow with each failure, of a user and of an address. Nobody is locked out for ever."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

_FORGET_S = 900.0
_MOST_KEYS = 20_000

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """How long one waits after how many failures.

    Attributes:
        free: failures without a pause.
        longest_s: the pause doubles from 1 s up to this.
    """

    free: int
    longest_s: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(2.0 ** min(beyond, 30), self.longest_s)


BOTH = Pause(3, 60.0)
"""Of one user from one address."""
ADDRESS = Pause(10, 60.0)
"""Of one address, whatever the users."""
USER = Pause(10, 10.0)
"""Of one user from all addresses but those that the user has logged in from: short, for it is others who cause it."""


@dataclass(slots=True)
class _Count:
    failures: int = 0
    last: float = 0.0


class Tries:
    """Counts tries in this process; the time is an argument, in seconds that never go back."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Key, _Count] = OrderedDict()
        self._trusted: OrderedDict[Key, None] = OrderedDict()

    def begin(self, user: str, address: str, now: float) -> float:
        """Seconds still to wait; 0.0 when one may try now.

        A try that may begin counts as failed until ``succeeded`` says otherwise, so that many at a time gain nothing.
        """
        wait = 0.0
        for key, pause in self._keys(user, address):
            count = self._counts.get(key)
            if count is not None and now - count.last < _FORGET_S:
                wait = max(wait, count.last + pause.after(count.failures) - now)
        if wait > 0:
            return wait
        for key, _ in self._keys(user, address):
            count = self._counts.setdefault(key, _Count())
            if now - count.last >= _FORGET_S:
                count.failures = 0
            count.failures += 1
            count.last = now
            self._counts.move_to_end(key)
        while len(self._counts) > _MOST_KEYS:
            self._counts.popitem(last=False)
        return 0.0

    def succeeded(self, user: str, address: str) -> None:
        """The try that began was right: it counts no more, and this address is known for this user."""
        for key, _ in self._keys(user, address):
            count = self._counts.get(key)
            if count is not None:
                count.failures = max(0, count.failures - 1)
        self._counts.pop((user, address), None)
        self._trusted[user, address] = None
        self._trusted.move_to_end((user, address))
        while len(self._trusted) > _MOST_KEYS:
            self._trusted.popitem(last=False)

    def _keys(self, user: str, address: str) -> Iterator[tuple[Key, Pause]]:
        yield (user, address), BOTH
        yield ("address", address, ""), ADDRESS
        if (user, address) not in self._trusted:
            yield ("user", user, ""), USER
