"""The flow backfill as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import ProvenanceError
from pipeline.profile import Kind

pytestmark = pytest.mark.usefixtures("prefect")


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_backfill_fetches_what_is_missing(make_profile, serve_warehouse, venue_url):
    from flows.backfill import backfill

    warehouse = serve_warehouse(make_profile(rest_url=venue_url))
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
    start = end - timedelta(minutes=30)
    assert backfill(start=start, end=end) == rows(warehouse, "klines") == 72  # 30 of 1m and 6 of 5m for each symbol
    assert backfill(start=start, end=end) == 0
    assert backfill(symbols=["BTCUSDT"], timeframes=["1m"], start=start, end=end, refetch=True) == 30
    assert rows(warehouse, "klines") == 72


def test_backfill_leaves_a_recorded_profile_alone_unless_asked(make_profile):
    from flows.backfill import backfill

    make_profile(Kind.RECORDED)
    assert backfill() == 0


def test_backfill_never_mixes_kinds(make_profile):
    from flows.backfill import backfill

    make_profile(rest_url="https://fapi.binance.com")
    with pytest.raises(ProvenanceError, match="is simulated, but rest_url is https://fapi"):
        backfill()
