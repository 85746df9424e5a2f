"""The flow liquidity as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("prefect")


def test_liquidity_writes_a_row_for_each_five_minutes_that_are_due(make_profile, serve_warehouse, newest_artifact):
    from flows.liquidity import liquidity
    from pipeline.store.partitions import load_partitions

    warehouse = serve_warehouse(make_profile())
    assert liquidity(window=20) == 2 * 3 * 23  # of 1s, 1m and 5m bars; the last minutes wait for late trades
    assert len(newest_artifact("liquidity").data) > 0
    assert liquidity(window=20) == 0
    entered = load_partitions(warehouse, asset="liquidity")
    assert entered.height == 6
    assert set(entered["run"]) == {"liquidity:measure liquidity on every timeframe"}
