"""All processes of one profile: ordered start, ordered stop, one status file, and a guard against our own sudden death."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.supervisor import family, lock, status
from pipeline.supervisor.child import Child
from pipeline.supervisor.ports import PortNeed, require_free
from pipeline.supervisor.spec import Policy, ProcessSpec, State

logger = logging.getLogger(__name__)

_GUARD_GRACE_S = 8.0
_GUARD_PAUSE_S = 1.0

Report = Callable[[str, State, str], None]


def _say_nothing(name: str, state: State, detail: str) -> None:
    """Report to nobody."""


class Supervisor:
    """Runs ``specs`` until told to stop. One use only.

    Args:
        specs: the processes; ``after`` names must be among them and free of cycles.
        run_directory: where the lock and the status file live.
        logs: where each process's log goes.
        report: called with (name, state, detail) after each change.
        policy: how patient to be.
        urls: shown by `status`.
    """

    def __init__(
        self,
        specs: Iterable[ProcessSpec],
        *,
        run_directory: Path,
        logs: Path,
        report: Report = _say_nothing,
        policy: Policy | None = None,
        urls: dict[str, str] | None = None,
    ) -> None:
        self._run_directory = run_directory
        self._logs = logs
        self._report = report
        self._urls = urls or {}
        self._started_at = time.time()
        self._run_id = uuid.uuid4().hex
        self._stop = asyncio.Event()
        self.all_healthy = asyncio.Event()
        self.children = {
            spec.name: Child(
                spec,
                mark=family.mark_of(run_directory, self._run_id, spec.name),
                logs=logs,
                policy=policy or Policy(),
                changed=self._changed,
            )
            for spec in _in_order(list(specs))
        }

    def stop(self) -> None:
        """Stop everything, in order."""
        self._stop.set()

    def hurry(self) -> None:
        """Stop everything now, without grace."""
        self._stop.set()
        for child in self.children.values():
            child.hurry()

    async def run(self, ports: tuple[PortNeed, ...] = ()) -> None:
        """Start everything and keep it running until :meth:`stop`; returns when nothing is left.

        Raises:
            AlreadyRunning: when another supervisor runs this profile.
            PortInUse: when one of ``ports`` is taken.
        """
        everything = family.mark_of(self._run_directory)
        with lock.hold(self._run_directory):
            # What a supervisor and a guard killed together have left; the lock says that nobody else owns it.
            await asyncio.to_thread(family.end, everything, grace_s=_GUARD_GRACE_S)
            require_free(ports)
            guard = asyncio.create_task(self._keep_guard())
            try:
                async with asyncio.TaskGroup() as tasks:
                    for child in self.children.values():
                        tasks.create_task(self._keep(child))
                    tasks.create_task(self._stop_in_order())
            finally:
                family.end(everything, grace_s=0.0)
                guard.cancel()
                await asyncio.gather(guard, return_exceptions=True)
                status.remove(self._run_directory)

    async def _keep(self, child: Child) -> None:
        stop = asyncio.create_task(self._stop.wait())
        try:
            for name in child.spec.after:
                dependency = asyncio.create_task(self.children[name].healthy.wait())
                await asyncio.wait({dependency, stop}, return_when=asyncio.FIRST_COMPLETED)
                dependency.cancel()
        finally:
            stop.cancel()
        if self._stop.is_set():
            child.stop()
        await child.keep_running()

    async def _stop_in_order(self) -> None:
        await self._stop.wait()
        await asyncio.gather(*(self._stop_after_dependents(child) for child in self.children.values()))

    async def _stop_after_dependents(self, child: Child) -> None:
        for other in self.children.values():
            if child.spec.name in other.spec.after:
                await other.stopped.wait()
        child.stop()

    async def _keep_guard(self) -> None:
        """Keep the guard alive; it holds the read end of a pipe whose write end only we have."""
        command = (
            sys.executable,
            "-m",
            "pipeline.supervisor.guard",
            family.mark_of(self._run_directory, self._run_id),
            str(_GUARD_GRACE_S),
        )
        self._logs.mkdir(parents=True, exist_ok=True)
        while True:
            with (self._logs / "guard.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=asyncio.subprocess.STDOUT, start_new_session=True
                )
            try:
                await process.wait()
            except asyncio.CancelledError:
                await process.communicate(b"done")
                raise
            await asyncio.sleep(_GUARD_PAUSE_S)

    def _changed(self, child: Child) -> None:
        if all(other.state is State.HEALTHY for other in self.children.values()):
            self.all_healthy.set()
        rows = tuple(other.status for other in self.children.values())
        try:
            status.write(self._run_directory, status.RunStatus(os.getpid(), self._started_at, rows, self._urls))
        except OSError as error:  # a full disk must not end what may free it
            logger.warning("status file not written", extra={"error": str(error)})
        self._report(child.spec.name, child.state, child.detail)


def _in_order(specs: list[ProcessSpec]) -> list[ProcessSpec]:
    """Every process after those that it comes after."""
    ordered: list[ProcessSpec] = []
    remaining = list(specs)
    while remaining:
        placed = {spec.name for spec in ordered}
        ready = [spec for spec in remaining if placed.issuperset(spec.after)]
        if not ready:
            msg = f"processes {', '.join(spec.name for spec in remaining)} wait for each other or for one that does not exist"
            raise ValueError(msg)
        ordered += ready
        remaining = [spec for spec in remaining if spec not in ready]
    return ordered
