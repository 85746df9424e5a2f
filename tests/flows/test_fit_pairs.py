"""The flow fit_pairs as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("prefect")


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_fit_pairs_keeps_each_model_once(make_profile, serve_warehouse):
    from flows.fit_pairs import fit_pairs

    warehouse = serve_warehouse(make_profile())
    assert fit_pairs(timeframes=["1m"], methods=("ols", "huber")) == 2
    assert fit_pairs(timeframes=["1m"], methods=("ols", "huber")) == 0
    assert rows(warehouse, "fits") == 2
    assert fit_pairs(pairs=["ETHUSDT/BTCUSDT"], timeframes=["5m"], methods=()) == 0  # too few bars: a note, no failure
