"""Who holds a writer's lock, and whether that process is known to have ended."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """One writer, of one process, of one machine."""

    token: str
    host: str
    system: str
    """Boot and process namespace: within one, a process number means one process."""
    pid: int
    started: str

    @classmethod
    def ours(cls) -> Owner:
        """A new writer of this process."""
        return cls(secrets.token_hex(12), socket.gethostname(), _system(), os.getpid(), _started(os.getpid()))

    @classmethod
    def parse(cls, text: bytes) -> Owner | None:
        """Who a lock's content names; None when that is not readable."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def encode(self) -> str:
        """The lock's content."""
        return json.dumps(asdict(self))

    def has_ended(self) -> bool:
        """Whether the process is known to be gone; False where that cannot be seen from here."""
        return bool(self.system) and self.system == _system() and _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@cache
def _system() -> str:
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process, in ticks since boot; empty when there is none (any more)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
