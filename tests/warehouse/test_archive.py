"""Days that go to the archive and come back: at every moment the tables are those of a run that never archived."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.jobs.resample import resample
from pipeline.store.archive import DATASETS, archive_due, archive_sizes, load_archived
from pipeline.store.archiving import Archiver, carry_out
from pipeline.store.orders import Order, OrderKind, Outcome, order_reports, place_orders

DAY_MS = 86_400_000
T0 = 1_772_409_600_000  # 2026-03-02 00:00 UTC
DAYS = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)]
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def quote(symbol, update_id, time_ms):
    data = f'{{"e":"bookTicker","u":{update_id},"s":"{symbol}","b":"99.5","B":"1.0","a":"100.5","A":"2.0","T":{time_ms},"E":{time_ms}}}'
    return b"%d %b" % (time_ms * 1_000_000, data.encode())


def market(trade, *, per_day=40):
    """Trades and quotes of two symbols over three days, in order."""
    lines = []
    for day in range(3):
        for number in range(per_day):
            time_ms = T0 + day * DAY_MS + number * 700_000 + 13
            for offset, symbol in enumerate(SYMBOLS):
                trade_id = day * per_day + number
                lines.append(trade(symbol, trade_id, time_ms + offset, f"{100 + number % 7 + day}.5"))
                lines.append(quote(symbol, 1_000 + 2 * trade_id, time_ms + offset))
    return lines


def archive(lab, *orders):
    ids = place_orders(lab.warehouse, orders, run="test")
    carry_out(lab.warehouse, lab.profile)
    lab.engine._lander.archive_changed()
    return order_reports(lab.warehouse, ids)


def everything(*days, datasets=DATASETS):
    return [Order(OrderKind.ARCHIVE, dataset, symbol, day) for day in days for dataset in datasets for symbol in SYMBOLS]


def same(one, other):
    """Nothing tells the two apart."""
    for lab in (one, other):
        resample(lab.warehouse, lab.settings.parsed_timeframes)
    mine, its = one.picture(), other.picture()
    for name in mine:
        assert mine[name] == its[name], name
    for query in ("SELECT * FROM bars_1s ORDER BY ALL", "SELECT * EXCLUDE (revision) FROM bars_resampled ORDER BY ALL"):
        assert one.rows(query) == other.rows(query)


def test_an_archived_day_reads_as_before_and_its_rows_are_gone_from_the_database(lab, make_lab, trade):
    never = make_lab()
    for one in (lab, never):
        one.land(market(trade))
    reports = archive(lab, *everything(*DAYS[:2]))
    assert {report.outcome for report in reports} == {Outcome.DONE}
    assert len(reports) == 12
    for dataset in ("ticks", "quotes", "bars_1s"):
        assert lab.rows(f"SELECT count(*) FROM {dataset}_recent") == [(80,)]
        assert lab.rows(f"SELECT count(*) FROM {dataset}") == [(240,)]
    same(lab, never)
    assert archive_sizes(lab.warehouse).select("dataset", "partitions", "rows").rows() == [(name, 4, 160) for name in sorted(DATASETS)]
    named = {lab.profile.archive / file for file in load_archived(lab.warehouse)["file"]}
    assert named == set(lab.profile.archive.rglob("*.parquet"))
    assert archive_due(lab.warehouse, "ticks", before=datetime(2026, 3, 4, tzinfo=UTC)).is_empty()


def test_files_are_sorted_compressed_and_where_the_design_says(lab, trade):
    lab.land(list(reversed(market(trade)[:160])))
    archive(lab, Order(OrderKind.ARCHIVE, "ticks", "BTCUSDT", DAYS[0]))
    path = lab.profile.archive / "ticks" / "symbol=BTCUSDT" / "day=2026-03-02" / "0.parquet"
    ids = [trade_id for (trade_id,) in lab.rows(f"SELECT trade_id FROM read_parquet('{path}')")]
    assert ids == sorted(ids)
    assert lab.rows(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')") == [("ZSTD",)]


def test_repeating_an_order_changes_nothing(lab, trade):
    lab.land(market(trade))
    archive(lab, *everything(DAYS[0]))
    before = load_archived(lab.warehouse)
    assert {report.outcome for report in archive(lab, *everything(DAYS[0]))} == {Outcome.NOTHING}
    assert load_archived(lab.warehouse).equals(before)


def test_late_rows_bring_only_their_own_day_back_and_the_next_run_writes_it_again(lab, make_lab, trade):
    never = make_lab()
    lines = market(trade)
    late = trade("BTCUSDT", 500, T0 + 1_000, "97.25")
    for one in (lab, never):
        one.land(lines)
        if one is lab:
            archive(lab, *everything(*DAYS[:2]))
            resample(lab.warehouse, lab.settings.parsed_timeframes)
        one.land([late])
    states = load_archived(lab.warehouse).filter(state="thawed").select("dataset", "symbol", "day").rows()
    assert states == [("bars_1s", "BTCUSDT", DAYS[0]), ("ticks", "BTCUSDT", DAYS[0])]
    same(lab, never)
    archive(lab, *everything(*DAYS[:2]))
    same(lab, never)
    again = load_archived(lab.warehouse).filter(state="archived", revision=1).select("dataset", "symbol", "day").rows()
    assert again == states


def test_what_is_landed_again_brings_nothing_back(lab, make_lab, trade):
    """A recording that is ingested twice, also where its quotes lie in the archive."""
    never = make_lab()
    lines = market(trade)
    for one in (lab, never):
        one.land(lines)
        if one is lab:
            archive(lab, *everything(*DAYS))
        one.land(lines)
        one.land([quote("ETHUSDT", 1_001, T0 + 5_000)])  # between two ids that are there
    same(lab, never)
    assert load_archived(lab.warehouse).filter(state="thawed").select("dataset", "symbol", "day").rows() == [("quotes", "ETHUSDT", DAYS[0])]


def test_a_gap_whose_ends_are_archived_has_their_times(lab, make_lab, trade):
    never = make_lab()
    for one in (lab, never):
        one.land([trade("BTCUSDT", 1, T0 + 5), trade("BTCUSDT", 2, T0 + 2_000)])
        if one is lab:
            archive(lab, *everything(DAYS[0]))
        one.land([trade("BTCUSDT", 9, T0 + 2 * DAY_MS)])
    same(lab, never)
    for one in (lab, never):
        one.land([trade("BTCUSDT", number, T0 + 3_000 + number) for number in range(3, 9)], "repair")
    same(lab, never)
    assert lab.rows("SELECT state FROM gaps WHERE state <> 'halt'") == [("refilled",)]


@pytest.mark.parametrize("lost", [False, True])
def test_a_halt_that_begins_in_the_archive(lab, make_lab, trade, lost):
    never = make_lab()
    for one in (lab, never):
        one.land([trade("BTCUSDT", 1, T0 + 5), trade("BTCUSDT", 2, T0 + 2_000)])
        if one is lab:
            archive(lab, *everything(DAYS[0]))
            if lost:
                next(lab.profile.archive.glob("ticks/symbol=BTCUSDT/day=2026-03-02/*")).unlink()
        one.restart()  # nothing is remembered
        one.land([trade("BTCUSDT", 3, T0 + 2 * DAY_MS)])
    found = lab.rows("SELECT first_missing, last_missing, epoch_ms(from_time) FROM gaps")
    if lost:  # nobody knows when it began, and landing goes on
        assert found == []
        assert lab.rows("SELECT trade_id FROM ticks_recent") == [(3,)]
    else:
        assert found == [(3, 2, T0 + 2_000)]
        same(lab, never)


def test_a_crash_while_a_day_comes_back_changes_nothing(lab, make_lab, trade):
    never = make_lab()
    late = trade("BTCUSDT", 500, T0 + 1_000, "97.25")
    for one in (lab, never):
        one.land(market(trade))
    archive(lab, *everything(*DAYS))
    lab.crash([late])
    same(lab, never)
    for one in (lab, never):
        one.land([late])
    same(lab, never)


def test_a_row_that_lands_between_the_file_and_its_commit_makes_the_file_anew(lab, trade):
    lab.land(market(trade))
    place_orders(lab.warehouse, [Order(OrderKind.ARCHIVE, "ticks", "BTCUSDT", DAYS[0])], run="test")
    archiver = Archiver(lab.warehouse.connection, lab.profile)
    (waiting,) = archiver.waiting()
    prepared = archiver.prepare(waiting)
    lab.land([trade("BTCUSDT", 500, T0 + 1_000)])
    assert archiver.settle(waiting, prepared, began=time.monotonic()) is None
    assert lab.rows("SELECT count(*) FROM archived") == [(0,)]
    report = archiver.settle(waiting, archiver.prepare(waiting), began=time.monotonic())
    assert report is not None
    assert report.detail["rows"] == 41


def test_files_that_nobody_names_are_removed_at_the_start(lab, trade):
    lab.land(market(trade))
    archive(lab, Order(OrderKind.ARCHIVE, "ticks", "BTCUSDT", DAYS[0]))
    directory = lab.profile.archive / "ticks" / "symbol=BTCUSDT" / "day=2026-03-03"
    directory.mkdir()
    for name in ("0.parquet", "1.partial"):
        (directory / name).write_bytes(b"half")
    archiver = Archiver(lab.warehouse.connection, lab.profile)
    assert archiver.sweep() == 0  # a reader may still have it open
    lab.restart()
    assert not list(directory.iterdir())
    assert lab.rows("SELECT count(*) FROM ticks") == [(240,)]


def test_a_day_that_was_removed_for_good_takes_no_more_trades(lab, trade):
    lab.land(market(trade))
    archive(lab, *everything(DAYS[0]))
    archive(lab, *(Order(OrderKind.EXPIRE, dataset, "BTCUSDT", DAYS[0]) for dataset in DATASETS))
    assert lab.rows("SELECT count(*) FROM ticks WHERE symbol = 'BTCUSDT'") == [(80,)]
    lab.land([trade("BTCUSDT", 500, T0 + 1_000), trade("ETHUSDT", 500, T0 + 1_000)])
    assert lab.rows("SELECT symbol FROM ticks WHERE trade_id = 500") == [("ETHUSDT",)]
    assert lab.rows("SELECT count FROM landing_counts WHERE name = 'expired_day'") == [(1,)]


def test_a_missing_file_is_said_and_the_rest_is_read(lab, trade, caplog):
    lab.land(market(trade))
    archive(lab, *everything(DAYS[0], DAYS[1]))
    next(lab.profile.archive.glob("ticks/symbol=BTCUSDT/day=2026-03-02/*")).unlink()
    archive(lab, Order(OrderKind.ARCHIVE, "ticks", "ETHUSDT", DAYS[2]))
    assert lab.rows("SELECT count(*) FROM ticks") == [(200,)]
    assert "an archived file is missing or damaged" in caplog.text


@pytest.mark.parametrize("harm", ["missing", "cut"])
def test_a_late_row_for_a_day_whose_file_is_lost_stops_nothing(lab, trade, caplog, harm):
    lab.land(market(trade))
    archive(lab, *everything(DAYS[0]))
    path = next(lab.profile.archive.glob("ticks/symbol=BTCUSDT/day=2026-03-02/*"))
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    lab.land([trade("BTCUSDT", 500, T0 + 1_000), trade("ETHUSDT", 500, T0 + 1_000)])
    assert lab.rows("SELECT symbol FROM ticks_recent WHERE trade_id = 500") == [("ETHUSDT",)]
    assert lab.rows("SELECT count FROM landing_counts WHERE name = 'archive_unreadable'") == [(1,)]
    assert "kept out" in caplog.text


def test_a_checkpoint_tells_the_sizes(lab, trade):
    lab.land(market(trade))
    (report,) = archive(lab, Order(OrderKind.CHECKPOINT))
    assert report.outcome is Outcome.DONE
    assert report.detail["wal_bytes_before"] > report.detail["wal_bytes"] == 0


def test_a_checkpoint_waits_for_other_writers_and_then_gives_up(lab, monkeypatch):
    monkeypatch.setattr("pipeline.store.archiving._ATTEMPTS", 3)
    other = lab.warehouse.connection.cursor()
    other.execute("BEGIN")
    other.execute("CREATE TABLE another (number INTEGER)")
    place_orders(lab.warehouse, [Order(OrderKind.CHECKPOINT)], run="test")
    (report,) = carry_out(lab.warehouse, lab.profile)
    assert report.outcome is Outcome.FAILED
    assert "being written" in report.detail["error"]
    other.execute("ROLLBACK")


@pytest.mark.parametrize("bad", [Order(OrderKind.ARCHIVE, "gaps", "BTCUSDT", DAYS[0]), Order(OrderKind.ARCHIVE, "ticks", None, DAYS[0])])
def test_an_order_that_means_nothing_fails_alone(lab, trade, bad):
    lab.land(market(trade))
    outcomes = [report.outcome for report in archive(lab, bad, Order(OrderKind.ARCHIVE, "ticks", "BTCUSDT", DAYS[0]))]
    assert sorted(outcomes) == ["done", "failed"]


STEP = st.one_of(
    st.tuples(st.just("land"), st.integers(1, 60)),
    st.tuples(st.just("archive"), st.sampled_from(DAYS), st.sampled_from(DATASETS), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.randoms(use_true_random=False), steps=st.lists(STEP, min_size=3, max_size=12))
def test_archiving_at_any_moment_changes_nothing(make_lab, trade, order, steps):
    lines = market(trade, per_day=12)
    trades, quotes = lines[::2], lines[1::2]
    order.shuffle(trades)  # every trade may be late; quotes are landed in their order, and some of them twice
    lines = [line for both in zip(trades, quotes, strict=True) for line in both]
    lines += order.sample(lines, 20)
    lab, never = make_lab(), make_lab()
    at = 0
    for step in [*steps, ("land", len(lines))]:
        match step:
            case ("land", count):
                for one in (lab, never):
                    if lines[at : at + count]:
                        one.land(lines[at : at + count])
                at += count
            case ("archive", day, dataset, symbol):
                archive(lab, Order(OrderKind.ARCHIVE, dataset, symbol, day))
            case _:
                lab.restart()
    same(lab, never)
