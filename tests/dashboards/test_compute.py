"""A pair computed on demand is what the pure functions say of the same bars, whatever the range, the method and the filter."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from dashboards.compute import compute
from dashboards.hub import Moment
from dashboards.order import KALMAN, METHODS, MOST_BARS, Order, address_of, parse_order
from dashboards.parts.statistics_table import download_query
from dashboards.statistics import MEANING, statistics
from dashboards.tables.pairs import PairTopic
from pipeline.analytics import (
    align,
    distribution,
    evidence,
    fit_kalman,
    fit_model,
    rolling_hedge_ratio,
    signal_series,
    threshold_marks,
)
from pipeline.errors import TooShort, UsageError
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.store.export import Format, write_frames
from pipeline.store.health import JournalClock

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")
N = 900
OLDER, LIVE = "0" * 31 + "1", "0" * 31 + "2"
SILENT = range(700, 703)
"""Bars that x does not have."""


def closes():
    rng = np.random.default_rng(8)
    x = 60_000 * np.exp(rng.normal(0, 4e-4, N).cumsum())
    return np.round(300 + 0.04 * x + rng.normal(0, 3, N), 2), np.round(x, 1)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A little market: a pair with two stored models and a screen, and a symbol that is the twin of another."""
    profile = create_profile(tmp_path_factory.mktemp("compute"), "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at=START.isoformat())
    y, x = closes()
    rows = []
    for symbol, legs in (("ETHUSDT", y), ("TWINUSDT", y), ("BTCUSDT", x)):
        for at, close in enumerate(legs):
            if symbol == "BTCUSDT" and at in SILENT:
                continue
            ts, volume = START + timedelta(minutes=at), 0.5 if at % 10 == 0 else 2.0
            rows.append((symbol, "1m", ts, close, close + 1, close - 1, close, volume, volume * close, 20, volume / 2, True, ts))
    end = START + timedelta(minutes=N)
    with open_local(profile) as warehouse:
        connection = warehouse.connection
        connection.register("bars_made", pl.DataFrame(rows, orient="row").to_arrow())
        connection.execute("INSERT INTO klines SELECT * FROM bars_made")
        connection.execute("INSERT INTO timeframes VALUES ('1m', 60)")
        connection.execute("INSERT INTO journal_clock VALUES (?, 1, 1000, false, ?)", [end + timedelta(minutes=1), end])
        for model_id, beta, ago in ((OLDER, 0.0391, 60), (LIVE, 0.0402, 1)):
            made = end - timedelta(minutes=ago)
            connection.execute(
                """INSERT INTO fits BY NAME SELECT ? AS model_id, 'ETHUSDT' AS y, 'BTCUSDT' AS x, '1m' AS timeframe, 500 AS lookback,
                   'ols' AS method, 'price' AS scale, ?::TIMESTAMPTZ AS fitted_at, ?::TIMESTAMPTZ AS window_start,
                   ?::TIMESTAMPTZ AS window_end, 500 AS n, 12.5 AS alpha, ? AS beta, 0.94 AS r_squared, -3.9 AS adf_stat,
                   0.002 AS adf_p, -3.71 AS eg_stat, 0.014 AS eg_p, 14.2 AS half_life, 0.41 AS hurst, 0.0 AS spread_mean,
                   1.0 AS spread_sd, '' AS notes""",
                [model_id, made, made - timedelta(minutes=500), made - timedelta(minutes=1), beta],
            )
            connection.execute("INSERT INTO activations VALUES (?, 'ETHUSDT', 'BTCUSDT', '1m', ?, ?)", [model_id, made, made])
        connection.execute(
            """INSERT INTO screens BY NAME SELECT 'abcdef0123456789' AS screen_id, ?::TIMESTAMPTZ AS made_at, '1m' AS timeframe,
               500 AS lookback, ?::TIMESTAMPTZ AS window_start, ?::TIMESTAMPTZ AS window_end, 6 AS symbols, 30 AS tests, 2 AS rank,
               'ETHUSDT' AS y, 'BTCUSDT' AS x, -3.7 AS statistic, 0.014 AS p_value, 0.041 AS q_value, 1 AS used_lag, 500 AS nobs,
               0.04 AS beta, 1.0 AS alpha, 14.0 AS half_life, 'tested' AS outcome""",
            [end, START, end],
        )
        yield warehouse


def order(**changes) -> Order:
    base = Order(
        pair=Pair("ETHUSDT", "BTCUSDT"),
        timeframe=MINUTE,
        lookback=400,
        zscore_window=20,
        correlation_window=30,
        max_fill=5,
        hedge_window=80,
    )
    return replace(base, **changes)


def aligned(least: float = 0.0):
    """The same bars, by hand."""
    y, x = closes()
    ts = np.array([round((START + timedelta(minutes=at)).timestamp() * 1e6) for at in range(N)])
    volume = np.array([0.5 if at % 10 == 0 else 2.0 for at in range(N)])
    has_x = np.array([at not in SILENT for at in range(N)])
    y_thick, x_thick = volume * y >= least, volume * x >= least
    return align(ts[y_thick], y[y_thick], ts[has_x & x_thick], x[has_x & x_thick], MINUTE.us, 5)


@pytest.mark.parametrize("method", [method for method in METHODS if method != KALMAN])
@pytest.mark.parametrize("scale", ["price", "log"])
def test_equals_direct_calls(warehouse, method, scale):
    study = compute(warehouse, order(method=method, scale=scale), now=START)
    legs = aligned()
    y, x = legs.y[-400:], legs.x[-400:]
    fit = fit_model(y, x, method=method, scale=scale)
    assert (study.line.beta, study.line.alpha, study.line.r_squared) == (fit.beta, fit.alpha, fit.r_squared)
    assert (study.line.half_life, study.line.n) == (fit.half_life, 400)
    tests = evidence(y, x, fit.beta, scale=scale)
    assert (study.evidence.engle_granger, study.evidence.adf, study.evidence.kpss) == (tests.engle_granger, tests.adf, tests.kpss)
    series = signal_series(legs.y, legs.x, fit.beta, scale=scale, zscore_window=20, correlation_window=30)
    for name in ("spread", "zscore", "correlation"):
        np.testing.assert_array_equal(getattr(study.series, name), getattr(series, name)[-400:])
    ys, xs = (np.log(legs.y), np.log(legs.x)) if scale == "log" else (legs.y, legs.x)
    rolling = rolling_hedge_ratio(ys, xs, 80, method="tls" if method == "tls" else "ols")
    np.testing.assert_allclose(study.series.rolling_beta, rolling.beta[-400:], rtol=1e-9)
    assert study.residuals.statistic == distribution(study.series.spread).statistic
    assert int(study.stretch.x_filled.sum()) == len(SILENT)


def test_the_drifting_hedge_ratio_and_what_is_not_said_of_it(warehouse):
    start, end = START + timedelta(minutes=300), START + timedelta(minutes=500)
    study = compute(warehouse, order(method=KALMAN, start=start, end=end), now=START)
    legs, lead = aligned(), study.order.lead
    part = slice(300 - lead, 500)
    direct = fit_kalman(legs.y[part], legs.x[part])
    for name in ("beta", "alpha", "spread", "zscore"):
        np.testing.assert_array_equal(getattr(study.series, name), getattr(direct, name)[lead:])
    assert np.isfinite(study.series.beta).all()
    assert (study.line.r_squared, study.line.half_life, study.evidence.adf, study.evidence.kpss) == (None, None, None, None)
    assert study.evidence.engle_granger is not None


def test_a_range_is_the_same_as_its_bars_being_the_newest(warehouse):
    newest = compute(warehouse, order(method=KALMAN), now=START)
    again = compute(warehouse, parse_order(download_query(newest, (2.0, 0.5)), Settings(correlation_window=30)), now=START)
    assert statistics(again, entry=2.0, leave=0.5).equals(statistics(newest, entry=2.0, leave=0.5))


def test_thin_bars_are_left_out_and_counted(warehouse):
    least = 3_000.0  # above the thin bars of y, under all of x
    study = compute(warehouse, order(least_volume=least), now=START)
    legs = aligned(least)
    np.testing.assert_array_equal(study.stretch.y, legs.y[-400:])
    np.testing.assert_array_equal(study.stretch.x, legs.x[-400:])
    assert study.legs.thin == (40, 0)
    assert study.order.least_volume == least


@pytest.mark.parametrize("form", list(Format))
def test_a_file_of_the_statistics_reopens_equal(warehouse, form):
    study = compute(warehouse, order(lookback=300), now=START)
    frame = statistics(study, entry=2.0, leave=0.5)
    assert frame.columns == list(MEANING)
    assert frame["position"].to_list() == threshold_marks(study.series.zscore, entry=2.0, leave=0.5).position.tolist()
    assert frame["x_quote_volume"].null_count() == len(SILENT)
    sink = io.BytesIO()
    assert write_frames([frame], form, sink) == 300
    sink.seek(0)
    if form is Format.PARQUET:
        got = pl.read_parquet(sink)
    else:
        got = pl.read_csv(sink) if form is Format.CSV else pl.DataFrame(json.load(sink), infer_schema_length=None)
        got = got.with_columns(pl.col("ts").str.to_datetime(time_zone="UTC", time_unit="us")).cast(dict(frame.schema))
    assert got.equals(frame)


def test_an_address_gives_the_same_order():
    asked = order(
        start=START, end=START + timedelta(hours=9), method="tls", scale="log", least_volume=1234.5, zscore_window=33, model_id="abc"
    )
    assert parse_order(address_of(asked), Settings(correlation_window=30)) == asked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": START}, "begin and an end"),
        ({"start": START, "end": START - timedelta(hours=1)}, "before it begins"),
        ({"start": START, "end": START + timedelta(minutes=29)}, "at least 30"),
        ({"start": START, "end": START + timedelta(minutes=MOST_BARS + 1)}, r"20,001 bars .* at most 20,000 .* shorten the range"),
        ({"lookback": 5_001, "method": "theil_sen"}, "Theil-Sen takes at most 5,000"),
        ({"zscore_window": 2}, "z window"),
        ({"least_volume": -1.0}, "0 or more"),
        ({"method": "lasso"}, "not known"),
        ({"model_id": "f" * 32}, "there is no model"),
    ],
)
def test_orders_that_are_refused(warehouse, changes, words):
    with pytest.raises(UsageError, match=words):
        compute(warehouse, order(**changes), now=START)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"pair": "ETHUSDT"}, "two different"),
        ({"from": "yesterday"}, "expected a time"),
        ({"from": "2026-03-01"}, "zone"),
        ({"least": "x"}, "number"),
    ],
)
def test_addresses_that_are_refused(query, words):
    with pytest.raises(UsageError, match=words):
        parse_order({"pair": "ETHUSDT/BTCUSDT", "timeframe": "1m", **query}, Settings())


