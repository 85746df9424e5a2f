"""The newest flow runs, asked from Prefect's REST API; absent Prefect is a state to show, not an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from dashboards.hub import Moment
from pipeline.store import Warehouse

_TIMEOUT = httpx.Timeout(2.0, connect=0.5)
_MOST = 40


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run of a flow."""

    run_id: str
    name: str
    flow: str
    state: str
    state_type: str
    message: str
    start: datetime | None
    expected: datetime | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class FlowRuns:
    """The newest runs, or why they are not known."""

    runs: tuple[FlowRun, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FlowRunsTopic:
    """The newest flow runs of the Prefect server at an address; ``auth`` is a user and a password, where it asks for them."""

    api_url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)
    every_s: float = 4.0
    from_warehouse: bool = False

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The runs now."""
        try:
            with httpx.Client(base_url=self.api_url, timeout=_TIMEOUT, trust_env=False, auth=self.auth) as client:
                now = FlowRuns(_runs(client))
        except httpx.HTTPStatusError as error:
            refused = error.response.status_code == httpx.codes.UNAUTHORIZED
            said = "asks for another prefect_password" if refused else f"answers {error.response.status_code}"
            now = FlowRuns(problem=f"Prefect at {self.api_url} {said}")
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            now = FlowRuns(problem=f"Prefect does not answer at {self.api_url} ({type(error).__name__})")
        return before if now == before else now


def _runs(client: httpx.Client) -> tuple[FlowRun, ...]:
    wanted = {"type": {"any_": ["RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING", "PENDING", "PAUSED"]}}
    body = {"sort": "START_TIME_DESC", "limit": _MOST, "flow_runs": {"state": wanted}}
    rows = client.post("/flow_runs/filter", json=body).raise_for_status().json()
    ids = sorted({row["flow_id"] for row in rows})
    flows = client.post("/flows/filter", json={"flows": {"id": {"any_": ids}}}).raise_for_status().json() if ids else []
    names = {flow["id"]: flow["name"] for flow in flows}
    return tuple(_run(row, names) for row in rows)


def _run(row: dict[str, Any], names: dict[str, str]) -> FlowRun:
    state = row.get("state") or {}
    return FlowRun(
        run_id=row["id"],
        name=row["name"],
        flow=names.get(row["flow_id"], "?"),
        state=row.get("state_name") or state.get("name") or "?",
        state_type=row.get("state_type") or "?",
        message=(state.get("message") or "").strip(),
        start=_time(row.get("start_time")),
        expected=_time(row.get("expected_start_time")),
        duration_s=row.get("total_run_time"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
