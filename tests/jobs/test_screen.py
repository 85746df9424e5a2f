from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import TooShort, UsageError
from pipeline.jobs.resample import resample
from pipeline.jobs.screen import default_timeframe, keep_screen, screen, try_screen
from pipeline.model.timeframe import Timeframe
from pipeline.settings import Settings
from pipeline.store.partitions import load_partitions
from pipeline.store.screens import list_screens, load_screen, newest_screen, screened_pairs

NOW = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")


def test_every_ordered_pair_is_tested_and_ranked(warehouse):
    resample(warehouse, (MINUTE,))
    found = screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110)
    assert found.height == 2
    assert found["outcome"].to_list() == ["tested", "tested"]
    assert found["p_value"].is_sorted()
    assert (found["q_value"] >= found["p_value"]).all()
    assert screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110, both_directions=False).height == 1


def test_thin_legs_are_told_and_left_out(warehouse):
    resample(warehouse, (MINUTE,))
    volumes = warehouse.select(
        "SELECT symbol, median(CAST(quote_volume AS DOUBLE)) AS v FROM (SELECT * FROM bars WHERE timeframe = '1m' AND complete"
        " QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) <= 110) GROUP BY symbol"
    )
    found = screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110)
    assert found["liquidity"].to_list() == pytest.approx([volumes["v"].min()] * 2)
    assert found.select("hurst", "crossings", "correlation").null_count().row(0) == (0, 0, 0)
    thin = screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110, least_volume=1.001 * volumes["v"].min())
    assert thin["outcome"].to_list() == ["illiquid"] * 2
    assert thin["p_value"].null_count() == 2


def test_symbols_without_bars_are_refused_plainly(warehouse):
    with pytest.raises(TooShort, match="1 of 2 symbols have complete 1m bars"):
        screen(warehouse, ["ETHUSDT", "NOPEUSDT"], MINUTE)
    with pytest.raises(UsageError, match="at least two different symbols"):
        screen(warehouse, ["ETHUSDT", "ETHUSDT"], MINUTE)


def kept(warehouse, *, now=NOW, **options):
    return keep_screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, now=now, run="test", **{"keep": 10, "lookback": 110, **options})


def test_a_screen_is_kept_once_for_the_same_bars(warehouse):
    resample(warehouse, (MINUTE,))
    first = kept(warehouse)
    again = kept(warehouse, now=NOW + timedelta(hours=1))
    assert (first.written, again.written) == (True, False)
    assert again.window.screen_id == first.window.screen_id
    rows = load_screen(warehouse, first.window.screen_id)
    assert rows.select(first.rows.columns).equals(first.rows.sort("rank"))
    assert rows.height == warehouse.select("SELECT count(*) AS n FROM screens").item() == 2
    assert rows["rank"].to_list() == [1, 2]
    assert rows["made_at"].unique().to_list() == [NOW]
    assert set(rows["tests"]) == {2}
    assert (rows["window_end"][0] - rows["window_start"][0]) == timedelta(minutes=110)
    (entry,) = load_partitions(warehouse, asset="screens").to_dicts()
    assert entry["partition"].startswith("1m/2026-03-02T")
    assert (entry["complete"], entry["rows"], entry["revision"], entry["fingerprint"]) == (True, 2, 0, first.window.screen_id)
    assert entry["inputs"] == ["bars/ETHUSDT/1m/2026-03-02", "bars/BTCUSDT/1m/2026-03-02"]


def test_a_screen_that_is_only_tried_is_what_would_be_kept_and_keeps_nothing(warehouse):
    resample(warehouse, (MINUTE,))
    assert newest_screen(warehouse) is None
    tried = try_screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, now=NOW, lookback=110)
    assert newest_screen(warehouse) is None
    assert load_partitions(warehouse, asset="screens").is_empty()
    made = kept(warehouse)
    assert tried.rows.equals(made.rows)
    assert (tried.written, made.written) == (False, True)
    assert newest_screen(warehouse) == (2, NOW)
    assert list_screens(warehouse, level=1.0).select("symbols", "tests", "pairs", "found").rows() == [(2, 2, 2, 2)]


def test_another_request_or_other_bars_are_another_screen(warehouse, more_trades):
    resample(warehouse, (MINUTE,))
    first = kept(warehouse)
    one_way = kept(warehouse, both_directions=False)
    assert one_way.window.screen_id != first.window.screen_id
    assert one_way.rows.height == 1
    more_trades("BTCUSDT", [(3_600, "59000.00")], commit=2, first_id=1_000_000)  # a late trade in the middle
    resample(warehouse, (MINUTE,))
    restated = kept(warehouse)
    assert restated.written
    assert restated.window.screen_id != first.window.screen_id
    by_request = {entry["partition"]: entry["revision"] for entry in load_partitions(warehouse, asset="screens").to_dicts()}
    assert sorted(by_request.values()) == [0, 1]  # the same window made again with other content, and the other request as it was
    newest = screened_pairs(warehouse, MINUTE, until=NOW)
    assert set(newest.filter(y="BTCUSDT")["screen_id"]) <= {restated.window.screen_id, first.window.screen_id}
    assert screened_pairs(warehouse, MINUTE, until=newest["window_start"].min()).is_empty()


def test_old_screens_go_with_their_entries_in_the_ledger(warehouse):
    resample(warehouse, (MINUTE,))
    ids = [kept(warehouse, lookback=lookback, now=NOW + timedelta(minutes=lookback), keep=2).window.screen_id for lookback in (70, 80, 90)]
    assert list_screens(warehouse)["screen_id"].to_list() == [ids[2], ids[1]]
    assert set(load_partitions(warehouse, asset="screens")["fingerprint"]) == {ids[1], ids[2]}


def test_a_lookback_out_of_bounds_is_refused(warehouse):
    with pytest.raises(UsageError, match="lookback is 10 bars; expected 60 to 100000"):
        screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=10)


def test_the_usual_timeframe_is_a_minute_or_what_comes_nearest():
    assert default_timeframe(Settings()).name == "1m"
    assert default_timeframe(Settings(timeframes="15s,5m")).name == "5m"
    assert default_timeframe(Settings(timeframes="15s")).name == "15s"
