"""The flow backfill as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import ProvenanceError, UsageError
from pipeline.profile import Kind, load_profile
from pipeline.settings import settings
from pipeline.warehouse.engine import Engine

pytestmark = pytest.mark.usefixtures("prefect")


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_backfill_fetches_what_is_missing(make_profile, serve_warehouse, venue_url):
    from flows.backfill import backfill

    warehouse = serve_warehouse(make_profile(rest_url=venue_url))
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
    end -= timedelta(minutes=end.minute % 5)  # so that as many candles of 5m are over, whatever the time of day
    start = end - timedelta(minutes=30)
    assert backfill(start=start, end=end) == rows(warehouse, "klines") == 72  # 30 of 1m and 6 of 5m for each symbol
    assert backfill(start=start, end=end) == 0
    assert backfill(symbols=["BTCUSDT"], timeframes=["1m"], start=start, end=end, refetch=True) == 30
    assert rows(warehouse, "klines") == 72


def test_backfill_of_trades_lands_them_and_tells_the_ledger(make_profile, serve_warehouse, venue_url, newest_artifact):
    from flows.backfill import backfill

    warehouse = serve_warehouse(make_profile(rest_url=venue_url, archive_url=venue_url))
    ended = threading.Event()
    engine = Engine(load_profile(settings().data_dir, "flows"), settings(), warehouse)

    def land():
        while not ended.wait(0.05):
            engine.land_everything()

    thread = threading.Thread(target=land)
    thread.start()
    try:
        end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
        start = end - timedelta(minutes=2)
        before = rows(warehouse, "ticks")
        written = backfill(symbols=["BTCUSDT"], timeframes=["1m"], what=["trades", "klines"], start=start, end=end)
        landed = rows(warehouse, "ticks") - before
        assert (written, rows(warehouse, "klines")) == (landed + 2, 2)
        assert landed > 100
        table = json.loads(newest_artifact("backfill").data)
        assert [(row["timeframe"], row["written"]) for row in table] == [("1m", 2), ("trades", landed)]
        ledger = warehouse.select("SELECT asset, complete, run FROM partitions WHERE asset IN ('klines', 'trades') ORDER BY asset")
        assert sorted(set(ledger.select("asset", "complete").rows())) == [("klines", False), ("trades", False)]
        assert all(run.startswith("backfill:backfill") for run in ledger["run"])
        with pytest.raises(UsageError, match="use --source archive"):
            backfill(symbols=["BTCUSDT"], what=["trades"], start=start - timedelta(days=4), end=end)
        midnight = start.replace(hour=0, minute=0)
        day = {"start": midnight - timedelta(hours=12), "end": midnight}
        assert backfill(symbols=["BTCUSDT"], source="archive", timeframes=["5m"], **day) == 288  # files hold whole days
    finally:
        ended.set()
        thread.join()
        engine.close()


def test_backfill_leaves_a_recorded_profile_alone_unless_asked(make_profile):
    from flows.backfill import backfill

    make_profile(Kind.RECORDED)
    assert backfill() == 0


def test_backfill_never_mixes_kinds(make_profile):
    from flows.backfill import backfill

    make_profile(rest_url="https://fapi.binance.com")
    with pytest.raises(ProvenanceError, match="is simulated, but rest_url is https://fapi"):
        backfill()
