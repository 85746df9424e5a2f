"""The seeded fault plan of a chaos run: how often what goes wrong, as files for ``spreadwatch simulate --faults``."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TRADES = {"stream": "aggTrade"}
_BEGUN = re.compile(r"event=simulator\.fault_began kind=(\w+)")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        kind: what the plan calls it.
        a_minute: how often it begins, at a fury of 1; at least once in any storm.
        fixed: what is the same each time.
        drawn: what is drawn anew, uniformly between two whole numbers, or one of several values.
    """

    kind: str
    a_minute: float
    fixed: dict[str, object] = field(default_factory=dict)
    drawn: dict[str, tuple[object, ...]] = field(default_factory=dict)


KINDS = (
    Kind("drop", 2.0, drawn={"route": ("market", "market", "market", "public")}),
    Kind("close", 0.4, drawn={"code": (1000, 1001, 1008, 1011)}),
    Kind("half_open", 0.4, {"for_s": 15}, {"route": ("market", "market", "public")}),
    Kind("shutdown", 0.3, {"grace_s": 2}),
    Kind("slow", 0.3, {"for_s": 5, "bytes_per_s": 400}),
    Kind("silence", 1.0, {"for_s": 30, **TRADES}),
    Kind("duplicate", 1.5, {"for_s": 5, "chance": 0.4, **TRADES}, {"lag_s": (0, 0.3, 2), "copies": (1, 2), "all": (True, False)}),
    Kind("delay", 1.0, {"for_s": 4, **TRADES}, {"by_s": (0.4, 1.5, 3), "all": (True, False)}),
    Kind("reorder", 1.5, {"for_s": 6, "chance": 0.4, **TRADES}, {"depth": (2, 5), "all": (True, False)}),
    Kind("skip", 2.0, TRADES, {"count": (1, 2, 7, 20)}),
    Kind("hole", 0.7, drawn={"count": (1, 2, 6)}),
    Kind("malformed", 1.5, {"count": 2}),
    Kind("oversized", 0.3, drawn={"bytes": (2_000_000, 6_000_000)}),
    Kind("refuse", 0.4, {"for_s": 3}),
    Kind("status", 1.5, {"for_s": 3}, {"code": (429, 418, 500, 503, 451), "retry_after_s": (1, 3)}),
    Kind("status", 0.5, {"for_s": 3, "on": "ws"}, {"code": (429, 503), "retry_after_s": (1, 3)}),
)
ALWAYS = "[[fault]]\nkind = 'skew'\nms = 1500\n\n[[fault]]\nkind = 'life'\nafter_s = 75\n"
"""The venue's clock is ahead, and no connection lives long."""


@dataclass(slots=True)
class Storm:
    """When what goes wrong, over all lives of the simulator.

    Args:
        directory: where the plans are written, one for each life.
        seed: of everything that is drawn.
        seconds: how long the storm lasts.
        fury: how much more often things happen than in a minute of a long run.
    """

    directory: Path
    seed: int
    seconds: float
    fury: float
    _moments: list[tuple[float, str]] = field(default_factory=list, init=False)
    _lives: int = field(default=0, init=False)
    _plan: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        chance = random.Random(f"faults {self.seed}")
        for kind in KINDS:
            times = max(1, round(kind.a_minute * self.fury * self.seconds / 60))
            part = self.seconds / times
            for time in range(times):
                drawn = {name: chance.choice(values) for name, values in kind.drawn.items()}
                self._moments.append((part * (time + chance.random()), _table(kind.kind, kind.fixed | drawn)))
        self._moments.sort()

    @property
    def arguments(self) -> list[str]:
        """What the simulator is told about its next life; nothing once the storm is over."""
        return ["--faults", str(self._plan)] if self._plan else []

    def begin(self, elapsed_s: float) -> None:
        """Write the plan of a life that begins so many seconds after the storm did."""
        self._lives += 1
        self._plan = self.directory / f"faults-{self._lives}.toml"
        to_come = [f"{table}at_s = {at_s - elapsed_s:.3f}\n" for at_s, table in self._moments if at_s >= elapsed_s]
        self._plan.write_text("\n".join([f"seed = {self.seed + self._lives}\n", ALWAYS, *to_come]))

    def end(self) -> None:
        """No more faults."""
        self._plan = None


def begun(log: Path) -> Counter[str]:
    """How many faults of each kind the simulator's log tells of."""
    return Counter(_BEGUN.findall(log.read_text("utf-8", "replace")))


def _table(kind: str, content: dict[str, object]) -> str:
    rows = "".join(f"{name} = {json.dumps(value)}\n" for name, value in content.items())
    return f"[[fault]]\nkind = '{kind}'\n{rows}"
