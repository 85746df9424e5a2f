"""Runs of flows, asked from Prefect; a Prefect that is away is a state to show, not an error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.hub import Moment
from dashboards.prefect import FlowRun, Following, Prefect
from pipeline.errors import PrefectError, UsageError
from pipeline.store import Warehouse

_LOG_COMES_LATE = timedelta(seconds=5)
"""Prefect gathers log lines before it sends them; an ended run is read so much longer."""


@dataclass(frozen=True, slots=True)
class FlowRuns:
    """The newest runs, or why they are not known."""

    runs: tuple[FlowRun, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FlowRunsTopic:
    """The newest runs of every flow, or of one that is named."""

    prefect: Prefect
    flow: str = ""
    most: int = 40
    every_s: float = 4.0
    from_warehouse: bool = False

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The runs now, as :class:`FlowRuns`."""
        try:
            now = FlowRuns(self.prefect.newest_runs(flow=self.flow, most=self.most))
        except PrefectError as error:
            now = FlowRuns(problem=str(error))
        return before if now == before else now


@dataclass(frozen=True, slots=True)
class OneRun:
    """A run that is followed: as last heard of, and what is wrong when it is not heard of now."""

    following: Following | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunTopic:
    """One run, until it has ended and told everything."""

    prefect: Prefect
    run_id: str
    every_s: float = 1.0
    from_warehouse: bool = False

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The run now, as :class:`OneRun`."""
        known = before.following if before is not None else None
        if known is not None and _told_everything(known):
            return before
        try:
            now = OneRun(self.prefect.follow(self.run_id))
        except (PrefectError, UsageError) as error:
            now = replace(before, problem=str(error)) if before is not None else OneRun(problem=str(error))
        return before if now == before and not (now.following and now.following.run.ended) else now


def _told_everything(known: Following) -> bool:
    end = known.run.end
    return known.run.ended and (end is None or (known.read_at or datetime.now(UTC)) - end > _LOG_COMES_LATE)
