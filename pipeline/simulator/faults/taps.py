"""What can be done to the messages of one stream on their way to everyone who hears it. Pure: the time is given.

A tap takes one frame and gives those to be sent now; what it holds back comes out of `due` later. When its time is over it is told to
`stop`: it takes no more, and is taken out once nothing is held.
"""

from __future__ import annotations

import re
from collections import deque
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple, Protocol

from pipeline.simulator.faults.acts import Delay, Duplicate, Malformed, Oversized, Reorder, Skip
from pipeline.simulator.faults.spoil import spoilt
from pipeline.simulator.frames import wrapped

_ID = re.compile(r'"[at]":(\d+)')


class Frame(NamedTuple):
    """One message in both forms: bare, and as the combined streams send it. ``spoilt`` ones are spoilt no further."""

    bare: str | bytes
    whole: str | bytes
    spoilt: bool = False


class Tap(Protocol):
    """Something done to a stream. ``facts`` is what to say of it at the end."""

    facts: dict[str, object]

    @property
    def over(self) -> bool:
        """Whether it takes and holds nothing any more."""

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """What is sent now that ``frame`` has come."""

    def due(self, now_s: float) -> list[Frame]:
        """What is sent now of what was held back."""

    def stop(self) -> None:
        """Take no more."""


def tap_of(act: object, stream: str, seed: int) -> Tap:
    """The tap that an act puts on a stream."""
    random = Random(seed)
    match act:
        case Skip():
            return SkipTap(act)
        case Duplicate():
            return DuplicateTap(act, random)
        case Delay():
            return DelayTap(act)
        case Reorder():
            return ReorderTap(act, random)
        case Malformed():
            return MalformedTap(act, stream, random)
        case Oversized():
            return OversizedTap(act, stream)
    msg = f"{act!r} is nothing that happens to a stream's messages"
    raise TypeError(msg)


class SkipTap:
    """Swallows the next messages; facts: the ids swallowed."""

    def __init__(self, act: Skip) -> None:
        self._left = act.count
        self.facts: dict[str, object] = {"swallowed": 0}

    @property
    def over(self) -> bool:
        """Whether all have been swallowed."""
        return self._left == 0

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """Nothing, while there is something to swallow."""
        del now_s
        if not self._left:
            return [frame]
        self._left -= 1
        _note(self.facts, frame, "swallowed")
        return []

    def due(self, now_s: float) -> list[Frame]:
        """Nothing is held back."""
        del now_s
        return []

    def stop(self) -> None:
        """Swallow no more."""
        self._left = 0


class DuplicateTap:
    """Sends some messages again."""

    def __init__(self, act: Duplicate, random: Random) -> None:
        self._act = act
        self._random = random
        self._later: list[tuple[float, int, Frame]] = []
        self._order = count()
        self._stopped = False
        self.facts: dict[str, object] = {"repeated": 0}

    @property
    def over(self) -> bool:
        """Whether every copy has been sent."""
        return self._stopped and not self._later

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """The frame, and its copies if it is chosen and they come at once."""
        out = [frame]
        if self._stopped or self._random.random() >= self._act.chance:
            return out
        for _ in range(self._act.copies):
            _note(self.facts, frame, "repeated")
            if self._act.lag_s:
                heappush(self._later, (now_s + self._act.lag_s, next(self._order), frame))
            else:
                out.append(frame)
        return out

    def due(self, now_s: float) -> list[Frame]:
        """Copies whose time has come."""
        out = []
        while self._later and self._later[0][0] <= now_s:
            out.append(heappop(self._later)[2])
        return out

    def stop(self) -> None:
        """Make no more copies."""
        self._stopped = True


