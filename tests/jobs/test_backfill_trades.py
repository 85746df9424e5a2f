"""Aggregate trades by REST from the simulated venue, and both sources against each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import UsageError, WarehouseUnavailable
from pipeline.jobs.backfill import Order, Place, Source, TradeFeed, What, backfill, feed
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, open_profile, publish_universe
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.venues.binance import aggregate_trade_line
from pipeline.warehouse.engine import Engine

SYMBOL = "OPUSDT"
TICKS = "SELECT trade_id, price, qty, event_time, buyer_is_maker, first_id, last_id FROM ticks ORDER BY trade_id"
LEDGER = """SELECT complete, "rows", revision FROM partitions WHERE asset = 'trades' ORDER BY partition"""


class Site:
    """A profile's warehouse in this process beside the simulated venue."""

    def __init__(self, directory, url):
        self.profile = open_profile(directory, "site", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        publish_universe(self.profile, Universe((SYMBOL,), (), 1))
        self.settings = Settings(data_dir=directory)
        self.journal = open_journal(self.profile, self.settings)
        self.warehouse = open_local(self.profile)
        self.engine = Engine(self.profile, self.settings, self.warehouse)
        self.rest = VenueRest(url, weight_per_minute=2_400)
        self.archive = VenueArchive(url)

    def close(self):
        self.rest.close()
        self.archive.close()
        self.engine.close()
        self.warehouse.close()

    def fetch(self, start, end, *, what=(What.TRADES,), source=Source.REST, **options):
        order = Order((SYMBOL,), (Timeframe.parse("1m"),), end, what=what, source=source, start=start, **options)
        seen = []
        place = Place(self.profile, self.warehouse, self.journal, self.rest, self.archive, "test", self.engine.land_everything)
        told = backfill(place, order, lambda *at: seen.append(at))
        assert not seen or seen[-1][0] == seen[-1][1]
        return told


@pytest.fixture
def site(tmp_path, venue_url):
    made = Site(tmp_path, venue_url)
    yield made
    made.close()


@pytest.fixture
def now():
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)


def test_a_period_by_rest_is_there_once_without_a_hole(site, now):
    start = max(now - timedelta(minutes=50), now.replace(hour=0, minute=0, second=0))
    if now - start < timedelta(minutes=10):
        start = now - timedelta(minutes=50)
    middle = start + (now - start) / 2
    site.fetch(middle, middle + timedelta(minutes=2))
    first = site.warehouse.select(TICKS)
    told = site.fetch(start, now)[-1]
    ticks = site.warehouse.select(TICKS)
    ids = ticks["trade_id"].to_list()
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert told.written == ticks.height - first.height
    assert start <= ticks["event_time"].min() < start + timedelta(minutes=1)
    assert now - timedelta(minutes=1) < ticks["event_time"].max() < now
    assert not any(complete for complete, _, _ in site.warehouse.select(LEDGER).rows())
    assert site.warehouse.select("SELECT count(*) AS n FROM gaps WHERE state = 'open'").item() == 0
    lines = site.warehouse.select("SELECT lines FROM ingest_offsets WHERE source = 'backfill'").item()
    assert lines == ticks.height  # what had landed was not journalled again
    again = site.fetch(start, now)[-1]
    assert again.written == 0


def test_what_rest_does_not_reach_is_said_in_one_line(site, now):
    with pytest.raises(UsageError, match=r"past 48 h only.*use --source archive") as caught:
        site.fetch(now - timedelta(days=3), now)
    assert "\n" not in str(caught.value)
    assert site.warehouse.select("SELECT count(*) AS n FROM ticks").item() == 0


def test_candlesticks_come_before_trades(site, now):
    start = now - timedelta(minutes=4)
    klines, trades = site.fetch(start, now, what=(What.TRADES, What.KLINES))
    assert (klines.timeframe, trades.timeframe) == ("1m", "")
    assert klines.written >= 3
    assert trades.written > 50


@pytest.mark.slow
def test_a_day_by_rest_is_the_day_of_the_archive(now, tmp_path, own_venue_url):
    today = now.replace(hour=0, minute=0, second=0)
    yesterday = today - timedelta(days=1)
    site = Site(tmp_path, own_venue_url)
    told = site.fetch(yesterday, today, what=(What.KLINES, What.TRADES))
    assert [row.days for row in told] == [1, 1]
    assert told[0].written == 1_440
    other = Site(tmp_path / "other", own_venue_url)
    try:
        other.fetch(yesterday, today, what=(What.KLINES, What.TRADES), source=Source.ARCHIVE)
        for query in (TICKS, LEDGER, "SELECT * EXCLUDE (fetched_at) FROM klines ORDER BY ts", "FROM bars_1s ORDER BY ts"):
            assert other.warehouse.select(query).equals(site.warehouse.select(query))
        assert other.warehouse.select("SELECT * FROM gaps").is_empty()
        # A refetch of whole days changes nothing.
        other.fetch(yesterday, today, refetch=True)
        assert other.warehouse.select(LEDGER).equals(site.warehouse.select(LEDGER))
    finally:
        other.close()
        site.close()


def test_the_feed_stays_a_bounded_distance_ahead_of_landing(site, monkeypatch):
    """Nobody lands: the feed waits once too much is behind, and gives up with one line."""
    monkeypatch.setattr(feed, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(feed, "_GROUP", 100)

    def line(number):
        return aggregate_trade_line(
            SYMBOL, number, "1.5", "2", first_id=number, last_id=number, time_ms=1_795_132_800_000, buyer_is_maker=False
        )

    with (
        TradeFeed(site.warehouse, site.journal, most_behind=30_000) as ahead,
        pytest.raises(WarehouseUnavailable, match="landed no backfilled"),
    ):
        ahead.put(line(number) for number in range(1, 10_000))
    behind = site.journal.reader("backfill").durable().offset
    assert 30_000 < behind < 60_000
    site.engine.land_everything()
    landed = site.warehouse.select("SELECT count(*) AS n FROM ticks").item()
    assert landed % 100 == 0
    assert 200 <= landed < 500
