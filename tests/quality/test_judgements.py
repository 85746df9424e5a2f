"""Each judgement on values made by hand: what passes, what does not, and what is said."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import (
    COMPARED,
    Bars,
    Difference,
    LiveFit,
    State,
    judge_clock,
    judge_duplicates,
    judge_freshness,
    judge_gaps,
    judge_klines,
    judge_model,
    judge_ohlc,
    judge_outliers,
    outlying,
)
from pipeline.quality.outliers import NEIGHBOURS

START_US = 1_772_445_600_000_000


def bars_of(closes, *, spread=0.0001):
    """Bars that open at the close before and reach a little beyond both."""
    close = np.asarray(closes, float)
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * (1 + spread), np.minimum(opened, close) * (1 - spread)
    one = np.ones(close.size)
    ts = START_US + np.arange(close.size) * 1_000_000
    return Bars(ts, opened, high, low, close, one * 2, one, (high + low) / 2)


def walk(count, *, seed=3, sd=0.0003, start=60_000.0):
    return start * np.exp(np.cumsum(np.random.default_rng(seed).standard_t(3, count) * sd))


def changed(bars, name, at, value):
    column = getattr(bars, name).copy()
    column[at] = value
    return replace(bars, **{name: column})


# ------------------------------------------------------------------ bars


def test_sound_bars_pass():
    found = judge_ohlc("BTCUSDT", "1m", bars_of(walk(300)))
    assert (found.state, found.value, found.blocking, found.detail) == (State.OK, 0.0, True, "")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("low", 1e9, "open is outside low and high"),
        ("high", 1.0, "open is outside low and high"),
        ("close", 1e9, "close is outside low and high"),
        ("open", 1e9, "open is outside low and high"),
        ("low", 0.0, "a price is not above zero"),
        ("close", math.nan, "a price is not above zero"),
        ("taker_buy_volume", 2.5, "taker_buy_volume is outside 0 and volume"),
        ("taker_buy_volume", -0.1, "taker_buy_volume is outside 0 and volume"),
        ("volume", math.nan, "taker_buy_volume is outside 0 and volume"),
        ("vwap", 1e9, "vwap is outside low and high"),
    ],
)
def test_every_broken_rule_is_found_and_named(name, value, rule):
    found = judge_ohlc("BTCUSDT", "1m", changed(bars_of(walk(300)), name, 7, value))
    assert (found.state, found.value) == (State.ERROR, 1.0)
    assert found.detail == f"1 of 300 bars, first at 2026-03-02 10:00:07 UTC: {rule}"


def test_a_bar_without_volume_has_no_vwap_and_breaks_nothing():
    bars = bars_of(walk(20))
    nothing = np.zeros(20)
    assert judge_ohlc("A", "1m", replace(bars, volume=nothing, taker_buy_volume=nothing, vwap=np.full(20, np.nan))).state is State.OK


def test_no_bars_are_unknown_with_a_reason():
    found = judge_ohlc("A", "1m", bars_of([]))
    assert (found.state, found.detail, found.value) == (State.UNKNOWN, "no bars yet", None)


# ------------------------------------------------------------------ outliers


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.00001, 0.002), st.integers(11, 400))
def test_heavy_tailed_walks_do_not_trip(seed, sd, count):
    assert judge_outliers("A", "1s", bars_of(walk(count, seed=seed, sd=sd)), may_block=True).state is State.OK


@settings(max_examples=40, deadline=None)
@given(st.integers(NEIGHBOURS, 180), st.floats(0.03, 0.5), st.booleans(), st.sampled_from(["high", "low", "close"]))
def test_a_planted_print_is_an_error_wherever_it_is(at, size, up, where):
    closes = walk(200)
    if where == "close":
        closes[at] *= 1 + size if up else 1 - size
        bars = bars_of(closes)
    else:
        bars = bars_of(closes)
        bars = changed(bars, where, at, bars.high[at] * (1 + size) if where == "high" else bars.low[at] * (1 - size))
    found = judge_outliers("BTCUSDT", "1s", bars, may_block=True)
    assert found.state is State.ERROR
    # A bar that opens at the bad close reaches as far as the one that closed there.
    assert int(np.nanargmax(outlying(bars))) in ({at, at + 1} if where == "close" else {at})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000), st.floats(0.02, 0.3), st.integers(1, 12), st.booleans())
def test_a_real_fast_move_does_not_trip(seed, size, seconds, back):
    """A fall that the market trades through, however fast, and one that comes all the way back."""
    path = np.zeros(200)
    step = np.log1p(-size) / seconds
    path[100 : 100 + seconds] = step
    if back:
        seconds_back = max(seconds, int(size / 0.009) + 1)  # at most 0.9 % a second
        path[100:] = 0
        path[100 : 100 + seconds_back] = np.log1p(-size) / seconds_back
        path[110 + seconds_back : 110 + 2 * seconds_back] = -np.log1p(-size) / seconds_back
        path = path[:200]
    closes = walk(200, seed=seed) * np.exp(np.cumsum(path))
    assert judge_outliers("A", "1s", bars_of(closes), may_block=True).state in (State.OK, State.WARN)


def test_two_bad_bars_beside_each_other_do_not_hide_each_other():
    closes = walk(60)
    closes[30:32] *= 1.2
    assert judge_outliers("A", "1s", bars_of(closes), may_block=True).state is State.ERROR


def test_smaller_ones_and_long_bars_only_warn():
    closes = walk(60, sd=0.00005)
    closes[30] *= 1.01
    assert judge_outliers("A", "1s", bars_of(closes), may_block=True).state is State.WARN
    closes[30] *= 1.2
    found = judge_outliers("A", "1m", bars_of(closes), may_block=False)
    assert (found.state, found.blocking) == (State.WARN, False)


def test_the_newest_bars_wait_for_neighbours():
    closes = walk(60)
    closes[-NEIGHBOURS] *= 1.2
    assert judge_outliers("A", "1s", bars_of(closes), may_block=True).state is State.OK
    assert np.isnan(outlying(bars_of(closes))[-NEIGHBOURS:]).all()


def test_a_price_that_never_moves_has_a_band_nevertheless():
    closes = np.full(60, 1.0)
    closes[20] = 1.004  # MAD is 0: a tick more is no outlier
    assert judge_outliers("A", "1s", bars_of(closes), may_block=True).state is State.OK


@pytest.mark.parametrize("count", [0, 1, 2 * NEIGHBOURS])
def test_too_few_bars_are_unknown(count):
    found = judge_outliers("A", "1s", bars_of(walk(count) if count else []), may_block=True)
    assert found.state is State.UNKNOWN
    assert found.detail == f"{count} bars, at least 11 are needed"


def test_impossible_prices_are_left_to_the_other_check():
    found = judge_outliers("A", "1s", changed(bars_of(walk(60)), "low", 3, -1.0), may_block=True)
    assert found.state is State.UNKNOWN


# ------------------------------------------------------------------ the exchange's candlesticks

ROW = (Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal(1000), Decimal(11000), Decimal(50), Decimal(400))


def difference(name, value):
    theirs = list(ROW)
    theirs[COMPARED.index(name)] = Decimal(value)
    return Difference(START_US, ROW, tuple(theirs))


@pytest.mark.parametrize("name", COMPARED)
def test_a_difference_in_any_column_is_found(name):
    found = judge_klines("BTCUSDT", "1m", 30, [difference(name, 8)])
    assert (found.state, found.value) == (State.ERROR, 1.0)
    assert f"1 of 30 bars differ, the one at 2026-03-02 10:00:00 UTC in {name}: ours " in found.detail
    assert found.detail.endswith("the exchange's 8")


def test_a_price_may_not_differ_at_all_and_an_amount_by_a_thousandth_warns():
    assert judge_klines("A", "1m", 30, [difference("high", "12.00000001")]).state is State.ERROR
    assert judge_klines("A", "1m", 30, [difference("volume", "1000.5")]).state is State.WARN
    assert judge_klines("A", "1m", 30, [difference("volume", "1002")]).state is State.ERROR


def test_the_gravest_difference_is_the_one_told():
    found = judge_klines("A", "1m", 30, [difference("volume", "1000.5"), difference("low", "8.5")])
    assert "in low: ours 9, the exchange's 8.5" in found.detail


def test_nothing_to_compare_is_unknown():
    assert judge_klines("A", "1m", 0, []).state is State.UNKNOWN
    assert judge_klines("A", "1m", 5, []).state is State.OK


# ------------------------------------------------------------------ the rest


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 100))
def test_every_landed_id_is_there_once_or_it_is_an_error(ticks, covered, repeated):
    found = judge_duplicates("A", ticks, covered, repeated)
    assert (found.state is State.OK) == (ticks == covered and not repeated)
    assert bool(found.detail) == (found.state is not State.OK)


def test_missing_and_repeated_rows_are_told_apart():
    assert judge_duplicates("A", 9, 10).detail == "1 trades are noted as landed and are not there"
    assert judge_duplicates("A", 12, 10).detail == "2 trades are there more than once"


@pytest.mark.parametrize(("lag", "state"), [(5, State.OK), (61, State.WARN), (601, State.ERROR), (None, State.UNKNOWN)])
def test_freshness(lag, state):
    found = judge_freshness("BTCUSDT", "1s", lag, warn_s=60, error_s=600, why_unknown="no trade yet")
    assert found.state is state
    assert bool(found.detail) == (state is not State.OK)


def test_freshness_without_an_error_level_only_warns():
    assert judge_freshness("A", "", 1e9, warn_s=60).state is State.WARN


def test_a_gap_that_is_being_repaired_is_no_warning():
    assert judge_gaps("A", 0, 0, 0.0, patience_s=900).state is State.OK
    assert judge_gaps("A", 1, 5, 30.0, patience_s=900).state is State.OK
    found = judge_gaps("A", 2, 50, 1_000.0, patience_s=900)
    assert (found.state, found.detail) == (State.WARN, "2 open, 50 ids missing, the oldest for 1000 s")


@pytest.mark.parametrize(
    ("offset", "state"), [(0, State.OK), (-900, State.OK), (-1_270, State.WARN), (6_000, State.ERROR), (None, State.UNKNOWN)]
)
def test_the_clock(offset, state):
    found = judge_clock(offset, lateness_ms=1_000, how="asked")
    assert found.state is state
    assert found.detail


def fits(*betas, r_squared=0.9):
    return [LiveFit(beta, r_squared) for beta in betas]


def test_a_calm_model_passes():
    betas = 2 + np.cumsum(np.random.default_rng(1).normal(0, 0.002, 40))
    found = judge_model("ETHUSDT/BTCUSDT", "1m", fits(*betas.tolist()))
    assert (found.state, found.value, found.blocking) == (State.OK, 0.9, False)


def test_a_jump_of_beta_is_told_from_its_usual_steps():
    betas = (2 + np.cumsum(np.random.default_rng(1).normal(0, 0.002, 40))).tolist()
    found = judge_model("A/B", "1m", fits(*betas, betas[-1] * 1.4))
    assert found.state is State.WARN
    assert "beta went from" in found.detail
    wild = (2 + np.random.default_rng(1).normal(0, 0.3, 40)).tolist()  # here it is usual
    assert judge_model("A/B", "1m", fits(*wild, wild[-1] * 1.4)).state is State.OK


def test_a_jump_without_history_has_to_be_large():
    assert judge_model("A/B", "1m", fits(2.0, 2.8)).state is State.OK
    assert judge_model("A/B", "1m", fits(2.0, 3.2)).state is State.WARN


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([], State.UNKNOWN),
        ([LiveFit(None, 0.9)], State.ERROR),
        ([LiveFit(math.nan, 0.9)], State.ERROR),
        ([LiveFit(2.0, None)], State.WARN),
        ([LiveFit(2.0, math.nan)], State.WARN),
        ([LiveFit(2.0, 0.3)], State.WARN),
        ([LiveFit(2.0, 0.9)], State.OK),
    ],
)
def test_models_that_say_little(found, state):
    finding = judge_model("A/B", "1m", found)
    assert finding.state is state
    assert bool(finding.detail) == (state is not State.OK)
