"""What a simulated venue trades: its history, what feeds its streams, and the ledger of both."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.history import History, SyntheticHistory
from pipeline.simulator.holes import HoledTape
from pipeline.simulator.hub import Hub
from pipeline.simulator.ledger import Ledger
from pipeline.simulator.live import LiveFeed


@dataclass(frozen=True, slots=True)
class Market:
    """A market that runs. ``run`` feeds the hub for ever, or until the end of a replay."""

    history: History
    run: Callable[[], Coroutine[Any, Any, None]]
    synthetic: Synthetic | None = None

    def close(self) -> None:
        """Let go of the ledger."""
        if self.synthetic is not None and self.synthetic.ledger is not None:
            self.synthetic.ledger.close()


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The parts of a seeded market."""

    tape: HoledTape
    feed: LiveFeed
    ledger: Ledger | None

    def make_hole(self, symbol: str, count: int, now_ms: int) -> tuple[int, int]:
        """Let the next ``count`` ids of a symbol never exist. Returns the first and the last."""
        first = self.tape.free_id(symbol, now_ms)
        last = first + count - 1
        if self.ledger is not None:
            self.ledger.hole(symbol, first, last)  # before it shows anywhere
        self.tape.add(symbol, first, last)
        self.feed.reload(symbol)
        if self.ledger is not None:
            self.ledger.reload(symbol)
        return first, last


async def open_market(config: SimulatorConfig, hub: Hub, clock_ms: Callable[[], int]) -> Market:
    """The market that a configuration asks for.

    Raises:
        RecordingError: when a recording cannot be read.
        UsageError: when the ledger cannot be used.
    """
    if config.replay:
        from pipeline.simulator.replay import open_replay  # noqa: PLC0415  decoders are not needed otherwise

        replay = await open_replay(config, hub)
        return Market(replay.history, replay.run)
    tape = HoledTape(config.seed)
    history = SyntheticHistory(tape, clock_ms)
    ledger = None if config.ledger is None else Ledger(config.ledger, tape)
    if ledger is not None:
        await ledger.catch_up(clock_ms())
    feed = LiveFeed(tape, history, hub, clock_ms, ledger)
    return Market(history, feed.run, Synthetic(tape, feed, ledger))
