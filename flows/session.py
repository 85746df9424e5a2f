"""What every flow has in common: whose data it works on, when trying again helps, and how it says what it did."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from pipeline.cli.process import effective_settings
from pipeline.errors import RateLimited, RunError, VenueUnavailable, WarehouseUnavailable
from pipeline.jobs.turn import turn
from pipeline.profile import Profile, load_profile
from pipeline.settings import Settings, settings

if TYPE_CHECKING:
    from pipeline.model.universe import Universe
    from pipeline.store import Warehouse

R = TypeVar("R")
_log = logging.getLogger(__name__)

_RETRYABLE = (WarehouseUnavailable, VenueUnavailable, RateLimited)
_RETRY_DELAYS_S = [2.0, 8.0, 30.0]
_QUICK_S = 2.0


@dataclass(frozen=True, slots=True)
class Session:
    """What a run works with.

    Attributes:
        profile: whose data.
        settings: as they hold for the profile.
        warehouse: its running warehouse, as a writer.
        now: the time of the run.
        run: the run's name, for the ledger of partitions.
    """

    profile: Profile
    settings: Settings
    warehouse: Warehouse
    now: datetime
    run: str


def here() -> tuple[Profile, Settings]:
    """The profile that this process serves, and the settings as they hold for it.

    Raises:
        ProfileError: when it does not exist.
    """
    chosen = settings()
    profile = load_profile(chosen.data_dir, chosen.profile)
    return profile, effective_settings(profile)


def universe() -> Universe:
    """The profile's universe.

    Raises:
        WarehouseUnavailable: when the warehouse has not published it yet.
    """
    from pipeline.jobs.choice import published_universe

    return published_universe(here()[0])


@contextmanager
def session(job: str, *, patience_s: float = 600.0) -> Iterator[Session]:
    """Attach to the warehouse, as the one run of ``job`` that writes; another one is waited for, ``patience_s`` at most.

    Raises:
        WarehouseUnavailable: when it is not running.
        WarehouseBusy: when another run of the job does not end.
    """
    from pipeline.store import Role, connect

    profile, chosen = here()
    # Never the file itself: the warehouse may be restarting, and would find it taken.
    with turn(profile, job, patience_s=patience_s), connect(profile, Role.WRITER) as warehouse:
        yield Session(profile, chosen, warehouse, datetime.now(UTC), f"{flow_run.flow_name}:{flow_run.name or flow_run.id or job}")


def note_success(flow: Any, run: Any, _state: Any) -> None:
    """Note that a run ended well, for the alert rules on flows that fail."""
    _note(flow.name, str(run.id), ok=True)


def note_failure(flow: Any, run: Any, state: Any) -> None:
    """Note that a run failed or crashed, and with what."""
    _note(flow.name, str(run.id), ok=False, detail=" ".join(str(state.message or state.name).split()))


def _note(flow: str, run: str, *, ok: bool, detail: str = "") -> None:
    """Write how a run ended; without a warehouse nobody could read it, and the run is over whatever becomes of this."""
    from pipeline.errors import SpreadwatchError
    from pipeline.store import Role, connect
    from pipeline.store.flow_runs import note_flow_run

    try:
        with connect(here()[0], Role.WRITER) as warehouse:
            note_flow_run(warehouse, run=run, flow=flow, ended_at=datetime.now(UTC), ok=ok, detail=detail)
    except SpreadwatchError as error:
        _log.warning("the end of a run is not noted", extra={"flow": flow, "ok": ok, "why": str(error)})


def is_retryable(_task: object, _run: object, state: Any) -> bool:
    """Whether a failure may pass by itself: a warehouse or a venue that does not answer just now."""
    return isinstance(state.result(raise_on_failure=False), _RETRYABLE)


def with_retries(work: Callable[..., R], *arguments: Any) -> R:
    """Do the work as a task of its own: tried again after growing pauses with jitter, but only where that can help."""
    retrying = task(
        name=work.__name__.strip("_").replace("_", " "),
        retries=len(_RETRY_DELAYS_S),
        retry_delay_seconds=_RETRY_DELAYS_S,
        retry_jitter_factor=0.5,
        retry_condition_fn=is_retryable,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return retrying(work)(*arguments)


def run_name(told: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
    """A name for a run out of its parameters, for Prefect to call when the run starts."""
    return lambda: told(dict(flow_run.parameters))


def listed(names: Sequence[str] | None, everything: str) -> str:
    """Names in a run's name: at most three, or ``everything`` when none were given."""
    if not names:
        return everything
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def tell(key: str, summary: str, rows: Sequence[dict[str, Any]]) -> None:
    """Say what was done: a line in the run's log, and a table artifact."""
    get_run_logger().info(summary)
    create_table_artifact(key=key, table=[dict(row) for row in rows], description=summary)


def progress(description: str) -> Callable[[int, int], None]:
    """Something to call with how much is done and how much there is: it moves a bar in the UI, at most once a second."""
    started = time.monotonic()
    shown: list[tuple[UUID, float]] = []

    def moved(done: int, of: int) -> None:
        now = time.monotonic()
        share = 100.0 * done / of if of else 100.0
        if not shown:
            if done < of and now - started < _QUICK_S:
                return  # what is done at once needs no bar
            shown.append((_artifact_id(create_progress_artifact(share, description=description)), now))
        elif done >= of or now - shown[-1][1] >= 1.0:
            shown[-1] = (shown[-1][0], now)
            update_progress_artifact(shown[-1][0], share)

    return moved


def _artifact_id(made: object) -> UUID:
    """The id that Prefect's function, which is typed for both worlds, returns in ours."""
    if not isinstance(made, UUID):
        msg = f"Prefect gave {made!r} for a progress artifact; expected its id"
        raise RunError(msg)
    return made
