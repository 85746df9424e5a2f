from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from pipeline.jobs.resample import Resampled, resample
from pipeline.model.timeframe import Timeframe
from pipeline.store.partitions import Made, load_partitions, put_partitions

ALL = tuple(Timeframe.parse(name) for name in ("1s", "1m", "5m"))
WRITTEN = "SELECT * FROM bars_resampled ORDER BY timeframe, symbol, ts"


def test_everything_is_written_at_first_and_only_what_is_open_again(warehouse):
    assert resample(warehouse, ALL) == [Resampled("1m", 240, 2, 1), Resampled("5m", 48, 2, 1)]
    before = warehouse.select(WRITTEN)
    # Journal time has not passed the lateness after the last bar's end, so that bar is looked at again, and comes out the same.
    assert resample(warehouse, ALL) == [Resampled("1m", 2, 2, 1), Resampled("5m", 2, 2, 1)]
    assert warehouse.select(WRITTEN).equals(before)
    assert warehouse.select("SELECT count(*) AS n FROM bars_resampled WHERE NOT complete").item() == 4


def test_a_late_trade_restates_the_bars_it_touches_and_no_other(warehouse, more_trades):
    resample(warehouse, ALL)
    before = warehouse.select(WRITTEN)
    more_trades("BTCUSDT", [(90, "99999.00")], commit=2, first_id=100_000)
    resample(warehouse, ALL)
    after = warehouse.select(WRITTEN)
    changed = after.join(before, on=after.columns, how="anti", nulls_equal=True)
    assert changed.select("symbol", "timeframe", "revision").rows() == [("BTCUSDT", "1m", 1), ("BTCUSDT", "5m", 1)]
    assert after.height == before.height


def test_an_interrupted_run_is_made_good_by_the_next(warehouse):
    from pipeline.store.resampling import resample_chunk, resample_due

    due = resample_due(warehouse, ALL[1])
    resample_chunk(warehouse, ALL[1], due.keys.head(50))
    resample(warehouse, ALL)
    interrupted = warehouse.select(WRITTEN)
    warehouse.connection.execute("DELETE FROM bars_resampled; DELETE FROM resample_cursors")
    resample(warehouse, ALL)
    assert interrupted.drop("revision").equals(warehouse.select(WRITTEN).drop("revision"))


# ---------------------------------------------------------------------------------------------- the ledger of days


GAP = """
    INSERT INTO gaps
    VALUES ('{symbol}', '{symbol}', 5, 6, '2026-03-02 10:00:01+00', '2026-03-02 10:00:02+00', now(), '{state}', NULL, NULL)
"""


@pytest.fixture
def whole_day(warehouse):
    """The trades of the market are those of a day that is over, with one trade before it."""
    connection = warehouse.connection
    connection.execute("UPDATE journal_clock SET journal_time = '2026-03-03 00:00:02+00'")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        connection.execute("INSERT INTO coverage VALUES (?, 0, 7200)", [symbol])
    return warehouse


def ledger(warehouse):
    return load_partitions(warehouse).drop("fingerprint", "made_at", "first_ts", "last_ts", "day")


def test_a_day_that_goes_on_is_entered_and_not_complete(warehouse):
    resample(warehouse, ALL, run="one")
    found = ledger(warehouse).filter(symbol="BTCUSDT")
    assert found.select("asset", "partition", "rows", "complete", "run").rows() == [
        ("bars", "BTCUSDT/1m/2026-03-02", 120, False, "one"),
        ("bars", "BTCUSDT/1s/2026-03-02", 7200, False, "one"),
        ("bars", "BTCUSDT/5m/2026-03-02", 24, False, "one"),
        ("ticks", "BTCUSDT/2026-03-02", 7200, False, "one"),
    ]
    assert found["inputs"].to_list() == [["bars/BTCUSDT/1s/2026-03-02"], ["ticks/BTCUSDT/2026-03-02"], ["bars/BTCUSDT/1s/2026-03-02"], []]


