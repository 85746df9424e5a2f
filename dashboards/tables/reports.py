"""The reports that are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dashboards.hub import Moment
from pipeline.store import Warehouse
from pipeline.store.reports import ReportRow, list_reports

_MOST = 100


@dataclass(frozen=True, slots=True)
class Reports:
    """The newest first; ``time`` is journal time of the look."""

    rows: tuple[ReportRow, ...]
    time: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class ReportsTopic:
    """The list of reports."""

    every_s: float = 2.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """How it is now."""
        if warehouse is None or moment is None:
            return before
        now = Reports(tuple(list_reports(warehouse, most=_MOST)), moment.time)
        return before if now == before else now
