"""The flow screen as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import UsageError

pytestmark = pytest.mark.usefixtures("prefect")


def test_screen_keeps_the_pairs_and_shows_the_best(make_profile, serve_warehouse, newest_artifact):
    from flows.resample import resample
    from flows.screen import screen

    warehouse = serve_warehouse(make_profile())
    assert screen(timeframe="5m") == 0
    assert newest_artifact("screen").description.startswith("nothing to screen yet: 2 of 2 symbols have complete 5m bars (23 rows)")
    resample()
    found = screen(lookback=110)
    rows = warehouse.select("SELECT * FROM screens ORDER BY rank")
    assert rows.height == 2
    assert found == rows.filter(rows["q_value"] <= 0.05).height
    artifact = newest_artifact("screen")
    assert f"{found} of 2 ordered pairs of 2 symbols" in artifact.description
    assert [row["rank"] for row in json.loads(artifact.data)] == [1, 2]
    assert screen(lookback=110) == found
    assert "screened before" in newest_artifact("screen").description
    assert warehouse.select("SELECT count(*) AS n FROM screens").item() == 2
    (run,) = warehouse.select("SELECT run FROM partitions WHERE asset = 'screens'")["run"]
    assert run == "screen:screen every symbol on 110 bars"
    with pytest.raises(UsageError, match="at least two different symbols; 1 given"):
        screen(symbols=["BTCUSDT"])
