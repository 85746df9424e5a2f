"""The variance ratio against arch's numbers and its definition."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import variance_ratio
from pipeline.errors import Constant, NotFinite, TooShort, UsageError

ARCH = Path(__file__).resolve().parents[1] / "reference" / "variance_ratio_arch.csv"


def series(kind):
    rs = np.random.RandomState(20240808)  # as tests/reference/variance_ratio_arch.py
    steps = rs.standard_normal(600)
    if kind == "walk":
        return steps.cumsum()
    if kind == "price":
        return 60_000.0 + 0.01 * np.round(100 * steps.cumsum())
    if kind == "bounce":
        return steps.cumsum() + rs.standard_normal(600)
    return (steps * np.exp(0.02 * np.abs(steps.cumsum()))).cumsum() + 0.1 * np.arange(600)


def test_equals_arch():
    with ARCH.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 96
    for row in rows:
        options = {name: row[name] == "1" for name in ("robust", "overlap", "debiased")}
        result = variance_ratio(series(row["series"]), int(row["lags"]), trend=row["trend"], **options)
        assert result.ratio == pytest.approx(float(row["ratio"]), rel=1e-10)
        assert result.statistic == pytest.approx(float(row["statistic"]), rel=1e-8)
        assert result.p_value == pytest.approx(float(row["p_value"]), abs=1e-12)


def by_definition(s, lags, *, drift, robust):
    """Lo and MacKinlay (1988), equations 12 to 20, sum by sum."""
    d = [s[t] - s[t - 1] for t in range(1, len(s))]
    n = len(d)
    mu = (s[-1] - s[0]) / n if drift else 0.0
    short = math.fsum((each - mu) ** 2 for each in d) / (n - 1)
    m = lags * (n - lags + 1) * (1 - lags / n)
    long = math.fsum((s[t] - s[t - lags] - lags * mu) ** 2 for t in range(lags, n + 1)) / m
    wide = 2 * (2 * lags - 1) * (lags - 1) / (3 * lags)
    if robust:
        whole = math.fsum((each - mu) ** 2 for each in d) ** 2
        wide = 0.0
        for k in range(1, lags):
            delta = n * math.fsum((d[j] - mu) ** 2 * (d[j - k] - mu) ** 2 for j in range(k, n)) / whole
            wide += (2 * (lags - k) / lags) ** 2 * delta
    return long / short, math.sqrt(n) * (long / short - 1) / math.sqrt(wide)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(12, 150),
    lags=st.integers(2, 5),
    scene=st.sampled_from([(0.0, 1.0), (60_000.0, 0.01), (0.0, 1e-9)]),
    options=st.tuples(st.booleans(), st.booleans()),
)
def test_equals_its_definition(seed, n, lags, scene, options):
    (level, unit), (drift, robust) = scene, options
    s = level + unit * np.random.default_rng(seed).normal(size=n).cumsum()
    result = variance_ratio(s, lags, trend="c" if drift else "n", robust=robust)
    expected = by_definition(s.tolist(), lags, drift=drift, robust=robust)
    assert (result.ratio, result.statistic) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert result.p_value == pytest.approx(math.erfc(abs(expected[1]) / math.sqrt(2)), abs=1e-6)


def test_it_tells_reversion_walk_and_trend():
    rng = np.random.default_rng(1)
    e = rng.normal(size=4_000)
    assert variance_ratio(e, 5).ratio < 0.3
    assert variance_ratio(e.cumsum(), 5).ratio == pytest.approx(1.0, abs=0.1)
    assert variance_ratio(e.cumsum().cumsum(), 5).ratio > 4.0


def test_size_is_near_its_nominal_level():
    rng = np.random.default_rng(2)
    rejected = [variance_ratio(rng.standard_t(5, size=300).cumsum(), 4).p_value < 0.05 for _ in range(1_000)]
    assert 0.03 <= np.mean(rejected) <= 0.07  # 5 % within three standard errors


def test_refusals():
    walk = np.random.default_rng(3).normal(size=100).cumsum()
    with pytest.raises(TooShort, match="at least 42"):
        variance_ratio(walk[:41], 20)
    with pytest.raises(NotFinite):
        variance_ratio(np.r_[walk, np.inf])
    for flat in (np.ones(30), 0.1 * np.arange(30.0)):
        with pytest.raises(Constant):
            variance_ratio(flat)
    with pytest.raises(Constant, match="so seldom"):
        variance_ratio(np.r_[np.zeros(20), np.ones(20)], trend="n")
    assert variance_ratio(np.r_[np.zeros(20), np.ones(20)], trend="n", robust=False).ratio > 0
    for options in ({"lags": 1}, {"trend": "ct"}):
        with pytest.raises(UsageError):
            variance_ratio(walk, **options)