def test_a_day_is_whole_when_it_is_over_and_no_trade_of_it_is_missing(whole_day):
    resample(whole_day, ALL)
    assert ledger(whole_day)["complete"].all()


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE journal_clock SET journal_time = '2026-03-02 23:59:59+00'",
        "UPDATE coverage SET first_id = 1",  # nobody knows what came before the first trade
        "UPDATE coverage SET last_id = 7000",
        GAP.format(symbol="BTCUSDT", state="unrecoverable") + "; " + GAP.format(symbol="ETHUSDT", state="open"),
    ],
)
def test_a_day_is_not_whole_while_anything_of_it_may_be_missing(whole_day, spoil):
    whole_day.connection.execute("UPDATE ticks_recent SET trade_id = trade_id + 1; " + spoil)
    resample(whole_day, ALL)
    assert not ledger(whole_day)["complete"].any()


def test_a_day_that_has_ended_quietly_becomes_whole_without_a_new_trade(whole_day):
    whole_day.connection.execute("UPDATE journal_clock SET journal_time = '2026-03-02 23:00:00+00'")
    resample(whole_day, ALL, run="before midnight")
    assert not ledger(whole_day)["complete"].any()
    whole_day.connection.execute("UPDATE journal_clock SET journal_time = '2026-03-03 00:00:02+00'")
    resample(whole_day, ALL, run="after midnight")
    assert ledger(whole_day).select("complete", "run", "revision").unique().rows() == [(True, "after midnight", 0)]
    before = load_partitions(whole_day)
    resample(whole_day, ALL, run="later")
    assert load_partitions(whole_day).equals(before)


def test_a_late_trade_restates_its_days_partitions_once_and_no_other(whole_day, more_trades):
    resample(whole_day, ALL)
    before = load_partitions(whole_day)
    more_trades("BTCUSDT", [(90, "99999.00")], commit=2, first_id=100_000)
    whole_day.connection.execute("UPDATE coverage SET last_id = 100000 WHERE symbol = 'BTCUSDT'")
    for _ in range(2):
        resample(whole_day, ALL, run="late")
    after = load_partitions(whole_day)
    assert after.filter(symbol="ETHUSDT").equals(before.filter(symbol="ETHUSDT"))
    changed = after.filter(symbol="BTCUSDT")
    assert changed.select("revision", "run", "complete").unique().rows() == [(1, "late", True)]


def test_a_settled_gap_makes_its_day_whole_in_the_next_run(whole_day):
    whole_day.connection.execute(GAP.format(symbol="BTCUSDT", state="open"))
    resample(whole_day, ALL)
    assert ledger(whole_day).group_by("symbol").agg(pl.col("complete").all()).sort("symbol")["complete"].to_list() == [False, True]
    whole_day.connection.execute("UPDATE gaps SET state = 'refilled', resolved_at = now() + INTERVAL 1 SECOND")
    whole_day.connection.execute(
        "INSERT INTO dirty_marks VALUES (2, 'BTCUSDT', '2026-03-02 10:00:01+00'); UPDATE journal_clock SET commit_no = 2"
    )
    resample(whole_day, ALL)
    assert ledger(whole_day)["complete"].all()


def test_a_day_that_a_backfill_has_fetched_is_whole_though_nothing_before_it_is_there(whole_day):
    whole_day.connection.execute("UPDATE coverage SET first_id = 1; UPDATE ticks_recent SET trade_id = trade_id + 1")
    whole_day.connection.execute("UPDATE coverage SET first_id = 2, last_id = 7201")
    resample(whole_day, ALL)
    assert not ledger(whole_day)["complete"].any()
    put_partitions(whole_day, [Made("trades", "BTCUSDT/2026-03-02", True, 7200, "f", "BTCUSDT", None, date(2026, 3, 2))], run="backfill")
    resample(whole_day, ALL)
    own = ledger(whole_day).filter(pl.col("asset") != "trades")
    assert own.filter(symbol="BTCUSDT")["complete"].all()
    assert not own.filter(symbol="ETHUSDT")["complete"].any()


def test_a_run_killed_before_its_cursor_moves_leaves_the_ledger_of_an_undisturbed_one(whole_day, monkeypatch):
    import pipeline.jobs.resample as job

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "resample_done", die)
        with pytest.raises(KeyboardInterrupt):
            resample(whole_day, ALL, run="killed")
    interrupted = load_partitions(whole_day)
    resample(whole_day, ALL, run="again")
    assert load_partitions(whole_day).equals(interrupted)
    assert interrupted["complete"].all()
