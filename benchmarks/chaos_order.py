"""What a chaos run shall be, who is killed when, and what it came to."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from chaos_verdict import Verdict

SIMULATOR, CAPTURE, WAREHOUSE, REPAIR = "simulator", "capture", "warehouse", "repair"
_TARGETS = ((CAPTURE,), (WAREHOUSE,), (CAPTURE, WAREHOUSE), (WAREHOUSE,), (CAPTURE,), (SIMULATOR,), (REPAIR,))
"""Who is killed, in turn and then shuffled; two names die in the same moment."""
_TWICE = 0.3
_STALLED = 0.25


@dataclass(frozen=True, slots=True)
class Order:
    """What a run shall be.

    Attributes:
        directory: where everything is written; nothing is removed.
        seconds: how long the storm lasts; calm and repair come on top.
        kills: moments at which something is killed with -9.
        seed: of the faults, of the kills and of the market.
        symbols: how many are followed.
        fury: how much more often faults happen than in a long run.
        repair_every_s: pause between two runs of repair and resample.
        settled_after_s: age at which ids that the venue does not tell are believed not to exist.
        calm_s: how long capture goes on after the last fault.
        comes_and_goes: whether one symbol is taken out of the universe and put back all the time.
        rebuild: whether the tables are then made anew from the journal, and compared once more.
    """

    directory: Path
    seconds: float
    kills: int
    seed: int
    symbols: int = 10
    fury: float = 4.0
    repair_every_s: float = 5.0
    settled_after_s: float = 10.0
    calm_s: float = 5.0
    comes_and_goes: bool = False
    rebuild: bool = False


@dataclass(slots=True)
class Told:
    """What a run came to."""

    verdict: Verdict = field(default_factory=Verdict)
    kills: Counter[str] = field(default_factory=Counter)
    stalls: int = 0
    universe_changes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    repairs: int = 0
    resamples: int = 0
    interrupted: int = 0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Who dies when.

    Attributes:
        at_s: moment, in seconds after the start.
        targets: who, in the same moment.
        stalled_s: how long each of them is stopped first, and goes on before it dies.
        away_s: pause before the next life.
        again_s: how soon after its start it dies once more, while it recovers.
    """

    at_s: float
    targets: tuple[str, ...]
    stalled_s: float | None
    away_s: float
    again_s: float | None


def planned_kills(order: Order) -> list[Kill]:
    """Kills spread over the storm: one at a random moment of each equal part of it."""
    chance = random.Random(f"kills {order.seed}")
    part = order.seconds / max(order.kills, 1)
    targets = [_TARGETS[number % len(_TARGETS)] for number in range(order.kills)]
    chance.shuffle(targets)
    return [
        Kill(
            part * (number + chance.random()),
            target,
            chance.uniform(0.5, 6) if chance.random() < _STALLED else None,
            chance.choice((0.0, chance.uniform(0, 1), chance.uniform(1, 4))),
            chance.uniform(0.2, 3) if chance.random() < _TWICE else None,
        )
        for number, target in enumerate(targets)
    ]
