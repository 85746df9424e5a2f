from __future__ import annotations

from pipeline.jobs.resample import Resampled, resample
from pipeline.model.timeframe import Timeframe

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
    from pipeline.store.bars import resample_chunk, resample_due

    due = resample_due(warehouse, ALL[1])
    resample_chunk(warehouse, ALL[1], due.keys.head(50))
    resample(warehouse, ALL)
    interrupted = warehouse.select(WRITTEN)
    warehouse.connection.execute("DELETE FROM bars_resampled; DELETE FROM resample_cursors")
    resample(warehouse, ALL)
    assert interrupted.drop("revision").equals(warehouse.select(WRITTEN).drop("revision"))
