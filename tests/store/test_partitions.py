"""The ledger of partitions: one row a partition, revisions only of what was whole, and what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipeline.store import open_local
from pipeline.store.partitions import Made, downstream, freshness, load_partitions, missing_days, put_partitions, upstream

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def warehouse(profile):
    with open_local(profile) as opened:
        yield opened


def bars(day=DAY, *, symbol="BTCUSDT", complete=True, rows=1440, fingerprint="a", asset="bars", inputs=()):
    return Made(asset, f"{symbol}/1m/{day}", complete, rows, fingerprint, symbol, "1m", day, NOON, NOON, inputs)


def test_a_partition_is_one_row_however_often_it_is_made(warehouse):
    put_partitions(warehouse, [bars(complete=False, rows=3)], run="first")
    put_partitions(warehouse, [bars(complete=False, rows=4, fingerprint="b")], run="second")
    assert load_partitions(warehouse).select("rows", "revision", "run", "complete").rows() == [(4, 0, "second", False)]


def test_only_what_was_complete_counts_a_revision_and_only_when_it_changes(warehouse):
    for fingerprint, complete in (("a", False), ("b", True), ("b", True), ("c", True), ("c", True)):
        put_partitions(warehouse, [bars(fingerprint=fingerprint, complete=complete)], run=fingerprint)
    assert load_partitions(warehouse).select("revision", "run").rows() == [(1, "c")]


def test_what_is_made_again_alike_keeps_its_maker_and_time(warehouse):
    put_partitions(warehouse, [bars()], run="first")
    before = load_partitions(warehouse).row(0)
    put_partitions(warehouse, [bars()], run="second")
    assert load_partitions(warehouse).row(0) == before


def test_other_partitions_are_left_alone(warehouse):
    put_partitions(warehouse, [bars(), bars(symbol="ETHUSDT"), bars(asset="klines")], run="first")
    before = load_partitions(warehouse).filter(symbol="ETHUSDT")
    put_partitions(warehouse, [bars(fingerprint="z")], run="second")
    after = load_partitions(warehouse)
    assert after.filter(symbol="ETHUSDT").equals(before)
    assert after.select("asset", "symbol", "revision").rows() == [("bars", "BTCUSDT", 1), ("bars", "ETHUSDT", 0), ("klines", "BTCUSDT", 0)]


def test_partitions_are_found_by_asset_symbol_and_day(warehouse):
    put_partitions(warehouse, [bars(), bars(date(2026, 3, 3)), bars(symbol="ETHUSDT"), bars(asset="klines")], run="r")
    assert load_partitions(warehouse, asset="bars").height == 3
    assert load_partitions(warehouse, asset=["bars", "klines"], symbols=["BTCUSDT"]).height == 3
    assert load_partitions(warehouse, asset="bars", start=datetime(2026, 3, 3, tzinfo=UTC)).height == 1
    assert load_partitions(warehouse, end=datetime(2026, 3, 3, tzinfo=UTC)).height == 3


def test_missing_days_are_those_whole_in_neither_source(warehouse):
    put_partitions(
        warehouse,
        [bars(), bars(date(2026, 3, 3), complete=False), bars(date(2026, 3, 3), asset="klines"), bars(date(2026, 3, 4), complete=False)],
        run="r",
    )
    found = missing_days(warehouse, ["BTCUSDT"], ["1m"], start=date(2026, 3, 1), end=date(2026, 3, 5))
    assert found.select("day", "started").rows() == [(date(2026, 3, 1), False), (date(2026, 3, 4), True)]
    assert missing_days(warehouse, [], ["1m"], start=date(2026, 3, 1), end=date(2026, 3, 5)).is_empty()


def test_lineage_is_followed_both_ways(warehouse):
    tick = Made("ticks", f"BTCUSDT/{DAY}", True, 9, "t", "BTCUSDT", None, DAY)
    model = Made("models", "ETHUSDT/BTCUSDT/1m", True, 1, "m", inputs=(f"bars/BTCUSDT/1m/{DAY}",))
    put_partitions(warehouse, [tick, bars(inputs=(f"ticks/BTCUSDT/{DAY}",)), model], run="r")
    assert upstream(warehouse, "models/ETHUSDT/BTCUSDT/1m").select("input", "depth").rows() == [
        (f"bars/BTCUSDT/1m/{DAY}", 1),
        (f"ticks/BTCUSDT/{DAY}", 2),
    ]
    assert downstream(warehouse, f"bars/BTCUSDT/1m/{DAY}")["partition"].to_list() == ["ETHUSDT/BTCUSDT/1m"]


def test_freshness_sums_up_each_asset(warehouse):
    put_partitions(warehouse, [bars(), bars(date(2026, 3, 3), complete=False, rows=10)], run="r")
    row = freshness(warehouse).row(0, named=True)
    assert (row["partitions"], row["incomplete"], row["newest_day"], row["rows"]) == (2, 1, date(2026, 3, 3), 1450)
