"""Repair and resample beside a chaos run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Self

from chaos_order import REPAIR, Order, Told
from chaos_processes import run_command

from pipeline.errors import WarehouseUnavailable
from pipeline.jobs.resample import resample
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Profile
from pipeline.store import Role, connect

TIMEFRAMES = ("1s", "1m", "5m")
_PATIENCE_S = 120.0


class Tending:
    """Repair and resample, run after run beside the storm, as the schedules do it."""

    def __init__(self, order: Order, profile: Profile, symbols: Sequence[str], environment: dict[str, str], told: Told) -> None:
        self._order = order
        self._profile = profile
        self._symbols = symbols
        self._environment = environment
        self._told = told
        self._ended = threading.Event()
        self._deaths: list[float] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tending")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait for the run that goes on, and start no other."""
        self._ended.set()
        self._thread.join()

    def kill_next(self, after_s: float) -> None:
        """The next repair is killed with -9 so many seconds after its start."""
        self._deaths.append(after_s)

    def require(self) -> None:
        """Raise what has gone wrong in the thread."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._order.repair_every_s):
                self.repair(self._deaths.pop() if self._deaths else None)
                if self._order.comes_and_goes:
                    self._change_universe()
                try:
                    self.resample()
                except WarehouseUnavailable:
                    self._told.interrupted += 1
        except BaseException as error:  # noqa: BLE001 -- told to the one who waits
            self._error = error

    def repair(self, kill_after_s: float | None = None) -> str:
        """`spreadwatch repair` once; returns what it said."""
        command = ["-m", "pipeline.cli", "repair", "--settled-after", f"{self._order.settled_after_s:g}"]
        log = self._order.directory / "repair.log"
        done = run_command(command, self._environment, log, kill_after_s=kill_after_s)
        self._told.repairs += 1
        if done.code is None:
            self._told.kills[REPAIR] += 1
        assert "unexpected" not in done.output, f"repair failed: {done.output[-2_000:]}"
        return done.output

    def _change_universe(self) -> None:
        """Every other time the last symbol goes, and then it comes back: what it missed is a gap as any other."""
        self._told.universe_changes += 1
        self._asked("add" if self._told.universe_changes % 2 == 0 else "remove")

    def bring_back(self) -> None:
        """Whatever became of the changes, the symbol is followed from now on: requests are applied in their order."""
        deadline = time.monotonic() + _PATIENCE_S
        while "done" not in (said := self._asked("add")):
            assert time.monotonic() < deadline, f"{self._symbols[-1]} cannot be followed again: {said}"
            time.sleep(1)

    def _asked(self, change: str) -> str:
        command = ["-m", "pipeline.cli", "universe", change, self._symbols[-1]]
        return run_command(command, self._environment, self._order.directory / "universe.log").output

    def resample(self) -> None:
        """What the flow resample does, over the wire as it does it."""
        with connect(self._profile, Role.WRITER) as warehouse:
            resample(warehouse, [Timeframe.parse(name) for name in TIMEFRAMES], run="chaos")
        self._told.resamples += 1
