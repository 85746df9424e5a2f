"""Prefect as the dashboard uses it: runs started, followed and cancelled over its HTTP API.

Everything here waits for an answer, so it belongs beside the event loop (`Desk.work`, or a topic of the hub's outer lane).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx

from pipeline.errors import PrefectError, PrefectUnavailable, UsageError

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(5.0, connect=0.5)
_PATIENT = httpx.Timeout(20.0, connect=2.0)
"""For what somebody asked for and waits for; what is only looked at is asked for again soon."""
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before it is asked again: Prefect answers 503 while its database is busy. Everything asked here may be asked twice."""
_MOST_LINES = 40
_INFO = 20
_LEVELS = {20: "info", 30: "warning", 40: "error", 50: "critical"}
_EXCEPTION = re.compile(r"^(?:Flow|Task) run encountered an exception:? *(?:[A-Z]\w*: )?")
_STATES = ("RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING", "PENDING", "PAUSED")
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_NOT_BEGUN = frozenset({"SCHEDULED", "PENDING", "PAUSED"})


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run of a flow.

    Attributes:
        run_id: Prefect's id, a UUID.
        name: what the run says of itself.
        flow: name of the flow.
        state: the state's name as Prefect shows it (``Late``, ``AwaitingConcurrencySlot``, ...).
        state_type: what kind of state it is (``SCHEDULED``, ``RUNNING``, ``COMPLETED``, ...).
        message: what came with the state: why it failed, above all.
        start: when it began; None before it has.
        expected: when it was to begin.
        end: when it ended; None before it has.
        duration_s: how long it has run.
        parameters: with which parameters.
    """

    run_id: str
    name: str
    flow: str
    state: str
    state_type: str
    message: str
    start: datetime | None
    expected: datetime | None
    duration_s: float | None
    end: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state_type in _ENDED

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.state_type == "COMPLETED"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log."""

    time: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Following:
    """What is known of one run.

    Attributes:
        run: the run itself.
        progress: how much is done, 0 to 1; None when the run has told nothing (yet).
        progress_of: what the progress is of, in words.
        summary: what the run says that it has done; empty before it has.
        rows: the run's table of results.
        lines: the newest lines of its log, oldest first.
        read_at: when this was read.
    """

    run: FlowRun
    progress: float | None = None
    progress_of: str = ""
    summary: str = ""
    rows: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    lines: tuple[LogLine, ...] = ()
    read_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Prefect:
    """The Prefect server at an address; ``auth`` is a user and a password, where it asks for them.

    Every method raises PrefectUnavailable when nobody answers, and PrefectError when the answer is a refusal.
    """

    api_url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    def start_run(self, deployment: str, parameters: Mapping[str, Any], *, key: str, tags: Sequence[str] = ("dashboard",)) -> str:
        """Start a run of a deployment such as ``backfill/manual``; returns its id.

        The same ``key`` for the same deployment starts one run, however often it is asked for, so that a double click does no harm.

        Raises:
            UsageError: when the parameters are refused, with Prefect's words.
        """
        flow, _, name = deployment.partition("/")
        place = f"/deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}"
        found = self._ask(lambda client: client.get(place, timeout=_PATIENT))
        if found.status_code == httpx.codes.NOT_FOUND:
            msg = f"Prefect has no deployment {deployment!r}; the process flows registers it when it starts, see spreadwatch status"
            raise PrefectError(msg)
        body = {"parameters": dict(parameters), "tags": list(tags), "idempotency_key": key}
        made = self._ask(lambda client: client.post(f"/deployments/{_read(found, _id)}/create_flow_run", json=body, timeout=_PATIENT))
        if made.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY):
            msg = f"{deployment} refuses its parameters: {_detail(made)}"
            raise UsageError(msg)
        return _read(made, _id)

    def version(self) -> str:
        """Which Prefect the server is."""
        return _read(self._ask(lambda client: client.get("/admin/version")), str)

    def newest_runs(self, *, flow: str = "", most: int = 40) -> tuple[FlowRun, ...]:
        """Runs that have begun (or are about to), the newest first; of one flow when it is named."""
        body: dict[str, Any] = {"sort": "START_TIME_DESC", "limit": most, "flow_runs": {"state": {"type": {"any_": list(_STATES)}}}}
        if flow:
            body["flows"] = {"name": {"any_": [flow]}}
        return self._runs(body)

    def read_run(self, run_id: str) -> FlowRun:
        """One run.

        Raises:
            PrefectError: when there is no such run (any more).
        """
        runs = self._runs({"limit": 1, "flow_runs": {"id": {"any_": [_checked(run_id)]}}})
        if not runs:
            msg = f"Prefect knows no run {run_id}; ended runs are kept for run_retention_days"
            raise PrefectError(msg)
        return runs[0]

    def follow(self, run_id: str) -> Following:
        """A run with its progress, what it has told of its result, and the newest lines of its log."""
        run = self.read_run(run_id)
        of_run = {"flow_run_id": {"any_": [run.run_id]}}
        asked = {"sort": "CREATED_DESC", "limit": 10, "artifacts": of_run}
        progress, progress_of, summary, rows = _read(self._ask(lambda client: client.post("/artifacts/filter", json=asked)), _told)
        wanted = {"sort": "TIMESTAMP_DESC", "limit": _MOST_LINES, "logs": of_run | {"level": {"ge_": _INFO}}}
        lines = _read(self._ask(lambda client: client.post("/logs/filter", json=wanted)), lambda rows: tuple(map(_line, reversed(rows))))
        return Following(run, progress, progress_of, summary, rows, lines, datetime.now(UTC))

    def cancel_run(self, run_id: str) -> None:
        """Cancel a run: one that waits is dropped, one that works is ended by the process that runs it.

        Raises:
            PrefectError: when it has ended already.
        """
        run = self.read_run(run_id)
        if run.ended:
            msg = f"the run has ended already ({run.state}); there is nothing to cancel"
            raise PrefectError(msg)
        state = {"type": "CANCELLED" if run.state_type in _NOT_BEGUN else "CANCELLING", "message": "cancelled from the dashboard"}
        said = self._ask(
            lambda client: client.post(f"/flow_runs/{run.run_id}/set_state", json={"state": state, "force": False}, timeout=_PATIENT)
        )
        if _read(said, lambda answer: answer["status"]) != "ACCEPT":
            msg = f"Prefect does not cancel the run: {_read(said, lambda answer: (answer.get('details') or {}).get('reason') or '?')}"
            raise PrefectError(msg)

    # ------------------------------------------------------------------------------------------------ asking

    def _runs(self, body: dict[str, Any]) -> tuple[FlowRun, ...]:
        runs = self._ask(lambda client: client.post("/flow_runs/filter", json=body))
        ids = _read(runs, lambda rows: sorted({row["flow_id"] for row in rows}))
        if not ids:
            return ()
        flows = self._ask(lambda client: client.post("/flows/filter", json={"flows": {"id": {"any_": ids}}}))
        names = _read(flows, lambda found: {flow["id"]: flow["name"] for flow in found})
        return _read(runs, lambda rows: tuple(_run(row, names) for row in rows))

    def _ask(self, request: Callable[[httpx.Client], httpx.Response]) -> httpx.Response:
        """An answer that may be a refusal of what was asked, but not of the asking itself."""
        for pause in (*_PAUSES_S, None):
            try:
                answer = request(_client(self.api_url, self.auth))
            except httpx.HTTPError as error:
                msg = f"Prefect does not answer at {self.api_url} ({type(error).__name__}); spreadwatch status tells whether it runs"
                raise PrefectUnavailable(msg) from error
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or pause is None:
                break
            time.sleep(pause)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            msg = f"Prefect at {self.api_url} asks for another password; set prefect_password to the one that it was started with"
            raise PrefectError(msg)
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            msg = f"Prefect at {self.api_url} answers {answer.status_code}; its log tells more"
            raise PrefectUnavailable(msg)
        return answer


