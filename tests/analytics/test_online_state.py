"""Online twins kept and restored, updated by the million, and after ten million values."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import numpy as np
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
    Snapshot,
    ew_moments,
    hedge_ratio,
    kalman_hedge_ratio,
    rolling_correlation,
    rolling_zscore,
)
from pipeline.errors import AnalyticsError, NotFinite, UsageError

ONE = {"moments": OnlineMoments, "zscore": lambda: OnlineZScore(7), "ew": lambda: OnlineEw(0.1)}
TWO = {
    "correlation": lambda: OnlineCorrelation(5),
    "ols": OnlineOls,
    "kalman": lambda: OnlineKalman(delta=1e-3, observation_var=0.1),
    "kalman without intercept": lambda: OnlineKalman(intercept=False),
}
TWINS = {**ONE, **TWO}
LEVELS = st.sampled_from([(0.0, 1.0), (60_000.0, 0.01), (1e8, 1.0)])


def columns(name, seed, n, scene=(60_000.0, 0.01)):
    level, unit = scene
    data = level + unit * np.round(np.random.default_rng(seed).normal(size=(2, n)).cumsum(axis=1), 2)
    return data[:1] if name in ONE else data


def feed(twin, data):
    for row in data.T.tolist():
        twin.update(*row)
    return twin


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 40), cut=st.integers(0, 40), scene=LEVELS)
def test_many_at_once_and_a_restored_twin_have_the_same_bits(name, seed, n, cut, scene):
    data = columns(name, seed, n, scene)
    whole = feed(TWINS[name](), data)
    in_two = feed(TWINS[name](), data[:, :cut])
    kept = in_two.snapshot()
    in_two.update_many(*data[:, cut:])
    assert in_two.snapshot() == whole.snapshot()
    assert repr(in_two.value) == repr(whole.value)
    restored = type(whole).restore(Snapshot.from_json(pickle.loads(pickle.dumps(kept)).to_json()))
    assert restored.snapshot() == kept
    feed(restored, data[:, cut:])
    assert restored.snapshot() == whole.snapshot()
    assert repr(restored.value) == repr(whole.value)


@pytest.mark.parametrize("name", TWINS)
def test_a_snapshot_is_frozen_and_plain_json_and_does_not_change_later(name):
    twin = feed(TWINS[name](), columns(name, 1, 20))
    kept = twin.snapshot()
    copy = Snapshot(kept.twin, tuple(kept.numbers))
    feed(twin, columns(name, 2, 20))
    assert kept == copy
    assert json.loads(kept.to_json())["twin"] == type(twin).__name__
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.twin = "other"


def test_snapshots_keep_what_is_not_finite():
    twin = feed(OnlineZScore(3), np.array([[1.0, math.nan, 2.0, math.inf]]))
    restored = OnlineZScore.restore(Snapshot.from_json(twin.snapshot().to_json()))
    for value in (1.0, 2.0, 4.0):
        twin.update(value)
        restored.update(value)
    assert restored.value == twin.value
    assert math.isfinite(twin.value)


def test_what_is_no_snapshot_is_refused():
    with pytest.raises(UsageError, match="expected one of OnlineEw"):
        OnlineEw.restore(OnlineMoments().snapshot())
    for twin in ("OnlineMoments", "OnlineOls", "OnlineKalman", "OnlineEw", "OnlineZScore", "OnlineCorrelation"):
        make = {type(make()).__name__: type(make()) for make in TWINS.values()}[twin]
        with pytest.raises(UsageError):
            make.restore(Snapshot(twin, ()))
    with pytest.raises(UsageError):
        OnlineKalman.restore(Snapshot("OnlineKalman", (1.0,) * 5))
    for text in ("", "{}", '{"twin": "OnlineEw", "numbers": [1]}', "[]"):
        with pytest.raises(UsageError, match="no snapshot"):
            Snapshot.from_json(text)


@pytest.mark.parametrize("name", ["moments", "ew", "ols", "kalman"])
def test_refused_values_leave_the_state_alone(name):
    data = columns(name, 3, 10)
    twin = feed(TWINS[name](), data)
    before = twin.snapshot()
    bad = data.copy()
    bad[0, 7] = math.nan
    with pytest.raises(NotFinite, match="position 7"):
        twin.update_many(*bad)
    if name in TWO:
        with pytest.raises(AnalyticsError, match="same number"):
            twin.update_many(data[0], data[1, 1:])
    assert twin.snapshot() == before


# --- ten million --------------------------------------------------------------------------------

MANY = 10_000_000
STEP = 2.0**-7  # about a cent, exact in binary, so that sums of whole numbers are the oracle


@pytest.fixture(scope="module")
def cents():
    """Two series of whole numbers: one around zero, and one that follows it closely."""
    rng = np.random.default_rng(4)
    u = rng.integers(-300, 301, size=MANY, dtype=np.int32)
    return u, 2 * u + rng.integers(-3, 4, size=MANY, dtype=np.int32)


def centred(u, v):
    """n times the centred sum of products, exactly."""
    u, v = u.astype(np.int64), v.astype(np.int64)
    return u.size * int(u @ v) - int(u.sum()) * int(v.sum())


@pytest.mark.parametrize("level", [60_000.0, 1e8])
def test_ten_million_values(cents, level):
    u, v = cents
    x, y = level + STEP * u, level + STEP * v
    suu, svv, suv = centred(u, u), centred(v, v), centred(u, v)
    moments, line, ew = OnlineMoments(), OnlineOls(), OnlineEw(0.01)
    z, r = OnlineZScore(20), OnlineCorrelation(50)
    for part in (slice(0, 1_234_567), slice(1_234_567, MANY)):
        moments.update_many(x[part])
        line.update_many(y[part], x[part])
        ew.update_many(x[part])
        z.update_many(x[part])
        r.update_many(y[part], x[part])
    assert moments.value.n == MANY
    assert moments.value.mean == pytest.approx(level + STEP * int(u.astype(np.int64).sum()) / MANY, rel=1e-14)
    assert moments.value.variance == pytest.approx(STEP**2 * suu / MANY / (MANY - 1), rel=1e-10)
    fit = line.value
    assert fit.beta == pytest.approx(suv / suu, rel=1e-10)
    lost = (svv - suv * suv // suu) / MANY
    assert 1 - fit.r_squared == pytest.approx(lost / (svv / MANY), rel=1e-8)
    assert fit.beta_se == pytest.approx(math.sqrt(lost / (MANY - 2) / (suu / MANY)), rel=1e-8)
    recent = ew_moments(x[-20_000:], 0.01)  # what is older weighs e-87
    assert (ew.value.mean, ew.value.variance) == pytest.approx((recent.mean[-1], recent.variance[-1]), rel=1e-9)
    assert z.value == pytest.approx(rolling_zscore(x[-20:], 20)[-1], rel=1e-9)
    assert r.value == pytest.approx(rolling_correlation(y[-50:], x[-50:], 50)[-1], rel=1e-9)


@pytest.mark.parametrize("level", [60_000.0, 1e8])
def test_the_kalman_filter_after_ten_million_bars(cents, level):
    u, v = cents
    x, y = level + STEP * u, 2 * level + STEP * v
    options = {"delta": 1e-3 * STEP**2 / level**2, "observation_var": 4 * STEP**2}
    twin = OnlineKalman(**options)
    twin.update_many(y[:-50_000], x[:-50_000])
    kept = twin.snapshot()
    scores = []
    for a, b in zip(y[-50_000:].tolist(), x[-50_000:].tolist(), strict=True):
        twin.update(a, b)
        scores.append(twin.value.innovation / twin.value.innovation_sd)
    assert np.std(scores) == pytest.approx(1.0, abs=0.05)  # the noise is uniform on -3 .. 3 cents: variance 4
    assert twin.value.beta == pytest.approx(2.0, abs=0.05)
    again = OnlineKalman.restore(kept)
    again.update_many(y[-50_000:], x[-50_000:])
    assert again.snapshot() == twin.snapshot()


@pytest.mark.parametrize("level", [60_000.0, 1e8])
def test_the_kalman_filter_equals_one_in_wider_floats(cents, level):
    u, v = (part[:20_000] for part in cents)
    x, y = level + STEP * u, 2 * level + STEP * v
    drift, noise = np.longdouble(1e-3) * STEP**2 / np.longdouble(level) ** 2, np.longdouble(4 * STEP**2)
    got = kalman_hedge_ratio(y, x, delta=float(drift), observation_var=float(noise))
    drift = np.longdouble(float(drift)) / (1 - np.longdouble(float(drift)))
    beta = alpha = bb = ba = aa = np.longdouble(0)
    expected = []
    for a, b in zip(y.astype(np.longdouble), x.astype(np.longdouble), strict=True):
        bb, aa = (bb + drift, aa + drift) if expected else (bb, aa)
        to_beta, to_alpha = bb * b + ba, ba * b + aa
        variance, error = to_beta * b + to_alpha + noise, a - (beta * b + alpha)
        expected.append((beta, error, np.sqrt(variance)))
        beta, alpha = beta + to_beta / variance * error, alpha + to_alpha / variance * error
        bb, ba, aa = bb - to_beta**2 / variance, ba - to_beta * to_alpha / variance, aa - to_alpha**2 / variance
    beta, innovation, sd = np.array(expected).T.astype(float)
    np.testing.assert_allclose(got.beta, beta, rtol=1e-8)
    np.testing.assert_allclose(got.innovation_sd, sd, rtol=1e-8)
    np.testing.assert_allclose(
        got.innovation, innovation, atol=1e-14 * level
    )  # beta x is rounded at 2e-16 of the price, and beta remembers


# --- the twins that carry more than before ---------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 80), st.sampled_from([1.0, 1e-3, 1e-6]))
def test_ols_errors_equal_the_batch_after_every_prefix(seed, n, noise):
    rng = np.random.default_rng(seed)
    x = 100 + rng.normal(size=n).cumsum()
    y = 2.0 * x + noise * rng.normal(size=n)
    twin = OnlineOls()
    for stop in range(1, n + 1):
        twin.update(y[stop - 1], x[stop - 1])
        if stop < 4:
            continue
        batch, got = hedge_ratio(y[:stop], x[:stop]), twin.value
        expected = (batch.beta_se, batch.alpha_se, batch.beta_low, batch.beta_high)
        assert (got.beta_se, got.alpha_se, got.beta_low, got.beta_high) == pytest.approx(expected, rel=1e-8 if noise == 1.0 else 1e-6)


def test_ols_when_one_leg_stands_still_at_first():
    x = np.r_[np.full(5, 3.0), np.arange(10.0)]
    y = np.random.default_rng(5).normal(size=15)
    twin = feed(OnlineOls(), np.vstack((y, x)))
    batch = hedge_ratio(y, x)
    assert (twin.value.beta, twin.value.beta_se, twin.value.r_squared) == pytest.approx(
        (batch.beta, batch.beta_se, batch.r_squared), rel=1e-9
    )


def test_kalman_without_intercept_and_its_uncertainty():
    rng = np.random.default_rng(6)
    x = 5 + rng.normal(size=300)
    y = 2.0 * x + 0.1 * rng.normal(size=300)
    got = kalman_hedge_ratio(y, x, delta=1e-4, observation_var=0.01, intercept=False)
    beta, variance = 0.0, 0.0
    for t in range(300):
        variance += 1e-4 / (1 - 1e-4) if t else 0.0
        assert got.beta[t] == pytest.approx(beta, rel=1e-10)
        assert got.beta_sd[t] == pytest.approx(math.sqrt(variance), rel=1e-10)
        gain = variance * x[t] / (variance * x[t] ** 2 + 0.01)
        beta += gain * (y[t] - beta * x[t])
        variance -= gain * x[t] * variance
    assert not got.alpha.any()
    assert not got.alpha_sd.any()
    assert got.beta[-1] == pytest.approx(2.0, abs=5 * got.beta_sd[-1])
    assert (kalman_hedge_ratio(y, x).alpha_sd[1:] > 0).all()
