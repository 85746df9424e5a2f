"""Unpleasant input: every statistic answers, or refuses by a named error; nothing else, and no warning (warnings are errors)."""

from __future__ import annotations

import dataclasses
import math

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
    adf,
    beta_stability,
    crossings,
    distribution,
    engle_granger,
    engle_granger_both,
    fit_kalman,
    half_life,
    hedge_ratio,
    hurst,
    kalman_hedge_ratio,
    kpss,
    ornstein_uhlenbeck,
    rolling_hedge_ratio,
    rolling_spread,
    rolling_zscore,
    variance_ratio,
)
from pipeline.errors import AnalyticsError, Constant, NotFinite

SHAPES = {
    "noise": lambda rng, n: rng.normal(size=n),
    "walk": lambda rng, n: rng.normal(size=n).cumsum(),
    "ticks": lambda rng, n: np.round(rng.normal(size=n).cumsum()),
    "coin": lambda rng, n: rng.integers(0, 2, size=n).astype(float),
    "constant": lambda rng, n: np.full(n, 0.1),
    "line": lambda rng, n: np.arange(n, dtype=float),
    "one step": lambda rng, n: (np.arange(n) >= n // 2).astype(float),
    "one spike": lambda rng, n: (np.arange(n) == n - 1).astype(float),
    "explosion": lambda rng, n: 1.5 ** np.minimum(np.arange(n), 60),
    "zigzag": lambda rng, n: (-1.0) ** np.arange(n),
}
SERIES = st.tuples(
    st.sampled_from(sorted(SHAPES)),
    st.sampled_from([1.0, 1e-9, 0.01, 1e6]),  # unit
    st.sampled_from([0.0, 60_000.0, 1e8]),  # level
    st.sampled_from([False, False, False, True]),  # with a hole
)

OF_ONE = {
    "adf": adf,
    "kpss": kpss,
    "kpss ct": lambda s: kpss(s, trend="ct", lags="legacy"),
    "variance ratio": lambda s: variance_ratio(s, 3),
    "variance ratio, blocks": lambda s: variance_ratio(s, 3, trend="n", robust=False, overlap=False),
    "half-life": half_life,
    "hurst": hurst,
    "ou": ornstein_uhlenbeck,
    "crossings": lambda s: crossings(s, np.arange(len(s))),
    "distribution": distribution,
    "zscore": lambda s: rolling_zscore(s, 5),
}
OF_TWO = {
    **{
        f"{method}{'' if intercept else ' through zero'}": (lambda y, x, m=method, i=intercept: hedge_ratio(y, x, method=m, intercept=i))
        for method in ("ols", "huber", "theil_sen", "tls", "min_half_life")
        for intercept in (True, False)
    },
    "rolling": lambda y, x: rolling_hedge_ratio(y, x, 6, errors=True),
    "rolling tls": lambda y, x: rolling_hedge_ratio(y, x, 6, method="tls", errors=True),
    "rolling spread": lambda y, x: rolling_spread(y, x, 6),
    "kalman": kalman_hedge_ratio,
    "started kalman": lambda y, x: fit_kalman(y, x, start=10),
    "engle-granger": engle_granger,
    "both": engle_granger_both,
    "stability": lambda y, x: beta_stability(y, x, 6),
}
MAY_BE_NAN = {"mean", "variance", "zscore", "beta_se", "alpha_se", "beta_low", "beta_high", "rolling_sd", "relative_sd", "share_outside"}


def made(recipe, seed, n):
    shape, unit, level, holes = recipe
    rng = np.random.default_rng(seed)
    s = level + unit * SHAPES[shape](rng, n)
    if holes:
        s[rng.integers(0, n)] = rng.choice([np.nan, np.inf])
    return s


def judge(compute, *series):
    try:
        result = compute(*series)
    except AnalyticsError:
        return
    if dataclasses.is_dataclass(result):
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            assert not isinstance(value, float) or math.isfinite(value) or field.name in MAY_BE_NAN, field.name


@settings(max_examples=60, deadline=None)
@given(SERIES, st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_statistics_of_one_series(recipe, seed, n):
    s = made(recipe, seed, n)
    for compute in OF_ONE.values():
        judge(compute, s)
    for twin in (OnlineMoments(), OnlineEw(0.1), OnlineZScore(5)):
        judge(twin.update_many, s)
        judge(lambda each=twin: each.value)


@settings(max_examples=80, deadline=None)
@given(SERIES, SERIES, st.integers(0, 2**32 - 1), st.integers(1, 70), st.sampled_from([None, 0.0, 1e-9, 1e-3]))
def test_statistics_of_two_series(recipe, other, seed, n, apart):
    x = made(recipe, seed, n)
    y = made(other, seed + 1, n) if apart is None else 2.0 * x + 3.0 + apart * np.random.default_rng(seed).normal(size=n)
    for compute in OF_TWO.values():
        judge(compute, y, x)
    for twin in (OnlineOls(), OnlineKalman(), OnlineCorrelation(5)):
        judge(twin.update_many, y, x)
        judge(lambda each=twin: each.value)


def test_values_whose_squares_are_not_numbers_are_refused():
    walk = np.random.default_rng(1).normal(size=50).cumsum()
    for compute in (adf, kpss, variance_ratio, half_life, ornstein_uhlenbeck):
        with pytest.raises(NotFinite, match=r"beyond 1e\+150"):
            compute(1e200 * walk)
        with pytest.raises(Constant):
            compute(1e-200 * walk)
