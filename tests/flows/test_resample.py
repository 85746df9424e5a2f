"""The flow resample as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("prefect")


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_resample_writes_bars_and_says_how_many(make_profile, serve_warehouse, newest_artifact):
    from flows.resample import resample

    warehouse = serve_warehouse(make_profile())
    assert resample() == rows(warehouse, "bars_resampled") == 288
    assert resample() == 4  # the bars that are still open
    assert rows(warehouse, "bars_resampled") == 288
    assert newest_artifact("resample").description == "4 bars written on 1m, 5m"
