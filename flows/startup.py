"""Before serving: wait for what the flows need, and clear away what an earlier life left behind."""

from __future__ import annotations

import logging
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.errors import RunError
from pipeline.profile import Profile
from pipeline.supervisor.plan import HEARTBEAT_S

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import FlowRun

_log = logging.getLogger(__name__)

ZOMBIES = "Mark runs without a heartbeat as crashed"

_PATIENCE_S = 180.0
_PAUSE_S = 0.5
_SAY_EVERY_S = 10.0
_PAGE = 200


def wait_until(what: str, there: Callable[[], bool], *, hint: str, patience_s: float = _PATIENCE_S) -> None:
    """Wait for something, saying so now and then.

    Raises:
        RunError: when it has not come by then.
    """
    began = time.monotonic()
    said = began
    while not there():
        now = time.monotonic()
        if now - began > patience_s:
            msg = f"{what} was not there within {patience_s:g} s; {hint}"
            raise RunError(msg)
        if now - said >= _SAY_EVERY_S:
            said = now
            _log.info("waiting", extra={"for": what, "since_s": round(now - began)})
        time.sleep(_PAUSE_S)


def answers(url: str) -> bool:
    """Whether an HTTP GET is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- our own server's address
            return bool(200 <= answer.status < 300)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def wait_for_platform(profile: Profile, *, api_url: str, host: str, warehouse_port: int) -> None:
    """Wait for the Prefect server and for the warehouse with its universe.

    Raises:
        RunError: when one of them has not come by then.
    """
    start = f"start it with `spreadwatch up --profile {profile.name}`, or look into {profile.logs}"
    wait_until(f"the Prefect server at {api_url}", lambda: answers(f"{api_url}/health"), hint=start)
    wait_until(
        f"the warehouse on port {warehouse_port}",
        lambda: profile.universe_file.exists() and listens(host, warehouse_port),
        hint=start,
    )


async def clear_leftovers() -> tuple[int, int]:
    """Deal with runs of an earlier life of this process, of which there is one for a server.

    Scheduled runs whose time has passed are removed: one run does what all of them would have done. Runs by hand that
    still wait are left to be run. Runs that seem to be running have lost their process, and are marked as crashed.

    Returns:
        How many were removed, and how many marked.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterNextScheduledStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    late = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=datetime.now(UTC)),
    )
    dead = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]))
    )
    async with get_client() as client:
        stale = [run for run in await _all(client, late) if run.auto_scheduled or "start" in run.tags]
        for run in stale:
            with suppress(ObjectNotFound):  # gone already: a busy server may have done it and its answer been lost
                await client.delete_flow_run(run.id)
        lost = await _all(client, dead)
        for run in lost:
            with suppress(ObjectNotFound):
                await client.set_flow_run_state(run.id, Crashed(message="Its process ended without a word."), force=True)
    return len(stale), len(lost)


async def watch_for_zombies(silent_s: float = 3 * HEARTBEAT_S) -> None:
    """Have the server mark a run as crashed when it has sent no sign of life for so long.

    For runs whose runner never comes back: one that does comes back to `clear_leftovers`.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    ends = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "Crashed")}
    automation = AutomationCore(
        name=ZOMBIES,
        description=f"A run that has sent no heartbeat for {silent_s:g} s has lost its process.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat"} | ends,
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silent_s),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"No sign of life for {silent_s:g} s.")],
    )
    async with get_client() as client:
        for old in await client.read_automations_by_name(ZOMBIES):
            await client.delete_automation(old.id)
        await client.create_automation(automation)


async def _all(client: PrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        part = await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found))
        found += part
        if len(part) < _PAGE:
            return found
