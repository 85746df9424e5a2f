"""One supervised process: started, watched, restarted with growing pauses, and stopped with everything that it started."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.supervisor import family, logfile
from pipeline.supervisor.probes import is_healthy
from pipeline.supervisor.spec import Policy, ProcessSpec, State
from pipeline.supervisor.status import ProcessStatus

_LEFTOVER_GRACE_S = 2.0


class Child:
    """Keeps one process running until it is told to stop.

    ``mark`` is what its environment carries; ``changed`` is called after each change of state.
    ``healthy`` is set while the process is; ``stopped`` once nothing of it is left.
    """

    def __init__(self, spec: ProcessSpec, *, mark: str, logs: Path, policy: Policy, changed: Callable[[Child], None]) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.detail = ""
        self.healthy = asyncio.Event()
        self.stopped = asyncio.Event()
        self._log = logs / f"{spec.name}.log"
        self._mark = mark
        self._policy = policy
        self._changed = changed
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._pid: int | None = None
        self._restarts = 0
        self._since = time.time()
        self._healthy_since: float | None = None

    @property
    def status(self) -> ProcessStatus:
        """What `status` shows."""
        return ProcessStatus(self.spec.name, self._pid, self.state, self._restarts, self._since, str(self._log), self.detail)

    def stop(self) -> None:
        """Ask for the end; ``stopped`` tells when it has come."""
        self._stop.set()

    def hurry(self) -> None:
        """End without grace."""
        self._stop.set()
        self._hurry.set()

    async def keep_running(self) -> None:
        """Run the process again and again until :meth:`stop`."""
        in_a_row = 0
        while not self._stop.is_set():
            ending = await self._once()
            if self._stop.is_set():
                break
            healthy_for_s = time.monotonic() - self._healthy_since if self._healthy_since is not None else 0.0
            in_a_row = 1 if healthy_for_s >= self._policy.reset_after_s else in_a_row + 1
            self._restarts += 1
            delay_s = self._policy.delay_s(in_a_row)
            self._enter(State.BACKOFF, f"{ending}; starting it again in {delay_s:g} s")
            await self._either(self._stop.wait(), timeout_s=delay_s)
        self._enter(State.STOPPED)
        self.stopped.set()

    async def _once(self) -> str:
        """One life of the process; returns how it ended."""
        self._healthy_since = None
        logfile.rotate(self._log)
        try:
            process, log_start = await self._spawn()
        except OSError as error:
            return f"cannot be started ({error})"
        self._pid = process.pid
        self._enter(State.STARTING)
        ended = asyncio.create_task(process.wait())
        try:
            complaint = await self._watch(ended)
            if not ended.done():
                await self._terminate(process, ended)
        finally:
            if not ended.done():  # we are being cancelled
                process.kill()
                ended.cancel()
        await asyncio.to_thread(family.end, self._mark, grace_s=0.0 if self._hurry.is_set() else _LEFTOVER_GRACE_S)
        self._pid = None
        return complaint or self._ending(ended.result(), log_start)

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int]:
        with self._log.open("ab") as log:
            log.write(f"--- {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} starting {self.spec.name}\n".encode())
            log.flush()
            log_start = log.tell()  # before there is a child: it writes with the same offset
            process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **self.spec.env, family.MARK: self._mark},
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, in order
            )
            return process, log_start

    async def _watch(self, ended: asyncio.Task[int]) -> str | None:
        """Until the process ends, is to stop (both None), or is found useless: then what is wrong with it."""
        policy = self._policy
        hung_after_s = policy.hung_after_s if self.spec.hung_after_s is None else self.spec.hung_after_s
        started = time.monotonic()
        started_at = time.time()
        good = started  # the last time that the probe succeeded
        while True:
            pause_s = policy.starting_probe_s if self._healthy_since is None else policy.running_probe_s
            if await self._either(ended, self._stop.wait(), timeout_s=pause_s):
                return None
            if self.spec.probe is None:
                well = time.monotonic() - started >= policy.settle_s
            else:
                well = await is_healthy(self.spec.probe, started_at=started_at)
            now = time.monotonic()
            if ended.done():
                return None
            if well:
                good = now
                if self._healthy_since is None:
                    self._healthy_since = now
                if self.state is not State.HEALTHY:
                    self._enter(State.HEALTHY, f"after {now - started:.1f} s" if self.state is State.STARTING else "again")
            elif self._healthy_since is None:
                if now - started >= policy.start_timeout_s:
                    return f"was not healthy within {policy.start_timeout_s:g} s (see {self._log})"
            elif now - good >= hung_after_s:
                return f"has not answered for {hung_after_s:g} s (see {self._log})"
            elif self.state is State.HEALTHY:
                self._enter(State.UNHEALTHY, "does not answer")

    async def _terminate(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        self.healthy.clear()
        if not self._hurry.is_set():
            process.terminate()
            await self._either(ended, self._hurry.wait(), timeout_s=self.spec.grace_s)
        if not ended.done():
            process.kill()
            await ended

    def _ending(self, code: int, log_start: int) -> str:
        if code < 0:  # from outside: its last words have nothing to do with it
            return f"was ended by {signal.Signals(-code).name} (see {self._log})"
        said = logfile.last_line(self._log, since=log_start)
        return f"exited with code {code}: {said}" if said else f"exited with code {code}"

    def _enter(self, state: State, detail: str = "") -> None:
        self.state = state
        self.detail = detail
        self._since = time.time()
        if state is State.HEALTHY:
            self.healthy.set()
        else:
            self.healthy.clear()
        self._changed(self)

    @staticmethod
    async def _either(*events: asyncio.Task[int] | Coroutine[Any, Any, Any], timeout_s: float) -> bool:
        """Wait for the first of tasks and coroutines, or the time; True when one came. Tasks handed in are left running."""
        own = [asyncio.create_task(event) for event in events if not isinstance(event, asyncio.Task)]
        handed: list[asyncio.Task[Any]] = [event for event in events if isinstance(event, asyncio.Task)]
        try:
            done, _ = await asyncio.wait([*handed, *own], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in own:
                task.cancel()
        return bool(done)
