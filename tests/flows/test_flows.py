"""Each flow as Prefect runs it, over the protocol and roles of the running platform."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import ProvenanceError, UsageError, WarehouseUnavailable
from pipeline.profile import Kind
from pipeline.store.reports import list_reports

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture(scope="session")
def venue_url():
    from pipeline.simulator import SimulatorConfig, serve

    ports, listening = [], threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    config = SimulatorConfig(port=0)
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(config, stop, ready=lambda port: (ports.append(port), listening.set()))), daemon=True
    )
    thread.start()
    assert listening.wait(30)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def newest_artifact(key):
    from prefect.client.orchestration import get_client

    async def read():
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

        async with get_client() as client:
            found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), limit=50)
            return max(found, key=lambda artifact: artifact.created)

    return asyncio.run(read())


def rows(warehouse, table):
    return warehouse.select(f"SELECT count(*) AS n FROM {table}").item()


def test_resample_writes_bars_and_says_how_many(make_profile, serve_warehouse):
    from flows.resample import resample

    warehouse = serve_warehouse(make_profile())
    assert resample() == rows(warehouse, "bars_resampled") == 288
    assert resample() == 4  # the bars that are still open
    assert rows(warehouse, "bars_resampled") == 288
    assert newest_artifact("resample").description == "4 bars written on 1m, 5m"


def test_fit_pairs_keeps_each_model_once(make_profile, serve_warehouse):
    from flows.fit_pairs import fit_pairs

    warehouse = serve_warehouse(make_profile())
    assert fit_pairs(timeframes=["1m"], methods=("ols", "huber")) == 2
    assert fit_pairs(timeframes=["1m"], methods=("ols", "huber")) == 0
    assert rows(warehouse, "fits") == 2
    assert fit_pairs(pairs=["ETHUSDT/BTCUSDT"], timeframes=["5m"], methods=()) == 0  # too few bars: a note, no failure


def test_liquidity_writes_a_row_for_each_symbol_and_timeframe(make_profile, serve_warehouse):
    from flows.liquidity import liquidity

    warehouse = serve_warehouse(make_profile())
    assert liquidity(window=20) == rows(warehouse, "liquidity") == 6
    liquidity(window=20)
    assert rows(warehouse, "liquidity") == 6


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


def test_report_writes_a_file_and_links_it(make_profile, serve_warehouse):
    from flows.report import report

    profile = make_profile()
    warehouse = serve_warehouse(profile)
    path = report(hours=2)
    (row,) = list_reports(warehouse)
    assert path == str(profile.reports / row.path)
    assert (profile.reports / row.path).stat().st_size == row.bytes
    assert path in newest_artifact("report").data


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("resample", {"timeframes": ["7x"]}, "timeframe '7x' is not understood"),
        ("fit_pairs", {"pairs": ["AAA/BBB"]}, "pair AAA/BBB is not in the universe"),
        ("fit_pairs", {"methods": ("magic",)}, "method 'magic' is not known; expected one of ols"),
        ("backfill", {"symbols": ["NOPE"]}, "symbol NOPE is not in the universe"),
        ("backfill", {"timeframes": ["1s"]}, "the exchange has no candlesticks of 1s"),
    ],
)
def test_a_wrong_parameter_fails_at_once_with_one_line(make_profile, name, parameters, said):
    import importlib

    make_profile()
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    with pytest.raises(UsageError, match=said) as caught:
        flow(**parameters)
    assert "\n" not in str(caught.value)


def test_a_warehouse_that_is_away_is_tried_again_and_then_named(make_profile, monkeypatch):
    import flows.session
    from flows.resample import resample

    monkeypatch.setattr(flows.session, "_RETRY_DELAYS_S", [0.01, 0.01])
    attempts = []
    open_session = flows.session.session
    monkeypatch.setattr("flows.resample.session", lambda job: (attempts.append(job), open_session(job))[1])
    make_profile()
    with pytest.raises(WarehouseUnavailable, match="is not running; start it with"):
        resample()
    assert len(attempts) == 3
