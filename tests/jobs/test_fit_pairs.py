from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline.analytics import fit_model
from pipeline.errors import UsageError
from pipeline.jobs.choice import chosen_pairs, chosen_timeframes, published_universe
from pipeline.jobs.fit_pairs import fit_pair, fit_pairs, model_specs
from pipeline.jobs.resample import resample
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.settings import Settings
from pipeline.store.models import load_models, newest_models

PAIR = Pair("ETHUSDT", "BTCUSDT")
MINUTE, FIVE = Timeframe.parse("1m"), Timeframe.parse("5m")
NOW = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)


def fitted(warehouse, profile, *, methods=("ols", "huber", "theil_sen"), lookback=None, timeframes=(MINUTE, FIVE), now=NOW):
    specs = model_specs(published_universe(profile).pairs, timeframes, methods, lookback)
    return fit_pairs(warehouse, specs, max_fill=5, significance=0.05, now=now)


def test_models_are_fitted_on_the_last_complete_bars_and_saved_once(warehouse, profile):
    resample(warehouse, (MINUTE, FIVE))
    first = fitted(warehouse, profile)
    minute = [found for found in first if found.spec.timeframe == MINUTE]
    assert [found.spec.method for found in minute] == ["ols", "huber", "theil_sen"]
    assert all(found.fit is not None and found.bars == 100 for found in minute)
    saved = newest_models(warehouse, [MINUTE, FIVE])
    assert saved.height == 3
    row = saved.filter(method="ols").row(0, named=True)
    closes = warehouse.select(
        "SELECT symbol, CAST(close AS DOUBLE) AS close FROM bars WHERE timeframe = '1m' AND complete ORDER BY symbol, ts"
    )
    y = closes.filter(symbol="ETHUSDT")["close"].to_numpy()[-100:]
    x = closes.filter(symbol="BTCUSDT")["close"].to_numpy()[-100:]
    expected = fit_model(y, x)
    assert row["beta"] == expected.beta == pytest.approx(np.polyfit(x, y, 1)[0])
    assert (row["eg_p"], row["spread_sd"], row["n"]) == (expected.eg_p, expected.spread_sd, 100)
    assert row["window_end"] == datetime(2026, 3, 2, 11, 58, tzinfo=UTC)  # 11:59 waits for late trades
    assert row["active_from"] is None

    again = fitted(warehouse, profile, now=NOW + timedelta(minutes=1))
    assert all(found.fit is None for found in again)
    assert {found.note for found in again if found.spec.timeframe == MINUTE} == {"no new bar"}
    assert newest_models(warehouse, [MINUTE, FIVE]).equals(saved)


def test_too_few_bars_are_a_note_and_not_a_failure(warehouse, profile):
    five = [found for found in fitted(warehouse, profile) if found.spec.timeframe == FIVE]
    assert {found.note for found in five} == {"23 complete bars of both legs, at least 60 are needed: wait, or backfill"}


def test_fewer_bars_than_the_lookback_are_fitted_and_counted(warehouse, profile):
    (found,) = [f for f in fitted(warehouse, profile, methods=("tls",), lookback=5_000, timeframes=(MINUTE,)) if f.spec.method == "tls"]
    assert found.fit.n == found.bars == 119


def test_the_primary_model_is_always_made(warehouse, profile):
    made = fitted(warehouse, profile, methods=("huber",), lookback=80, timeframes=(MINUTE,))
    assert [(found.spec.method, found.spec.lookback) for found in made] == [("ols", 100), ("huber", 80)]


def test_a_silent_leg_is_carried_forward_and_said(warehouse, profile):
    resample(warehouse, (MINUTE,))
    warehouse.connection.execute("DELETE FROM bars_resampled WHERE symbol = 'ETHUSDT' AND minute(ts) % 10 = 3")
    found = fit_pair(warehouse, PAIR, MINUTE, lookback=100)
    assert found.bars == 100
    assert found.note == "10 closes of ETHUSDT carried forward"
    assert newest_models(warehouse, [MINUTE]).is_empty()


def test_a_constant_leg_is_a_note(warehouse, profile):
    warehouse.connection.execute("UPDATE bars_1s_recent SET open = 5, high = 5, low = 5, close = 5 WHERE symbol = 'ETHUSDT'")
    found = fit_pair(warehouse, PAIR, MINUTE, lookback=100)
    assert found.fit is None
    assert "constant" in found.note


