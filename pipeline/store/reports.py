"""The list of the HTML reports that the flow report has written under the profile."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SAVE = statement(
    "save_report",
    stage="stage_reports",
    sql="""
    DELETE FROM reports r USING stage_reports s WHERE s.batch = '{batch}' AND r.report_id = s.report_id;
    INSERT INTO reports BY NAME SELECT * EXCLUDE (batch) FROM stage_reports WHERE batch = '{batch}'
    """,
)

_PRUNE = statement(
    "prune_reports",
    stage="stage_keep",
    sql="""
    DELETE FROM reports WHERE report_id IN (
        SELECT report_id FROM reports QUALIFY row_number() OVER (ORDER BY created_at DESC, report_id)
            > (SELECT max(keep) FROM stage_keep WHERE batch = '{batch}')
    );
    DELETE FROM partitions WHERE asset = 'reports' AND partition NOT IN (SELECT report_id FROM reports)
    """,
)

_LIST = """
    SELECT report_id, title, created_at, period_start, period_end, path, bytes FROM reports ORDER BY created_at DESC, report_id LIMIT $most
"""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report. ``path`` is relative to the profile's directory of reports; the period is ``[period_start, period_end)``."""

    report_id: str
    title: str
    created_at: datetime
    period_start: datetime
    period_end: datetime
    path: str
    bytes: int


def save_report(warehouse: Warehouse, report: ReportRow) -> None:
    """Add a report to the list, in place of one of the same id."""
    warehouse.run(_SAVE, pl.DataFrame([asdict(report)]))


def prune_reports(warehouse: Warehouse, *, keep: int) -> None:
    """Take all but the ``keep`` newest reports off the list, and out of the ledger."""
    warehouse.run(_PRUNE, pl.DataFrame({"keep": [keep]}))


def list_reports(warehouse: Warehouse, *, most: int = 100) -> list[ReportRow]:
    """The newest reports first."""
    return [ReportRow(**row) for row in warehouse.select(_LIST, most=most).iter_rows(named=True)]
