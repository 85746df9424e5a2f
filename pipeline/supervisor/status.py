"""``run/processes.json``: what the supervisor keeps running, for `spreadwatch status` and the health page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.profile import write_atomically
from pipeline.supervisor import lock
from pipeline.supervisor.spec import State

_FILE = "processes.json"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One supervised process; ``since`` is when it entered its state, in seconds since the epoch."""

    name: str
    pid: int | None
    state: State
    restarts: int
    since: float
    log: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """All of a profile's processes, and where its screens are."""

    supervisor_pid: int
    started_at: float
    processes: tuple[ProcessStatus, ...]
    urls: dict[str, str]

    @property
    def healthy(self) -> bool:
        """Whether every process is."""
        return all(process.state is State.HEALTHY for process in self.processes)


def write(run_directory: Path, status: RunStatus) -> None:
    """Replace the file in one step."""
    write_atomically(run_directory / _FILE, json.dumps(asdict(status), indent=2) + "\n")


def remove(run_directory: Path) -> None:
    """Nothing runs any more."""
    (run_directory / _FILE).unlink(missing_ok=True)


def read(run_directory: Path) -> RunStatus | None:
    """The status of the run that is going on; None when nobody runs the profile, whatever a dead run left."""
    if lock.holder(run_directory) is None:
        return None
    try:
        facts = json.loads((run_directory / _FILE).read_text())
        processes = tuple(ProcessStatus(**{**row, "state": State(row["state"])}) for row in facts["processes"])
        return RunStatus(facts["supervisor_pid"], facts["started_at"], processes, facts["urls"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # just starting or just stopped