def test_old_fits_go_but_those_that_were_live_stay(warehouse, profile):
    for day in range(3):
        fitted(warehouse, profile, methods=(), lookback=None, timeframes=(MINUTE,), now=NOW)
        warehouse.connection.execute("UPDATE fits SET fitted_at = fitted_at - INTERVAL 8 DAY, window_end = window_end - INTERVAL 1 MINUTE")
        warehouse.connection.execute("UPDATE fits SET model_id = ? WHERE fitted_at >= ?", [f"old{day}", NOW - timedelta(days=9)])
        if day == 0:
            warehouse.connection.execute("INSERT INTO activations SELECT model_id, y, x, timeframe, fitted_at, fitted_at FROM fits")
    fitted(warehouse, profile, methods=(), timeframes=(MINUTE,))
    kept = load_models(warehouse, PAIR, MINUTE, start=NOW - timedelta(days=60), end=NOW + timedelta(days=1))
    assert len(kept) == 2
    assert kept["model_id"][0] == "old0"


def test_what_is_not_configured_is_refused_in_one_line(profile):
    settings = Settings()
    with pytest.raises(UsageError, match="timeframe '15s' is not made here; expected one of 1m, 5m"):
        chosen_timeframes(["15s"], settings, shortest_s=60)
    with pytest.raises(UsageError, match="pair SOLUSDT/BTCUSDT is not in the universe"):
        chosen_pairs(["SOLUSDT/BTCUSDT"], published_universe(profile))


def test_a_restated_bar_in_the_window_makes_a_new_model_and_one_before_it_does_not(warehouse, profile, more_trades):
    resample(warehouse, (MINUTE,))
    fitted(warehouse, profile, methods=("ols",), timeframes=(MINUTE,))
    more_trades("BTCUSDT", [(60, "59000.00")], commit=2, first_id=100_000)  # 10:01, before the last 100 bars
    resample(warehouse, (MINUTE,))
    assert [found.note for found in fitted(warehouse, profile, methods=("ols",), timeframes=(MINUTE,))] == ["no new bar"]
    more_trades("BTCUSDT", [(3_600, "59000.00")], commit=3, first_id=100_001)
    more_trades("BTCUSDT", [(3_659, "59000.00")], commit=3, first_id=100_002)  # the close of a bar in the window
    resample(warehouse, (MINUTE,))
    (again,) = fitted(warehouse, profile, methods=("ols",), timeframes=(MINUTE,), now=NOW + timedelta(minutes=1))
    assert again.fit is not None
    models = warehouse.select("SELECT window_end, beta FROM fits ORDER BY fitted_at")
    assert models["window_end"].n_unique() == 1  # the model of before stays what it was
    assert models["beta"].n_unique() == 2


def test_the_ledger_tells_a_models_bars(warehouse, profile):
    from pipeline.store.partitions import downstream, load_partitions

    resample(warehouse, (MINUTE,))
    fitted(warehouse, profile, methods=("ols",), timeframes=(MINUTE,))
    (row,) = load_partitions(warehouse, asset="models").iter_rows(named=True)
    assert (row["partition"], row["complete"], row["rows"], row["revision"]) == ("ETHUSDT/BTCUSDT/1m/ols/100/price", True, 100, 0)
    assert "models" in downstream(warehouse, "bars/BTCUSDT/1m/2026-03-02")["asset"].to_list()


def test_thin_bars_count_as_missing(warehouse):
    resample(warehouse, (MINUTE,))
    whole = fit_pair(warehouse, PAIR, MINUTE, lookback=100)
    volumes = warehouse.select("SELECT CAST(quote_volume AS DOUBLE) AS v FROM bars WHERE symbol = 'ETHUSDT' AND timeframe = '1m'")["v"]
    thin = fit_pair(warehouse, PAIR, MINUTE, lookback=100, least_volume=float(volumes.quantile(0.2)))
    assert whole.fit is not None
    assert thin.fit is not None
    assert "carried forward" in thin.note
    assert thin.model_id != whole.model_id
    assert fit_pair(warehouse, PAIR, MINUTE, lookback=100, least_volume=1e15).fit is None
