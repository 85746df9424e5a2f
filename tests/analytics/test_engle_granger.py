"""Engle-Granger against Stata, arch and statsmodels; refusals."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import engle_granger
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


def rows(name):
    with (REFERENCE / name).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def stata_legs():
    rs = np.random.RandomState(123)  # statsmodels, tsa/tests/test_stattools.py, test_coint
    unit = rs.randn(200).cumsum()
    data = rs.randn(200, 4)
    data[:, :2] += unit[:, None]
    shift = np.array([1, 0, 0.5, 0])
    return np.round(data + shift, 4)[:, :2].T


@pytest.mark.parametrize("row", rows("engle_granger_stata.csv"), ids=lambda row: row["trend"])
def test_equals_stata(stata_legs, row):
    result = engle_granger(*stata_legs, trend=row["trend"], maxlag=4, autolag=None)
    assert result.statistic == pytest.approx(float(row["statistic"]), rel=1e-11)
    if row["pct1"]:
        critical = result.critical_values
        assert [critical.pct1, critical.pct5, critical.pct10] == pytest.approx([float(row[k]) for k in ("pct1", "pct5", "pct10")], abs=6e-7)
    else:
        assert result.critical_values is None


def test_default_lag_choice_equals_the_recorded_one(stata_legs):
    result = engle_granger(*stata_legs, trend="ct", maxlag=4)
    assert result.statistic == pytest.approx(-13.992946638547112, rel=1e-10)  # statsmodels, test_coint, #4490
    assert result.p_value == pytest.approx(2.270898990540678e-27, rel=1e-7)


@pytest.fixture(scope="module")
def arch_data():
    rs = np.random.RandomState([392032, 302931, 20913210, 1023910])  # arch, arch/tests/unitroot/test_engle_granger.py
    x, y, _ = rs.standard_normal((500, 3)).cumsum(0).T
    e = rs.standard_normal(500)
    lagged = e.copy()
    lagged[1:] = e[:-1]
    lagged[0] = rs.standard_normal()
    return {"x": x, "y": y, "w": 2 * y + e + 0.5 * lagged}


@pytest.mark.parametrize("row", rows("engle_granger_arch.csv"), ids=lambda row: "-".join(row.values())[:16])
def test_equals_arch(arch_data, row):
    maxlag = int(row["maxlag"]) if row["maxlag"] else None
    result = engle_granger(arch_data[row["y"]], arch_data[row["x"]], trend=row["trend"], autolag=row["autolag"], maxlag=maxlag)
    assert result.statistic == pytest.approx(float(row["statistic"]), rel=1e-4)
    if row["used_lag"]:
        assert result.used_lag == int(row["used_lag"])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(25, 400),
    trend=st.sampled_from(["n", "c", "ct", "ctt"]),
    autolag=st.sampled_from(["aic", "bic", "t-stat", None]),
    scene=st.sampled_from([(0.0, 1.0), (50.0, 0.05), (2_000.0, 20.0), (2_000.0, 1.0)]),
)
def test_equals_statsmodels(seed, n, trend, autolag, scene):
    level, noise = scene
    from statsmodels.tools.sm_exceptions import CollinearityWarning
    from statsmodels.tsa.stattools import coint

    rng = np.random.default_rng(seed)
    x = level + rng.normal(size=n).cumsum()
    y = 1.7 * x + noise * rng.normal(size=n) + (rng.normal(size=n).cumsum() if seed % 2 else 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollinearityWarning)
        statistic, p, critical = coint(y, x, trend=trend, autolag=autolag, return_results=False)
    if np.isneginf(statistic):
        with pytest.raises(Collinear):
            engle_granger(y, x, trend=trend, autolag=autolag)
        return
    result = engle_granger(y, x, trend=trend, autolag=autolag)
    assert result.statistic == pytest.approx(statistic, rel=1e-8, abs=1e-10)
    assert result.p_value == pytest.approx(p, abs=1e-6)
    if trend != "n":
        np.testing.assert_allclose(
            [result.critical_values.pct1, result.critical_values.pct5, result.critical_values.pct10], critical, rtol=1e-12
        )


def test_first_step_equals_least_squares_with_each_trend():
    rng = np.random.default_rng(4)
    x = rng.normal(size=300).cumsum()
    y = 3.0 + 0.02 * np.arange(300) + 0.5 * x + rng.normal(size=300)
    for terms, trend in enumerate(("n", "c", "ct", "ctt")):
        design = np.column_stack([x, *(np.arange(1, 301.0) ** power for power in range(terms))])
        expected = np.linalg.lstsq(design, y, rcond=None)[0]
        result = engle_granger(y, x, trend=trend)
        assert result.beta == pytest.approx(expected[0], rel=1e-10)
        assert result.alpha == pytest.approx(expected[1] if terms else 0.0, rel=1e-9)


def test_level_and_noise_cost_no_precision():
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=500).cumsum(), rng.normal(size=500)
    plain = engle_granger(2.0 * x + noise, x)
    for level, unit in ((60_000.0, 0.01), (1e8, 1.0)):
        moved = engle_granger(level + unit * (2.0 * x + noise), level + unit * x)
        assert moved.used_lag == plain.used_lag
        assert moved.statistic == pytest.approx(plain.statistic, rel=1e-6)  # what rounding the prices themselves costs
        assert moved.beta == pytest.approx(plain.beta, rel=1e-6)


def test_refusals():
    walk = np.random.default_rng(6).normal(size=100).cumsum()
    with pytest.raises(Collinear, match="linear function of the other"):
        engle_granger(2.0 * walk + 3.0, walk)
    with pytest.raises(Collinear):
        engle_granger(walk, walk)
    with pytest.raises(Constant, match="deterministic terms"):
        engle_granger(walk, np.arange(100.0), trend="ct")
    with pytest.raises(Constant, match="y is constant"):
        engle_granger(np.ones(100), walk)
    with pytest.raises(TooShort, match="at least 25"):
        engle_granger(walk[:24], walk[:24] ** 2)
    with pytest.raises(NotFinite, match="x has 1 values"):
        engle_granger(walk, np.append(walk[1:], np.nan))
    with pytest.raises(AnalyticsError, match="align the legs"):
        engle_granger(walk, walk[1:])
    with pytest.raises(UsageError, match="trend"):
        engle_granger(walk, walk**2, trend="x")


def test_size_is_near_its_nominal_level():
    rng = np.random.default_rng(8)
    rejected = [engle_granger(*rng.normal(size=(2, 1_000)).cumsum(axis=1)).p_value < 0.05 for _ in range(500)]
    assert 0.025 <= np.mean(rejected) <= 0.08  # 5 % within three standard errors
