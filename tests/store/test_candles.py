"""Bars added up into candles equal the same sums made by polars, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model.timeframe import Timeframe
from pipeline.store import open_local
from pipeline.store.candles import bar_ends, load_candles

T0 = datetime(2026, 3, 1, 23, 40, tzinfo=UTC)
SECOND, MINUTE = Timeframe.parse("1s"), Timeframe.parse("1m")
EXACT = ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"]
SCHEMA = {
    "ts": pl.Datetime("us", "UTC"),
    **dict.fromkeys(["open", "high", "low", "close"], pl.Decimal(18, 8)),
    "volume": pl.Decimal(38, 8),
    "quote_volume": pl.Decimal(38, 16),
    "trades": pl.Int64,
    "taker_buy_volume": pl.Decimal(38, 8),
    "complete": pl.Boolean,
    "kline": pl.Boolean,
}
COUNTS = ["trades", "bars", "complete_bars", "kline_bars"]

price = st.integers(1, 10**14).map(lambda n: Decimal(n) / 10**8)
amount = st.integers(0, 10**16).map(lambda n: Decimal(n) / 10**8)
bar = st.tuples(price, price, price, price, amount, amount, st.integers(1, 10**6), amount)
bars = st.dictionaries(st.integers(0, 4_000), bar, max_size=60)


@pytest.fixture
def warehouse(profile):
    with open_local(profile) as opened:
        opened.connection.execute("INSERT INTO timeframes VALUES ('1s', 1), ('1m', 60)")
        opened.connection.execute("INSERT INTO resample_cursors VALUES ('1m', 0)")
        yield opened


def fill(warehouse, rows: dict[int, tuple], *, klines: bool, passed: int) -> pl.DataFrame:
    """Bars at seconds (or minutes) after T0, journal time at ``passed`` of them; as a frame too."""
    connection = warehouse.connection
    unit = timedelta(minutes=1) if klines else timedelta(seconds=1)
    connection.execute("DELETE FROM bars_1s_recent; DELETE FROM klines; DELETE FROM journal_clock")
    connection.execute("INSERT INTO journal_clock VALUES (?, 1, 0, false, now())", [T0 + passed * unit])
    made = [(T0 + at * unit, *values, klines or at < passed, klines) for at, values in sorted(rows.items(), reverse=True)]
    frame = pl.DataFrame(made, schema=SCHEMA, orient="row")
    held = frame.to_arrow()
    connection.register("held", held)
    columns = ", ".join(name for name in SCHEMA if name not in ("complete", "kline"))
    if klines:
        connection.execute(
            f"INSERT INTO klines BY NAME SELECT 'A' AS symbol, '1m' AS timeframe, {columns}, true AS closed, now() AS fetched_at FROM held"
        )
    else:
        connection.execute(
            f"INSERT INTO bars_1s_recent BY NAME SELECT 'A' AS symbol, {columns}, 0 AS first_id, 0 AS last_id, 0 AS revision FROM held"
        )
    connection.unregister("held")
    return frame


def added_up(frame: pl.DataFrame, step_s: int, passed: datetime) -> pl.DataFrame:
    step = step_s * 1_000_000
    return (
        frame.sort("ts")
        .group_by((pl.col("ts").dt.epoch("us") // step * step).cast(pl.Datetime("us", "UTC")).alias("opened"), maintain_order=True)
        .agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
            *(pl.col(name).sum() for name in ("volume", "quote_volume", "taker_buy_volume", "trades")),
            bars=pl.len(), complete_bars=pl.col("complete").sum(), kline_bars=pl.col("kline").sum(),
        )
        .rename({"opened": "ts"})
        .with_columns(complete=(pl.col("complete_bars") == pl.col("bars")) & (pl.col("ts") + timedelta(seconds=step_s) <= passed))
    )  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=bars, step=st.sampled_from([1, 5, 60, 300, 3_600, 86_400]), passed=st.integers(0, 4_100))
def test_seconds_added_up_are_what_polars_makes_of_them(warehouse, rows, step, passed):
    frame = fill(warehouse, rows, klines=False, passed=passed)
    got = load_candles(warehouse, "A", SECOND, step_s=step, start=T0, end=T0 + timedelta(days=2))
    compare(got, added_up(frame, step, T0 + timedelta(seconds=passed)))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=bars, step=st.sampled_from([60, 900, 86_400, 864_000]), passed=st.integers(0, 4_100))
def test_the_exchanges_minutes_too(warehouse, rows, step, passed):
    frame = fill(warehouse, rows, klines=True, passed=passed)
    got = load_candles(warehouse, "A", MINUTE, step_s=step, start=T0 - timedelta(days=1), end=T0 + timedelta(days=5))
    compare(got, added_up(frame, step, T0 + timedelta(minutes=passed)))


def compare(got: pl.DataFrame, want: pl.DataFrame) -> None:
    assert got["ts"].to_list() == want["ts"].to_list()
    for name in [*EXACT, *COUNTS, "complete"]:
        assert got[name].to_list() == want[name].to_list(), name
    vwap = [float(quote) / float(volume) if volume else None for quote, volume in zip(want["quote_volume"], want["volume"], strict=True)]
    assert got["vwap"].to_list() == [None if value is None else pytest.approx(value, rel=1e-14) for value in vwap]


def test_an_open_gap_makes_its_candle_incomplete_and_the_bounds_are_kept(warehouse):
    one = (Decimal(5), Decimal(6), Decimal(4), Decimal(5), Decimal(1), Decimal(5), 1, Decimal(0))
    fill(warehouse, dict.fromkeys(range(0, 600, 10), one), klines=False, passed=1_000)
    gap = [T0 + timedelta(seconds=130), T0 + timedelta(seconds=140), T0]
    warehouse.connection.execute("INSERT INTO gaps VALUES ('g', 'A', 5, 6, ?, ?, ?, 'open', NULL, '')", gap)
    got = load_candles(warehouse, "A", SECOND, step_s=120, start=T0 + timedelta(seconds=120), end=T0 + timedelta(seconds=360))
    assert got["ts"].to_list() == [T0 + timedelta(seconds=120), T0 + timedelta(seconds=240)]
    assert got["complete"].to_list() == [False, True]
    assert got["bars"].to_list() == [12, 12]
    assert got["complete_bars"].to_list() == [10, 12]


def test_the_ends_are_those_of_every_source(warehouse):
    assert bar_ends(warehouse, "A", MINUTE) is None
    one = (Decimal(5), Decimal(6), Decimal(4), Decimal(5), Decimal(1), Decimal(5), 1, Decimal(0))
    fill(warehouse, {70: one, 200: one}, klines=False, passed=300)
    assert bar_ends(warehouse, "A", SECOND) == (T0 + timedelta(seconds=70), T0 + timedelta(seconds=200))
    assert bar_ends(warehouse, "A", MINUTE) == (T0 + timedelta(minutes=1), T0 + timedelta(minutes=3))
    warehouse.connection.execute(
        "INSERT INTO klines VALUES ('A', '1m', ?, 1, 1, 1, 1, 1, 1, 1, 1, true, now())", [T0 - timedelta(days=400)]
    )
    assert bar_ends(warehouse, "A", MINUTE) == (T0 - timedelta(days=400), T0 + timedelta(minutes=3))
    assert bar_ends(warehouse, "B", MINUTE) is None
