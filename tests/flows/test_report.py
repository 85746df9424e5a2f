"""The flow report as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.errors import UsageError
from pipeline.store.reports import list_reports

pytestmark = pytest.mark.usefixtures("prefect")


def test_report_writes_a_file_and_links_it(make_profile, serve_warehouse, newest_artifact):
    from flows.report import report

    profile = make_profile(dashboard_port="5999")
    warehouse = serve_warehouse(profile)
    path = report(hours=2, end=datetime(2026, 3, 2, 12, tzinfo=UTC), deliver=True)
    (row,) = list_reports(warehouse)
    assert path == str(profile.reports / row.path)
    assert (profile.reports / row.path).stat().st_size == row.bytes
    assert row.report_id == "20260302T1200Z-2h"
    assert f"http://127.0.0.1:5999/reports/{row.path}" in newest_artifact("report").data
    assert warehouse.select("SELECT topic FROM notices")["topic"].to_list() == ["report"]
    (run,) = warehouse.select("SELECT run FROM partitions WHERE asset = 'reports'")["run"]
    assert run.startswith("report:report of the last 2 hours to 2026-03-02")
    with pytest.raises(UsageError, match="is empty; the end must be after the start"):
        report(start=datetime(2026, 3, 2, 12, tzinfo=UTC), end=datetime(2026, 3, 2, 11, tzinfo=UTC))
