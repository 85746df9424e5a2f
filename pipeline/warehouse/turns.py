"""Whose block is landed next, and how large it may be: what is live never waits long for what is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from pipeline.warehouse.landing import CAPTURE, CONTROL

BLOCK_S = 0.15
"""About how long the landing of one block of a source that is not live may take."""
_FIRST_LINES = 10_000
_LEAST_LINES = 1_000
_SHARE = 4  # while capture is behind itself, others have one turn in so many


@dataclass(slots=True)
class Turns:
    """The order of the sources: each round what people asked for, capture, and one block of a single other source, in turn.

    So a live line waits for one block of another source at most, however many sources have however much to land.
    While capture itself has to catch up it has most rounds to itself; none of the others ever stops.
    """

    _queue: list[str] = field(default_factory=list)
    _round: int = 0

    def first(self, sources: Collection[str]) -> list[str]:
        """The sources of which every round lands a block."""
        return [source for source in (CONTROL, CAPTURE) if source in sources]

    def others(self, sources: Collection[str], *, catching_up: bool) -> list[str]:
        """The sources of which this round lands one block, the one that has waited longest first; perhaps none."""
        self._round += 1
        self._queue = [source for source in self._queue if source in sources]
        self._queue += [source for source in sources if source not in {CONTROL, CAPTURE, *self._queue}]
        return [] if catching_up and self._round % _SHARE else list(self._queue)

    def took(self, source: str) -> None:
        """The source has had its block, and queues up again."""
        self._queue.remove(source)
        self._queue.append(source)


@dataclass(slots=True)
class Pace:
    """How many lines the next block of a source may have, so that its landing takes about `BLOCK_S`; ``most`` at most.

    A line of the present is landed hundreds of times faster than one of a day that has been archived.
    """

    most: int
    lines: int = field(init=False)

    def __post_init__(self) -> None:
        self.lines = min(_FIRST_LINES, self.most)

    def took(self, lines: int, seconds: float) -> None:
        """Learn from a block; a small one says little, for a transaction costs something by itself."""
        if lines * 2 >= self.lines or seconds > BLOCK_S:
            fitting = int(lines * BLOCK_S / max(seconds, 1e-6))
            self.lines = max(min(fitting, 2 * self.lines, self.most), min(_LEAST_LINES, self.most))
