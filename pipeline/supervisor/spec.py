"""What the supervisor is told: processes, how to see that they are healthy, and how patient to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Healthy when ``host:port`` accepts a connection."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Healthy when a GET of ``http://host:port/path`` answers 2xx."""

    host: str
    port: int
    path: str = "/"


@dataclass(frozen=True, slots=True)
class FileProbe:
    """Healthy when ``path`` was written within the last ``max_age_s`` seconds, and since the process started."""

    path: Path
    max_age_s: float = 30.0


Probe = TcpProbe | HttpProbe | FileProbe


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process to keep running.

    ``after`` names the processes that must be healthy before it starts; it is stopped before they are.
    ``env`` is added to the supervisor's own environment. Without a ``probe`` a process is healthy once it
    has lived for ``Policy.settle_s``. ``hung_after_s`` is a patience of its own with a probe that fails, instead of
    ``Policy.hung_after_s``.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    after: tuple[str, ...] = ()
    probe: Probe | None = None
    grace_s: float = 10.0
    hung_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The supervisor's patience, in seconds."""

    first_delay_s: float = 0.5
    """Pause before the first restart; it doubles with each further one."""
    max_delay_s: float = 30.0
    """Longest pause between two restarts."""
    reset_after_s: float = 60.0
    """Healthy for so long, a process starts again from the first delay."""
    settle_s: float = 5.0
    """Life after which a process without a probe counts as healthy."""
    start_timeout_s: float = 120.0
    """A process that is not healthy by then is replaced."""
    starting_probe_s: float = 0.25
    """Pause between probes until the first success."""
    running_probe_s: float = 5.0
    """Pause between probes of a healthy process."""
    hung_after_s: float = 60.0
    """A process whose probe has failed for so long is replaced."""

    def delay_s(self, restarts: int) -> float:
        """Pause before restart number ``restarts`` (from 1) in a row."""
        return min(self.max_delay_s, self.first_delay_s * 2.0 ** min(restarts - 1, 30))


class State(StrEnum):
    """Where a process stands."""

    WAITING = "waiting"
    """For the processes it comes after."""
    STARTING = "starting"
    """Runs, not healthy yet."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    """Was healthy, its probe fails now."""
    BACKOFF = "backoff"
    """Ended by itself; will be started again."""
    STOPPED = "stopped"
