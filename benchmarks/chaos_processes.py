"""Real processes of the platform that are killed and started again, and that all end with the block that holds them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

_SHOWN = 3_000
_GOES_ON_S = 0.7


class Died(AssertionError):
    """A process ended that nobody had asked to."""


@dataclass(slots=True)
class Process:
    """One command of the platform, which may live several times.

    Attributes:
        name: of the process, for messages and for its log file.
        command: arguments after the interpreter.
        environment: of every life.
        log: where every life writes, one after the other.
        kills: how often it was killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    kills: int = 0
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    @property
    def up(self) -> bool:
        """Whether it has been started and not been ended since."""
        return self._running is not None

    def start(self) -> None:
        """Begin a life."""
        assert self._running is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, *self.command], env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it with -9."""
        running = self._alive()
        running.send_signal(signal.SIGKILL)
        running.wait()
        self._running = None
        self.kills += 1

    def stall(self, for_s: float) -> None:
        """Stop it for a while, as a machine that sleeps does; it goes on for a moment before this returns."""
        running = self._alive()
        running.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        running.send_signal(signal.SIGCONT)
        time.sleep(_GOES_ON_S)

    def stop(self, within_s: float = 60.0) -> None:
        """Ask it to end, as Ctrl-C does; it must end well."""
        running = self._alive()
        running.send_signal(signal.SIGTERM)
        code = running.wait(within_s)
        self._running = None
        assert code == 0, f"{self.name} was asked to end and gave {code}; its log ends with\n{self.tail()}"

    def require(self) -> None:
        """Fail when it has ended by itself.

        Raises:
            Died: with the end of its log.
        """
        if self._running is not None:
            self._alive()

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-_SHOWN:] if self.log.exists() else ""

    def _alive(self) -> subprocess.Popen[bytes]:
        assert self._running is not None, f"{self.name} does not run"
        code = self._running.poll()
        if code is not None:
            msg = f"{self.name} has ended by itself with {code}; its log ends with\n{self.tail()}"
            raise Died(msg)
        return self._running


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command that was run to its end came to; ``code`` is None when it was killed."""

    code: int | None
    output: str


def run_command(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, kill_after_s: float | None = None, timeout_s: float = 600.0
) -> Outcome:
    """Run a command to its end, or kill it with -9 on the way.

    Raises:
        TimeoutExpired: when it takes longer than ``timeout_s``.
    """
    with log.open("a+b") as output:
        begins = output.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            [sys.executable, *command], env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        code: int | None
        try:
            code = process.wait(timeout_s if kill_after_s is None else kill_after_s)
        except subprocess.TimeoutExpired:
            if kill_after_s is None:
                raise
            code = None
        finally:
            process.kill()
            process.wait()
        output.seek(begins)
        return Outcome(code, output.read().decode("utf-8", "replace"))


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until_answering(process: Process, url: str, within_s: float = 60.0) -> None:
    """Return when a process answers over HTTP, whatever it says."""
    deadline = time.monotonic() + within_s
    while True:
        process.require()
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{process.name} does not answer at {url} after {within_s:g} s\n{process.tail()}"
            time.sleep(0.1)
        else:
            return
