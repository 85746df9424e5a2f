"""The flow repair_gaps as Prefect runs it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import ProvenanceError
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.profile import Kind
from pipeline.settings import settings
from pipeline.venues import venue
from pipeline.warehouse import Engine

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def landing():
    """Land what a profile's journal gets, as the warehouse process does."""
    ends = []

    def start(profile, warehouse):
        engine = Engine(profile, settings(), warehouse)
        stop = threading.Event()

        def land():
            while not stop.wait(0.05):
                engine.run_once()

        thread = threading.Thread(target=land)
        thread.start()
        ends.append(lambda: (stop.set(), thread.join(10), engine.close()))

    yield start
    for end in ends:
        end()


def test_a_gap_is_refilled_and_told(make_profile, serve_warehouse, venue_url, landing, newest_artifact):
    from flows.repair_gaps import repair_gaps

    profile = make_profile(rest_url=venue_url)
    start_ms = int((datetime.now(UTC) - timedelta(minutes=20)).timestamp() * 1_000)
    with VenueRest(venue_url) as rest:
        trades = rest.agg_trades("BTCUSDT", start_ms=start_ms, end_ms=start_ms + 600_000, limit=50)
    with open_journal(profile, settings()).writer("capture") as writer:
        for trade in [*trades[:20], *trades[30:]]:
            writer.append(trade.event_time_ms * 1_000_000, venue().encode_trade(trade))
    warehouse = serve_warehouse(profile, filled=False)
    landing(profile, warehouse)
    while warehouse.select("SELECT count(*) FROM gaps").item() == 0:
        time.sleep(0.02)
    assert repair_gaps() == 10
    assert warehouse.select("SELECT state FROM gaps").item() == "refilled"
    assert warehouse.select("SELECT count(*) FROM ticks").item() == 50
    told = newest_artifact("repair-gaps")
    assert told.description == "10 missing trades refilled in 1 gaps, 0 of them still open"
    assert repair_gaps(symbols=["BTCUSDT"]) == 0


def test_a_recorded_profile_has_nobody_to_ask(make_profile):
    from flows.repair_gaps import repair_gaps

    make_profile(Kind.RECORDED)
    assert repair_gaps() == 0


def test_kinds_never_mix(make_profile):
    from flows.repair_gaps import repair_gaps

    make_profile(rest_url="https://fapi.binance.com")
    with pytest.raises(ProvenanceError, match="is simulated, but rest_url is https://fapi"):
        repair_gaps()
