"""What a simulator is told when it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.simulator.faults.acts import Hole, Skew
from pipeline.simulator.faults.plan import Plan


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Where to listen and what to play.

    Attributes:
        host: address to bind to.
        port: port to bind to; 0 takes a free one.
        seed: which synthetic market; not used by a replay.
        replay: recordings to play, merged by receive time; none plays the synthetic market.
        speed: how many times faster than recorded; infinity plays as fast as the clients read.
        shift_to_now: rewrite the recorded times so that the replay seems to happen now.
        faults: what goes wrong on purpose; None leaves everything as it is.
        ledger: where to write every trade of the symbols that somebody has listened to; None writes nothing.

    Raises:
        UsageError: when ``speed`` is not positive, times are shifted at another speed than 1, or a ledger
            or a fault is asked for that a replay cannot have.
    """

    host: str = "127.0.0.1"
    port: int = 9443
    seed: int = 7
    replay: tuple[Path, ...] = ()
    speed: float = 1.0
    shift_to_now: bool = False
    faults: Plan | None = None
    ledger: Path | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.speed) or self.speed <= 0:
            msg = f"replay speed {self.speed} cannot be used; expected a positive number, 1 for the recorded pace"
            raise UsageError(msg)
        if self.shift_to_now and self.speed != 1:
            msg = f"times cannot be shifted to now at speed {self.speed:g}: they would outrun the clock; use speed 1 or keep the times"
            raise UsageError(msg)
        if self.ledger is not None and self.replay:
            msg = "a replay has no ledger: the recording itself is the truth; leave out --ledger or --replay"
            raise UsageError(msg)
        for fault in self.faults.faults if self.faults is not None and self.replay else ():
            if isinstance(fault.act, Hole) or (isinstance(fault.act, Skew) and fault.act.events):
                msg = f"fault {fault.number} ({fault.act.KIND}) changes the market itself, which a replay cannot do; leave it out"
                raise UsageError(msg)
