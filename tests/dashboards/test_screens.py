"""What is wanted of a screen, chosen and sorted; small ones by eye, one of 200 symbols for its time."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from time import process_time

import numpy as np
import polars as pl
import pytest

from dashboards.charts.heat_map import encode
from dashboards.tables.screens import SORTABLE, Wanted, arrange, left_out
from dashboards.views.screen_filter import ScreenFilter

_END = datetime(2026, 3, 2, tzinfo=UTC)


def made(symbols: int, seed: int = 5) -> pl.DataFrame:
    """Rows as the table has them: every ordered pair, some without a test."""
    rng = np.random.default_rng(seed)
    names = [f"S{at:03d}USDT" for at in range(symbols)]
    legs = [(y, x) for y in names for x in names if y != x]
    count = len(legs)
    p = np.sort(rng.uniform(size=count))
    rows = pl.DataFrame(
        {
            "rank": np.arange(1, count + 1),
            "y": [y for y, _ in legs],
            "x": [x for _, x in legs],
            "q_value": np.minimum(1.0, p * 1.5),
            "p_value": p,
            "statistic": -5 + 4 * p,
            "half_life": rng.uniform(1, 400, count),
            "beta": rng.normal(size=count),
            "hurst": rng.uniform(0, 1, count),
            "crossings": rng.integers(1, 300, count),
            "correlation": rng.uniform(-1, 1, count),
            "liquidity": rng.uniform(10, 1e6, count),
            "used_lag": rng.integers(0, 12, count),
            "outcome": np.where(np.arange(count) >= count - 4, "illiquid", "tested"),
            "window_start": [_END - timedelta(days=2)] * count,
            "window_end": [_END] * count,
        }
    )
    untested = pl.col("outcome") != "tested"
    return rows.with_columns(
        pl.when(untested).then(None).otherwise(pl.col(name)).alias(name) for name in ("q_value", "p_value", "half_life")
    )


def test_every_bound_bounds_what_it_says():
    rows = arrange("s", made(8)).rows
    found = Wanted(q_most=0.6, half_life_least=20, half_life_most=300, correlation_least=0.25, liquidity_least=5e4).choose(rows)
    assert 0 < found.height < rows.height
    assert found["q_value"].max() <= 0.6
    assert found["half_life"].is_between(20, 300).all()
    assert found["correlation"].abs().min() >= 0.25
    assert found["correlation"].min() < 0
    assert found["liquidity"].min() >= 5e4
    kept = rows.filter(
        (pl.col("q_value") <= 0.6)
        & pl.col("half_life").is_between(20, 300)
        & (pl.col("correlation").abs() >= 0.25)
        & (pl.col("liquidity") >= 5e4)
    )
    assert found.equals(kept.sort("rank"))


def test_symbols_are_found_in_either_leg_or_in_the_leg_that_is_meant():
    rows = arrange("s", made(6)).rows
    either = Wanted(find=("001",)).choose(rows)
    assert either.height == rows.filter((pl.col("y") == "S001USDT") | (pl.col("x") == "S001USDT"), outcome="tested").height
    both = Wanted(find=("001", "002")).choose(rows)
    assert set(both.select("y", "x").rows()) == {("S001USDT", "S002USDT"), ("S002USDT", "S001USDT")}
    assert Wanted(find=("001/002",)).choose(rows).select("y", "x").rows() == [("S001USDT", "S002USDT")]


def test_one_direction_is_the_better_ranked_of_two():
    rows = arrange("s", made(6)).rows.filter(outcome="tested")
    found = Wanted(one_direction=True).choose(rows)
    assert len({frozenset(legs) for legs in found.select("y", "x").rows()}) == found.height
    for row in found.iter_rows(named=True):
        other = rows.filter(y=row["x"], x=row["y"])
        assert other.is_empty() or row["rank"] < other["rank"].item()


def test_left_out_pairs_are_shown_apart_and_counted_by_reason():
    rows = arrange("s", made(6)).rows
    assert left_out(rows) == [("illiquid", 4)]
    assert Wanted(left_out=True).choose(rows)["outcome"].unique().to_list() == ["illiquid"]
    assert Wanted().choose(rows).height == rows.height - 4


@pytest.mark.parametrize("name", SORTABLE)
@pytest.mark.parametrize("descending", [False, True])
def test_every_column_sorts_both_ways_with_undefined_figures_last(name, descending):
    rows = arrange("s", made(6)).rows.with_columns(
        pl.when(pl.col("rank") == 7).then(None).otherwise(pl.col("half_life")).alias("half_life")
    )
    found = Wanted(sort=name, descending=descending).choose(rows)[name].to_list()
    known = [value for value in found if value is not None]
    assert known == sorted(known, reverse=descending)
    assert found[: len(known)] == known


def test_a_screen_of_two_hundred_symbols_is_arranged_and_sorted_within_a_blink():
    rows = made(200)
    assert rows.height == 39_800
    begun = process_time()
    screened = arrange("s", rows)
    arranged = process_time() - begun
    took = []
    for name in SORTABLE:
        begun = process_time()
        found = Wanted(q_most=0.9, find=("USDT",), one_direction=True, sort=name, descending=True).choose(screened.rows)
        took.append(process_time() - begun)
        assert 0 < found.height <= 19_900
    assert arranged < 5
    assert sorted(took)[len(took) // 2] < 1
    assert len(encode(screened.q_value)) < 110_000
    at = screened.symbols.index("S003USDT"), screened.symbols.index("S150USDT")
    row = rows.filter(y="S003USDT", x="S150USDT").row(0, named=True)
    assert screened.q_value[at] == row["q_value"]
    assert screened.p_value[at] == row["p_value"]
    assert screened.rows["crossings_per_day"].to_list() == (rows["crossings"] / 2).to_list()


def test_one_direction_alone_fills_both_halves_of_the_correlation_and_one_of_the_tests():
    rows = made(5).filter(pl.col("y") < pl.col("x"))
    screened = arrange("s", rows)
    off = ~np.eye(5, dtype=bool)
    assert np.isfinite(screened.correlation[off]).all()
    assert np.array_equal(screened.correlation[off], screened.correlation.T[off])
    assert np.isfinite(screened.q_value).sum() == rows["q_value"].count()


def test_values_travel_as_ten_thousandths_and_what_is_not_known_as_the_smallest():
    sent = np.frombuffer(base64.b64decode(encode(np.array([[np.nan, 0.12344], [-1.0, 1.0]]))), "<i2")
    assert sent.tolist() == [-32_768, 1_234, -10_000, 10_000]


def test_what_is_wanted_survives_the_address():
    heard = []
    first = ScreenFilter(lambda: heard.append(1))
    bounds = {"q": "0.1", "halflife_from": "5", "halflife_to": "200", "correlation": "0.5", "volume": "1000"}
    query = {**bounds, "find": "ETH/BTC,SOL", "one": "1", "sort": "-liquidity"}
    first.take(query)
    assert first.wanted == Wanted(0.1, 5, 200, 0.5, 1_000, ("ETH/BTC", "SOL"), True, False, "liquidity", True)
    assert {name: text for name, text in first.state().items() if text} == query
    first.take({"q": "none", "sort": "rank; drop", "correlation": "7", "find": "<b>"})
    assert first.wanted == Wanted(find=("B",))
    assert heard == [1, 1]


def test_a_head_sorts_then_turns_then_lets_go():
    one = ScreenFilter(lambda: None)
    orders = []
    for name in ("q_value", "q_value", "q_value", "liquidity", "liquidity", "liquidity", "nothing"):
        one.sort(name)
        orders.append(one.order)
    assert orders == ["q_value", "-q_value", "rank", "-liquidity", "liquidity", "rank", "rank"]
