"""The flow liquidity as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("prefect")


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_liquidity_writes_a_row_for_each_symbol_and_timeframe(make_profile, serve_warehouse):
    from flows.liquidity import liquidity

    warehouse = serve_warehouse(make_profile())
    assert liquidity(window=20) == rows(warehouse, "liquidity") == 6
    liquidity(window=20)
    assert rows(warehouse, "liquidity") == 6