def test_what_the_data_do_not_allow_is_said_of_the_leg_that_lacks(warehouse):
    late = START + timedelta(days=3)
    with pytest.raises(TooShort, match=r"ETHUSDT has no 1m bars .* no complete bar in this range"):
        compute(warehouse, order(start=late, end=late + timedelta(hours=2)), now=START)
    with pytest.raises(TooShort, match=r"20 common 1m bars .*ETHUSDT 20, BTCUSDT 20"):
        compute(warehouse, order(start=START + timedelta(minutes=N - 20), end=late), now=START)
    with pytest.raises(TooShort, match="every one is under the least volume"):
        compute(warehouse, order(least_volume=1e12), now=START)


def test_legs_that_are_the_same_line_are_computed_but_not_judged(warehouse):
    study = compute(warehouse, order(pair=Pair("TWINUSDT", "ETHUSDT")), now=START)
    assert study.line.beta == pytest.approx(1.0)
    assert study.evidence.johansen is None
    assert any("collinear" in note for note in study.evidence.notes)
    assert study.residuals is None


def test_the_live_model_is_drawn_over_the_newest_bars_with_its_own_tests_and_the_fits_before_it(warehouse):
    end = START + timedelta(minutes=N)
    moment = Moment(JournalClock(end + timedelta(minutes=1), 1, 1000, ended=False, committed_at=end), end)
    topic = PairTopic(order())
    now = topic.read(warehouse, moment, None)
    study = now.study
    assert (study.line.model_id, study.line.beta, study.line.half_life) == (LIVE, 0.0402, 14.2)
    assert (study.evidence.engle_granger.p_value, study.evidence.adf.p_value) == (0.014, 0.002)
    assert study.evidence.kpss is not None
    legs = aligned()
    series = signal_series(legs.y, legs.x, 0.0402, zscore_window=20, correlation_window=30)
    np.testing.assert_array_equal(study.series.zscore, series.zscore[-500:])
    assert now.moving.zscore == pytest.approx(series.zscore[-1], rel=1e-9)
    assert now.fits.beta.tolist() == [0.0391, 0.0402]
    assert (study.beside.screened.q_value, study.beside.screened.tests) == (0.041, 30)
    assert topic.read(warehouse, moment, now).study is study
    stored = parse_order(download_query(study, (2.0, 0.5)), Settings(correlation_window=30))
    np.testing.assert_array_equal(compute(warehouse, stored, now=START).series.zscore, study.series.zscore)
    assert topic.read(None, None, now) is now
