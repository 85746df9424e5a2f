"""What is due by journal time, what is done about it, and what the ledger says."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.errors import StoreError, UsageError
from pipeline.jobs.archive import Ages, archive, chosen_datasets, due_orders
from pipeline.settings import Settings
from pipeline.store.archive import DATASETS, archive_sizes
from pipeline.store.orders import Order, OrderKind
from pipeline.store.partitions import load_partitions

DAY = date(2026, 3, 2)
AGES = Ages(timedelta(days=2), timedelta(hours=12), timedelta(days=3), None)


def move_clock(warehouse, text):
    warehouse.connection.execute("UPDATE journal_clock SET journal_time = CAST(? AS TIMESTAMPTZ)", [text])


@pytest.mark.parametrize(
    ("time", "datasets"),
    [
        ("2026-03-03 11:59:59+00", []),
        ("2026-03-03 12:00:00+00", ["quotes"]),
        ("2026-03-05 00:00:00+00", ["quotes", "ticks"]),
        ("2026-03-06 00:00:00+00", ["bars_1s", "quotes", "ticks"]),
    ],
)
def test_a_day_is_due_when_its_end_is_old_enough_by_journal_time(warehouse, time, datasets):
    move_clock(warehouse, time)
    orders = due_orders(warehouse, AGES, DATASETS)
    assert sorted({order.dataset for order in orders}) == datasets
    assert {order.day for order in orders} <= {DAY}
    assert {order.symbol for order in orders if order.dataset == "ticks"} in (set(), {"BTCUSDT", "ETHUSDT"})


def test_nothing_is_due_before_anything_has_landed(warehouse):
    warehouse.connection.execute("DELETE FROM journal_clock")
    assert due_orders(warehouse, AGES, DATASETS) == []


def test_what_is_due_is_archived_once_and_entered_in_the_ledger(warehouse, profile):
    move_clock(warehouse, "2026-03-06 00:00:00+00")
    seen = []
    done = archive(warehouse, profile, AGES, run="r1", progress=lambda count, of: seen.append((count, of)))
    assert [(row.partition, row.action, row.rows) for row in done] == [
        (f"bars_1s/BTCUSDT/{DAY}", "archived", 7200),
        (f"bars_1s/ETHUSDT/{DAY}", "archived", 7200),
        (f"quotes/BTCUSDT/{DAY}", "archived", 7200),
        (f"ticks/BTCUSDT/{DAY}", "archived", 7200),
        (f"ticks/ETHUSDT/{DAY}", "archived", 7200),
    ]
    assert seen[-1] == (5, 5)
    ledger = load_partitions(warehouse, asset="archive")
    assert ledger.select("partition", "complete", "rows", "revision", "run").rows()[-1] == (f"ticks/ETHUSDT/{DAY}", True, 7200, 0, "r1")
    assert ledger.filter(partition=f"ticks/BTCUSDT/{DAY}")["inputs"].to_list() == [[f"ticks/BTCUSDT/{DAY}"]]
    assert archive(warehouse, profile, AGES, run="r2") == []
    assert load_partitions(warehouse, asset="archive").equals(ledger)


def test_the_ledger_is_made_good_after_a_run_that_was_killed_before_it(warehouse, profile, monkeypatch):
    move_clock(warehouse, "2026-03-06 00:00:00+00")

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.jobs.archive.put_partitions", killed)
        with pytest.raises(KeyboardInterrupt):
            archive(warehouse, profile, AGES, run="killed")
    assert load_partitions(warehouse, asset="archive").is_empty()
    assert archive(warehouse, profile, AGES, run="next") == []
    assert load_partitions(warehouse, asset="archive").height == 5


def test_what_is_older_than_the_archive_keeps_is_removed(warehouse, profile):
    move_clock(warehouse, "2026-03-06 00:00:00+00")
    archive(warehouse, profile, AGES, run="r")
    move_clock(warehouse, "2026-03-12 00:00:00+00")
    ages = Ages(AGES.ticks, AGES.quotes, AGES.bars_1s, timedelta(days=9))
    assert {row.action for row in archive(warehouse, profile, ages, run="r", datasets=("ticks",))} == {"expired"}
    assert archive_sizes(warehouse)["dataset"].to_list() == ["bars_1s", "quotes"]
    assert warehouse.select("SELECT count(*) FROM ticks").item() == 0
    incomplete = load_partitions(warehouse, asset="archive").filter(complete=False)
    assert incomplete.select("partition", "rows").rows() == [(f"ticks/{symbol}/{DAY}", 0) for symbol in ("BTCUSDT", "ETHUSDT")]


def test_a_day_that_cannot_be_written_is_said_and_the_others_are_done(warehouse, profile):
    move_clock(warehouse, "2026-03-06 00:00:00+00")
    (profile.archive / "quotes").write_text("in the way")
    with pytest.raises(StoreError, match=f"1 of 5 orders failed; archive quotes/BTCUSDT/{DAY}"):
        archive(warehouse, profile, AGES, run="r")
    assert archive_sizes(warehouse)["dataset"].to_list() == ["bars_1s", "ticks"]
    (profile.archive / "quotes").unlink()
    assert [row.partition for row in archive(warehouse, profile, AGES, run="r")] == [f"quotes/BTCUSDT/{DAY}"]


def test_ages_come_from_the_settings():
    assert Ages.of(Settings(tick_archive_days=3, quote_archive_hours=5, bar_1s_archive_days=4)) == Ages(
        timedelta(days=3), timedelta(hours=5), timedelta(days=4), None
    )
    assert Ages.of(Settings(archive_retention_days=9)).kept == timedelta(days=9)


def test_a_dataset_that_is_not_known_is_said():
    with pytest.raises(UsageError, match="dataset 'bars' is not known; expected one of ticks, quotes, bars_1s"):
        chosen_datasets(["bars"])


def test_an_order_names_its_partition():
    assert Order(OrderKind.ARCHIVE, "ticks", "BTCUSDT", DAY).partition == f"ticks/BTCUSDT/{DAY}"