class DelayTap:
    """Holds every message back for a while; nothing overtakes."""

    def __init__(self, act: Delay) -> None:
        self._by_s = act.by_s
        self._held: deque[tuple[float, Frame]] = deque()
        self._stopped = False
        self.facts: dict[str, object] = {"delayed": 0}

    @property
    def over(self) -> bool:
        """Whether nothing is held any more."""
        return self._stopped and not self._held

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """Nothing, unless it is over."""
        if self.over:
            return [frame]
        # what comes after the end queues behind what is still held
        self._held.append((self._held[-1][0] if self._stopped else now_s + self._by_s, frame))
        _note(self.facts, frame, "delayed")
        return []

    def due(self, now_s: float) -> list[Frame]:
        """Messages that have waited long enough."""
        out = []
        while self._held and self._held[0][0] <= now_s:
            out.append(self._held.popleft()[1])
        return out

    def stop(self) -> None:
        """Hold back no more than what queues already."""
        self._stopped = True


class ReorderTap:
    """Lets some messages be overtaken by the next ones."""

    def __init__(self, act: Reorder, random: Random) -> None:
        self._act = act
        self._random = random
        self._held: list[tuple[int, float, Frame]] = []
        self._passed = 0
        self._stopped = False
        self.facts: dict[str, object] = {"overtaken": 0}

    @property
    def over(self) -> bool:
        """Whether nothing is held any more."""
        return self._stopped and not self._held

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """The frame unless it is held, and what has been overtaken often enough."""
        if not self._stopped and self._random.random() < self._act.chance:
            self._held.append((self._passed + self._act.depth, now_s + self._act.most_s, frame))
            _note(self.facts, frame, "overtaken")
            return []
        self._passed += 1
        return [frame, *self.due(now_s)]

    def due(self, now_s: float) -> list[Frame]:
        """What has been overtaken often enough, or has waited too long."""
        kept: list[tuple[int, float, Frame]] = []
        out: list[Frame] = []
        for held in self._held:
            if held[0] <= self._passed or held[1] <= now_s or self._stopped:
                out.append(held[2])
            else:
                kept.append(held)
        self._held = kept
        return out

    def stop(self) -> None:
        """Hold back no more."""
        self._stopped = True


class MalformedTap:
    """Spoils the next messages."""

    def __init__(self, act: Malformed, stream: str, random: Random) -> None:
        self._act = act
        self._stream = stream
        self._random = random
        self._left = act.count
        self.facts: dict[str, object] = {"spoilt": 0}

    @property
    def over(self) -> bool:
        """Whether all have been spoilt."""
        return self._left == 0

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """What has become of the frame."""
        del now_s
        if not self._left or frame.spoilt:
            return [frame]
        self._left -= 1
        _note(self.facts, frame, "spoilt")
        bare, combined = spoilt(_text(frame.bare), self._stream, self._act.shape, self._random)
        bad = Frame(bare, combined, spoilt=True)
        return [bad] if self._act.replace else [frame, bad]

    def due(self, now_s: float) -> list[Frame]:
        """Nothing is held back."""
        del now_s
        return []

    def stop(self) -> None:
        """Spoil no more."""
        self._left = 0


class OversizedTap:
    """Blows up the next messages."""

    def __init__(self, act: Oversized, stream: str) -> None:
        self._act = act
        self._stream = stream
        self._left = act.count
        self.facts: dict[str, object] = {"blown_up": 0}

    @property
    def over(self) -> bool:
        """Whether all have been blown up."""
        return self._left == 0

    def feed(self, frame: Frame, now_s: float) -> list[Frame]:
        """The frame with a field of padding: valid, and too large."""
        del now_s
        if not self._left or frame.spoilt:
            return [frame]
        self._left -= 1
        _note(self.facts, frame, "blown_up")
        text = _text(frame.bare)
        bare = f'{text[:-1]},"padding":"{"x" * max(0, self._act.bytes - len(text))}"}}'
        return [Frame(bare, wrapped(self._stream, bare))]

    def due(self, now_s: float) -> list[Frame]:
        """Nothing is held back."""
        del now_s
        return []

    def stop(self) -> None:
        """Blow up no more."""
        self._left = 0


def _text(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")


def _note(facts: dict[str, object], frame: Frame, name: str) -> None:
    """Count a frame, and keep the first and the last id hit."""
    facts[name] = int(str(facts[name])) + 1
    if match := _ID.search(_text(frame.bare)):
        facts.setdefault("first_id", match[1])
        facts["last_id"] = match[1]
