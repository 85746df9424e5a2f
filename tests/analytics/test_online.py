"""Online twins equal their batch functions after every prefix."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import (
    OnlineCorrelation,
    OnlineEw,
    OnlineKalman,
    OnlineMoments,
    OnlineOls,
    OnlineZScore,
    ew_moments,
    hedge_ratio,
    kalman_hedge_ratio,
    rolling_correlation,
    rolling_zscore,
)
from pipeline.errors import AnalyticsError, NotFinite, TooShort, UsageError

SCENES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 120),
    st.sampled_from([(0.0, 1.0), (60_000.0, 0.01), (1e8, 1.0)]),
)


def series(scene, k=1):
    seed, n, (level, unit) = scene
    rng = np.random.default_rng(seed)
    return level + unit * np.round(rng.normal(size=(k, n)).cumsum(axis=1), 2)


@settings(max_examples=40, deadline=None)
@given(SCENES)
def test_moments(scene):
    (s,) = series(scene)
    twin = OnlineMoments()
    assert math.isnan(twin.value.mean)
    for stop in range(1, s.size + 1):
        twin.update(s[stop - 1])
        assert twin.value.n == stop
        assert twin.value.mean == pytest.approx(s[:stop].mean(), rel=1e-12)
        if stop > 1:
            assert twin.value.variance == pytest.approx(np.var(s[:stop] - s[0], ddof=1), rel=1e-9, abs=1e-18)


@settings(max_examples=40, deadline=None)
@given(SCENES, st.integers(3, 30))
def test_zscore(scene, window):
    (s,) = series(scene)
    s[s.size // 2 :: 17] = s[0]
    twin, batch = OnlineZScore(window), rolling_zscore(s, window)
    for value, expected in zip(s, batch, strict=True):
        twin.update(value)
        assert twin.value == pytest.approx(expected, rel=1e-8, abs=1e-8, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(SCENES, st.integers(3, 30))
def test_correlation(scene, window):
    a, b = series(scene, 2)
    twin, batch = OnlineCorrelation(window), rolling_correlation(a, b, window)
    for u, v, expected in zip(a, b, batch, strict=True):
        twin.update(u, v)
        assert twin.value == pytest.approx(expected, abs=1e-8, nan_ok=True)


def test_windows_with_nan_and_constants_are_nan_just_as_long_as_in_batch():
    s = np.random.default_rng(1).normal(size=60)
    s[[11, 30]] = np.nan
    s[40:50] = 0.1
    other = np.random.default_rng(2).normal(size=60)
    z, r = OnlineZScore(7), OnlineCorrelation(7)
    for value, second, z_batch, r_batch in zip(s, other, rolling_zscore(s, 7), rolling_correlation(s, other, 7), strict=True):
        z.update(value)
        r.update(value, second)
        assert z.value == pytest.approx(z_batch, rel=1e-9, nan_ok=True)
        assert r.value == pytest.approx(r_batch, rel=1e-9, nan_ok=True)


def test_an_outlier_leaves_no_trace():
    s = np.random.default_rng(3).normal(size=200)
    clean, spoiled = OnlineZScore(20), OnlineZScore(20)
    for t, value in enumerate(s):
        clean.update(value)
        spoiled.update(1e15 if t == 50 else value)
    assert spoiled.value == pytest.approx(clean.value, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(SCENES)
def test_ols(scene):
    x, y = series(scene, 2)
    twin = OnlineOls()
    for stop in range(1, x.size + 1):
        twin.update(y[stop - 1], x[stop - 1])
        try:
            expected = hedge_ratio(y[:stop], x[:stop])
        except AnalyticsError:
            assert twin.value is None
            continue
        got = twin.value
        assert (got.n, got.method) == (expected.n, expected.method)
        assert got.beta == pytest.approx(expected.beta, rel=1e-8, abs=1e-9)
        assert got.alpha == pytest.approx(expected.alpha, rel=1e-8, abs=1e-8)
        assert got.r_squared == pytest.approx(expected.r_squared, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(SCENES)
def test_kalman(scene):
    x, y = series(scene, 2)
    batch = kalman_hedge_ratio(y, x, delta=1e-3, observation_var=0.1) if x.size > 1 else None
    twin = OnlineKalman(delta=1e-3, observation_var=0.1)
    assert twin.value is None
    for t in range(x.size):
        twin.update(y[t], x[t])
        if batch is not None:
            step = twin.value
            expected = (batch.beta[t], batch.alpha[t], batch.innovation[t], batch.innovation_sd[t])
            assert (step.beta, step.alpha, step.innovation, step.innovation_sd) == pytest.approx(
                expected, rel=1e-8, abs=1e-8 * abs(x[t]) + 1e-12
            )


@settings(max_examples=30, deadline=None)
@given(SCENES, st.floats(0.01, 0.9))
def test_ew_equals_batch_and_pandas(scene, alpha):
    (s,) = series(scene)
    batch, twin = ew_moments(s, alpha), OnlineEw(alpha)
    assert twin.value is None
    for t, value in enumerate(s):
        twin.update(value)
        expected = (batch.mean[t], batch.variance[t], batch.zscore[t])
        assert (twin.value.mean, twin.value.variance, twin.value.zscore) == pytest.approx(expected, rel=1e-10, nan_ok=True)
    peer = pd.Series(s - s[0]).ewm(alpha=alpha, adjust=False)
    np.testing.assert_allclose(batch.mean - s[0], peer.mean(), rtol=1e-8, atol=1e-7 * abs(s[0]) * 1e-8 + 1e-12)
    np.testing.assert_allclose(batch.variance, peer.var(bias=True), rtol=1e-6, atol=1e-12)
    moved = (batch.variance > 1e-12).nonzero()[0]
    z = (s - s[0] - peer.mean()) / peer.std(bias=True)
    np.testing.assert_allclose(batch.zscore[moved], z[moved], rtol=1e-6, atol=1e-6)


def test_a_refused_value_leaves_the_state_alone():
    twin = OnlineMoments()
    twin.update(1.0)
    for bad in (math.nan, math.inf):
        with pytest.raises(NotFinite):
            twin.update(bad)
        with pytest.raises(NotFinite):
            OnlineOls().update(1.0, bad)
        with pytest.raises(NotFinite):
            OnlineKalman().update(bad, 1.0)
        with pytest.raises(NotFinite):
            OnlineEw(0.1).update(bad)
    assert twin.value.n == 1


def test_parameters_are_checked():
    for make in (OnlineZScore, OnlineCorrelation):
        with pytest.raises(TooShort):
            make(2)
    with pytest.raises(UsageError, match="alpha"):
        OnlineEw(1.0)
    with pytest.raises(UsageError, match="delta"):
        OnlineKalman(delta=0.0)
