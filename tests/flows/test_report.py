"""The flow report as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import pytest

from pipeline.store.reports import list_reports

pytestmark = pytest.mark.usefixtures("prefect")


def test_report_writes_a_file_and_links_it(make_profile, serve_warehouse, newest_artifact):
    from flows.report import report

    profile = make_profile()
    warehouse = serve_warehouse(profile)
    path = report(hours=2)
    (row,) = list_reports(warehouse)
    assert path == str(profile.reports / row.path)
    assert (profile.reports / row.path).stat().st_size == row.bytes
    assert path in newest_artifact("report").data
