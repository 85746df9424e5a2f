"""The flow check_quality as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.errors import QualityError
from pipeline.profile import Kind

pytestmark = pytest.mark.usefixtures("prefect")


def test_findings_are_told_and_only_an_error_fails_the_run(make_profile, serve_warehouse, market, newest_artifact):
    from flows.check_quality import check_quality

    warehouse = serve_warehouse(make_profile(Kind.RECORDED))
    warehouse.connection.execute("INSERT INTO coverage SELECT symbol, min(trade_id), max(trade_id) FROM ticks GROUP BY symbol")
    assert check_quality() == 0
    assert warehouse.select("SELECT count(*) FROM quality_checks WHERE state = 'error'").item() == 0
    assert (
        warehouse.select("SELECT DISTINCT run FROM quality_checks").item().startswith("check_quality:check every symbol on every timeframe")
    )

    bad = market.START + timedelta(seconds=market.SECONDS - 30)
    warehouse.connection.execute("UPDATE bars_1s_recent SET high = low / 2 WHERE symbol = 'BTCUSDT' AND ts = ?", [bad])
    with pytest.raises(QualityError, match="ohlc of BTCUSDT 1s fails: 1 of"):
        check_quality(symbols=["BTCUSDT"])
    assert warehouse.select("SELECT count(*) FROM quality_checks WHERE state = 'error'").item() > 0
    assert "ohlc" in newest_artifact("quality").data
    assert "| error | ohlc | BTCUSDT | 1s |" in newest_artifact("quality-summary").data

    ends = warehouse.select("SELECT flow, ok, detail FROM flow_runs ORDER BY ended_at").rows()
    assert [end[:2] for end in ends] == [("check_quality", True), ("check_quality", False)]
    assert "ohlc of BTCUSDT 1s fails" in ends[1][2]

    from flows.screen import screen

    assert screen(timeframe="1m", lookback=60) == 0
    assert newest_artifact("screen").description.startswith("nothing to screen yet: BTCUSDT is left out: check ohlc fails on 1s since ")