@lru_cache(maxsize=4)
def _client(api_url: str, auth: tuple[str, str] | None) -> httpx.Client:
    """One for the process: making one reads every certificate of the machine, which takes a tenth of a second."""
    return httpx.Client(base_url=api_url, timeout=_TIMEOUT, trust_env=False, auth=auth)


def _read(answer: httpx.Response, take: Callable[[Any], T]) -> T:
    """Part of an answer.

    Raises:
        PrefectError: when it is a refusal, or not what Prefect answers.
    """
    if not answer.is_success:
        msg = f"Prefect at {answer.url.host}:{answer.url.port} refuses with {answer.status_code}: {_detail(answer)}"
        raise PrefectError(msg)
    try:
        return take(answer.json())
    except (ValueError, KeyError, TypeError) as error:
        msg = f"Prefect at {answer.url.host}:{answer.url.port} answers what it should not ({type(error).__name__}); is it another program?"
        raise PrefectError(msg) from error


def _detail(answer: httpx.Response) -> str:
    """Why something was refused, in one line."""
    try:
        told = answer.json()
    except ValueError:
        told = answer.text
    detail = told.get("exception_detail") or told.get("detail") or told if isinstance(told, dict) else told
    return " ".join(str(detail).split()).removeprefix("Error creating flow run: ")[:300]


def _id(row: Any) -> str:
    return str(UUID(row["id"]))


def _checked(run_id: str) -> str:
    try:
        return str(UUID(run_id))
    except ValueError:
        msg = f"{run_id!r} is no run; expected the id that Prefect gave it"
        raise UsageError(msg) from None


def _run(row: dict[str, Any], names: Mapping[str, str]) -> FlowRun:
    state = row.get("state") or {}
    return FlowRun(
        run_id=row["id"],
        name=row["name"],
        flow=names.get(row["flow_id"], "?"),
        state=row.get("state_name") or state.get("name") or "?",
        state_type=row.get("state_type") or "?",
        message=_EXCEPTION.sub("", (state.get("message") or "").strip()),
        start=_time(row.get("start_time")),
        expected=_time(row.get("expected_start_time")),
        duration_s=row.get("total_run_time"),
        end=_time(row.get("end_time")),
        parameters=row.get("parameters") or {},
    )


def _line(row: dict[str, Any]) -> LogLine:
    time = datetime.fromisoformat(row["timestamp"])
    level = _LEVELS.get(min(max(int(row["level"]) // 10 * 10, _INFO), max(_LEVELS)), "info")
    return LogLine(time, level, str(row["message"]))


def _told(artifacts: list[dict[str, Any]]) -> tuple[float | None, str, str, tuple[Mapping[str, Any], ...]]:
    """Progress and what it is of, summary and rows of the result, out of a run's artifacts, the newest first."""
    bar = next((one for one in artifacts if one.get("type") == "progress"), None)
    table: dict[str, Any] = next((one for one in artifacts if one.get("type") == "table"), {})
    data = table.get("data") or []
    rows = json.loads(data) if isinstance(data, str) else data
    return (
        None if bar is None else min(max(float(bar["data"]) / 100.0, 0.0), 1.0),
        (bar or {}).get("description") or "",
        table.get("description") or "",
        tuple(row for row in rows if isinstance(row, dict)),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
