"""Repair and resample beside a chaos run."""

from __future__ import annotations

import threading
from typing import Self

from chaos_order import REPAIR, Order, Told
from chaos_processes import run_command

from pipeline.errors import WarehouseUnavailable
from pipeline.jobs.resample import resample
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Profile
from pipeline.store import Role, connect

TIMEFRAMES = ("1s", "1m", "5m")


class Tending:
    """Repair and resample, run after run beside the storm, as the schedules do it."""

    def __init__(self, order: Order, profile: Profile, environment: dict[str, str], told: Told) -> None:
        self._order = order
        self._profile = profile
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

    def resample(self) -> None:
        """What the flow resample does, over the wire as it does it."""
        with connect(self._profile, Role.WRITER) as warehouse:
            resample(warehouse, [Timeframe.parse(name) for name in TIMEFRAMES], run="chaos")
        self._told.resamples += 1
