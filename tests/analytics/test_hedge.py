"""Hedge ratios against scipy, scikit-learn, statsmodels and their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import HedgeRatio, hedge_methods, hedge_ratio, register_hedge_method, rolling_hedge_ratio
from pipeline.analytics.huber import EPSILON
from pipeline.analytics.theil_sen import median_slope
from pipeline.errors import AnalyticsError, Constant, NotFinite, TooShort, UsageError

METHODS = ("ols", "huber", "theil_sen", "tls")


def legs(seed, n, *, decimals=None, tails=3.0, level=0.0):
    rng = np.random.default_rng(seed)
    x = level + rng.normal(size=n).cumsum()
    y = 0.7 * x + rng.standard_t(tails, size=n)
    return (y, x) if decimals is None else (np.round(y, decimals), np.round(x, decimals))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 200), st.sampled_from([0.0, 100.0, 60_000.0]))
def test_ols_equals_scipy_and_numpy(seed, n, level):
    from scipy.stats import linregress

    y, x = legs(seed, n, level=level)
    fit, expected = hedge_ratio(y, x), linregress(x, y)
    assert fit.beta == pytest.approx(expected.slope, rel=1e-8, abs=1e-10)
    assert fit.alpha == pytest.approx(expected.intercept, rel=1e-8, abs=1e-8)
    assert fit.r_squared == pytest.approx(expected.rvalue**2, rel=1e-8, abs=1e-10)
    plain = hedge_ratio(y, x, intercept=False)
    assert plain.beta == pytest.approx(np.linalg.lstsq(x[:, None], y, rcond=None)[0][0], rel=1e-10)
    assert plain.alpha == 0.0


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 150), st.sampled_from([0, 1, 8]))
def test_theil_sen_equals_scipy_to_the_last_bit(seed, n, decimals):
    from scipy.stats import theilslopes

    y, x = legs(seed, n, decimals=decimals)
    if x.min() == x.max() or y.min() == y.max():
        with pytest.raises(Constant):
            hedge_ratio(y, x, method="theil_sen")
        return
    fit, expected = hedge_ratio(y, x, method="theil_sen"), theilslopes(y, x)
    assert fit.beta == expected.slope
    assert fit.alpha == pytest.approx(expected.intercept, rel=1e-14, abs=1e-12)


def test_theil_sen_bracketing_equals_the_full_sort():
    for seed, decimals in ((1, 0), (2, 8), (3, 1)):
        y, x = legs(seed, 900, decimals=decimals)
        i, j = np.triu_indices(x.size, 1)
        usable = x[i] != x[j]
        slopes = (y[j] - y[i])[usable] / (x[j] - x[i])[usable]
        assert median_slope(y, x) == np.median(slopes)


def huber_gradient(y, x, fit):
    """Gradient of the Huber loss in beta and alpha, at the scale that is best for this line, by bisection."""
    residuals = y - fit.alpha - fit.beta * x
    low, high = 1e-12, 10 * np.abs(residuals).max()
    for _ in range(200):
        sigma = 0.5 * (low + high)
        inside = np.abs(residuals) <= EPSILON * sigma
        slope = y.size - np.sum(residuals[inside] ** 2) / sigma**2 - np.sum(~inside) * EPSILON**2
        low, high = (low, sigma) if slope > 0 else (sigma, high)
    pull = np.clip(residuals / sigma, -EPSILON, EPSILON)
    return pull.mean(), (pull * (x - x.mean()) / x.std()).mean()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 300), st.sampled_from([1.0, 2.0, 30.0]), st.sampled_from([0.0, 60_000.0]))
def test_huber_is_at_the_minimum(seed, n, tails, level):
    y, x = legs(seed, n, tails=tails, level=level)
    fit = hedge_ratio(y, x, method="huber")
    assert huber_gradient(y, x, fit) == pytest.approx((0.0, 0.0), abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 300),
    st.sampled_from([1.5, 3.0, 30.0]),
    st.sampled_from([(0.0, 1.0), (60_000.0, 0.01), (1e8, 1.0)]),
    st.booleans(),
)
def test_huber_equals_scikit_learn_at_its_convergence(seed, n, tails, scene, intercept):
    from scipy.optimize import root
    from sklearn.linear_model import HuberRegressor
    from sklearn.linear_model._huber import _huber_loss_and_gradient

    level, unit = scene if intercept else (0.0, 1.0)
    y, x = legs(seed, n, tails=tails)
    y, x = level + unit * y, level + unit * x
    fit = hedge_ratio(y, x, method="huber", intercept=intercept)
    x_mid, y_mid = (x.mean(), y.mean()) if intercept else (0.0, 0.0)
    x_unit, y_unit = np.sqrt(np.mean((x - x_mid) ** 2)), np.sqrt(np.mean((y - y_mid) ** 2))
    u, v = ((x - x_mid) / x_unit)[:, None], (y - y_mid) / y_unit
    peer = HuberRegressor(epsilon=EPSILON, alpha=0.0, tol=1e-6, max_iter=10_000, fit_intercept=intercept).fit(u, v)
    # Its L-BFGS stops where the loss no longer changes, some 1e-5 from the minimum: go on to where its own gradient is zero.
    start = [peer.coef_[0], *([peer.intercept_] if intercept else []), peer.scale_]
    found = root(lambda at: _huber_loss_and_gradient(at, u, v, EPSILON, 0.0, np.ones(n))[1], start, tol=1e-14)
    assert np.abs(found.x - start).max() < 1e-3  # still the minimum that it went to
    assert np.abs(found.fun).max() < 1e-9 * n
    beta = found.x[0] * y_unit / x_unit
    assert fit.beta == pytest.approx(beta, rel=1e-8, abs=1e-8 * y_unit / x_unit)
    if intercept:
        assert fit.alpha == pytest.approx(y_mid + found.x[1] * y_unit - beta * x_mid, rel=1e-8, abs=1e-8 * (y_unit + abs(beta * x_mid)))


def test_huber_on_a_quiet_market_is_the_line_of_least_absolute_residuals():
    from scipy.optimize import linprog

    x, y = np.random.default_rng(179).normal(size=(2, 200))
    x[:120] = y[:120] = 0.0
    fit = hedge_ratio(y, x, method="huber")
    rows = np.column_stack((x, np.ones(200), np.eye(200), -np.eye(200)))
    best = linprog(np.r_[0, 0, np.ones(400)], A_eq=rows, b_eq=y, bounds=[(None, None)] * 2 + [(0, None)] * 400)
    assert np.abs(y - fit.alpha - fit.beta * x).sum() <= best.fun * (1 + 1e-6)
    assert hedge_ratio([25.7, 1.6, 57.9, -2.9], [0.9, 1.2, 1.1, 2.1], method="huber").beta == pytest.approx(-23.833333, rel=1e-6)


def test_huber_ignores_what_ols_follows_and_scales():
    y, x = legs(7, 300, tails=30.0)
    spoiled = y.copy()
    spoiled[::10] += 1e6
    fit = hedge_ratio(spoiled, x, method="huber")
    assert fit.beta == pytest.approx(0.7, abs=0.1)
    assert abs(hedge_ratio(spoiled, x).beta - 0.7) > 10
    scaled = hedge_ratio(1e4 * spoiled, 1e-3 * x, method="huber")
    assert scaled.beta == pytest.approx(1e7 * fit.beta, rel=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
def test_tls_equals_the_singular_value_decomposition(intercept):
    y, x = legs(8, 250)
    data = np.column_stack((x, y))
    _, _, directions = np.linalg.svd(data - data.mean(axis=0) if intercept else data, full_matrices=False)
    fit = hedge_ratio(y, x, method="tls", intercept=intercept)
    assert fit.beta == pytest.approx(directions[0, 1] / directions[0, 0], rel=1e-10)
    assert hedge_ratio(x, y, method="tls", intercept=intercept).beta == pytest.approx(1 / fit.beta, rel=1e-10)


def test_numbers_of_arbitragelab():
    rs = np.random.RandomState(42)  # hudson-and-thames/arbitragelab, tests/test_hedge_ratios.py
    x = rs.normal(0, 1, 100).cumsum() + 50
    y = 5 * x + rs.normal(0, 1, 100)
    assert hedge_ratio(y, x, intercept=False).beta == pytest.approx(5, abs=1e-3)
    assert hedge_ratio(y, x).beta == pytest.approx(5, abs=1e-2)
    assert hedge_ratio(y, x, method="tls", intercept=False).beta == pytest.approx(5, abs=1e-3)
    assert hedge_ratio(y, x, method="tls").beta == pytest.approx(5, abs=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_an_exact_line_is_found_exactly(method):
    x = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])
    fit = hedge_ratio(2.0 * x + 1.0, x, method=method)
    assert (fit.beta, fit.alpha, fit.r_squared) == pytest.approx((2.0, 1.0, 1.0), rel=1e-12)
    assert (fit.method, fit.n) == (method, 6)
    assert hedge_ratio(2.0 * x, x, method=method, intercept=False).beta == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_refusals(method):
    y, x = legs(9, 30)
    with pytest.raises(TooShort):
        hedge_ratio(y[:2], x[:2], method=method)
    with pytest.raises(NotFinite):
        hedge_ratio(np.append(y[1:], np.nan), x, method=method)
    with pytest.raises(Constant, match="x is constant"):
        hedge_ratio(y, np.full(30, 5.0), method=method)
    with pytest.raises(Constant, match="y is constant"):
        hedge_ratio(np.full(30, 5.0), x, method=method)
    with pytest.raises(AnalyticsError, match="same number"):
        hedge_ratio(y, x[1:], method=method)


def test_tls_says_when_the_line_is_vertical():
    with pytest.raises(AnalyticsError, match="no finite hedge ratio"):
        hedge_ratio([0.0, 2.0, -2.0, 0.0], [1.0, 0.0, 0.0, -1.0], method="tls")


def test_a_toy_method_is_added_without_touching_the_core():
    def median_ratio(y, x, *, intercept):
        return float(np.median(y) / np.median(x)), 0.0

    register_hedge_method("toy_median_ratio", median_ratio)
    register_hedge_method("toy_median_ratio", median_ratio)  # once more is no harm
    assert "toy_median_ratio" in hedge_methods()
    assert hedge_ratio([2.0, 4.0, 7.0], [1.0, 2.0, 3.0], method="toy_median_ratio").beta == 2.0
    with pytest.raises(UsageError, match="exists already"):
        register_hedge_method("ols", median_ratio)
    with pytest.raises(UsageError, match="expected one of huber, min_half_life, ols"):
        hedge_ratio([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], method="nonsense")


def test_an_installed_package_adds_a_method_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "toy_analytic.py").write_text("def half(y, x, *, intercept):\n    return 0.5, 0.0\n")
    metadata = tmp_path / "toy_analytic-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-analytic\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[spreadwatch.hedge_methods]\ntoy_half = toy_analytic:half\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "toy_half" in hedge_methods()
    assert hedge_ratio([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], method="toy_half").beta == 0.5


def test_errors_are_left_out_on_request():
    y, x = np.random.default_rng(4).normal(size=(2, 60)).cumsum(axis=1)
    for method in hedge_methods():
        with_errors, without = hedge_ratio(y, x, method=method), hedge_ratio(y, x, method=method, errors=False)
        assert (without.beta, without.alpha, without.r_squared) == (with_errors.beta, with_errors.alpha, with_errors.r_squared)
        assert np.isnan([without.beta_se, without.alpha_se, without.beta_low, without.beta_high]).all()


# --- rolling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("intercept", [True, False])
def test_rolling_equals_the_static_fit_of_each_window(method, intercept):
    y, x = legs(10, 60, level=30.0)
    rolled = rolling_hedge_ratio(y, x, 17, method=method, intercept=intercept)
    assert np.isnan(rolled.beta[:16]).all()
    for stop in range(17, 61):
        fit = hedge_ratio(y[stop - 17 : stop], x[stop - 17 : stop], method=method, intercept=intercept)
        got = HedgeRatio(rolled.beta[stop - 1], rolled.alpha[stop - 1], rolled.r_squared[stop - 1], method, 17)
        assert (got.beta, got.alpha, got.r_squared) == pytest.approx((fit.beta, fit.alpha, fit.r_squared), rel=1e-9, abs=1e-9)


def test_rolling_ols_equals_statsmodels():
    from statsmodels.regression.rolling import RollingOLS

    y, x = legs(11, 400)
    peer = RollingOLS(y, np.column_stack((np.ones(400), x)), window=50).fit()
    rolled = rolling_hedge_ratio(y, x, 50)
    np.testing.assert_allclose(rolled.beta, peer.params[:, 1], rtol=1e-8)
    np.testing.assert_allclose(rolled.alpha, peer.params[:, 0], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(rolled.r_squared, peer.rsquared, rtol=1e-8)


@pytest.mark.parametrize(("level", "unit"), [(60_000.0, 0.01), (1e8, 0.01)])
def test_rolling_ols_is_stable_at_high_levels(level, unit):
    rng = np.random.default_rng(12)
    u = rng.integers(-300, 300, size=5_000)
    v = 2 * u + rng.integers(-100, 100, size=5_000)
    step = 2.0**-7  # exact in binary, so that the oracle works on the very same numbers
    rolled = rolling_hedge_ratio(level + step * v, level + step * u, 100)
    exact = rolling_hedge_ratio(v, u, 100)
    assert unit > step
    np.testing.assert_allclose(rolled.beta, exact.beta, rtol=1e-8)
    np.testing.assert_allclose(rolled.r_squared, exact.r_squared, rtol=1e-8)


def test_an_outlier_that_left_the_window_leaves_nothing_behind():
    y, x = legs(13, 300)
    spoiled = y.copy()
    spoiled[100] = 1e12
    after = slice(200, None)
    np.testing.assert_allclose(rolling_hedge_ratio(spoiled, x, 40).beta[after], rolling_hedge_ratio(y, x, 40).beta[after], rtol=1e-12)


def test_rolling_undefined_windows_are_nan():
    x = np.r_[np.full(10, 0.1), np.arange(10.0)]
    y = np.arange(20.0) ** 2
    for method in METHODS:
        rolled = rolling_hedge_ratio(y, x, 5, method=method)
        assert np.isnan(rolled.beta[:10]).all()
        assert np.isnan(rolled.r_squared[:10]).all()
        assert np.isfinite(rolled.beta[10:]).all()
    assert np.isnan(rolling_hedge_ratio([1.0, 2.0], [1.0, 3.0], 3).beta).all()
    assert rolling_hedge_ratio([], [], 3).beta.size == 0
    with pytest.raises(TooShort):
        rolling_hedge_ratio(y, x, 2)
    with pytest.raises(UsageError):
        rolling_hedge_ratio(y, x, 5, method="nonsense")


@pytest.mark.parametrize("method", [*METHODS, "min_half_life"])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_missing_bar_takes_the_windows_that_hold_it_and_no_other(method, intercept):
    y, x = legs(14, 70, level=60_000.0)
    y[[0, 23]], x[[12, 24, 48]] = np.nan, np.nan  # the first bar, firsts and lasts of the kernel's blocks, both legs
    rolled = rolling_hedge_ratio(y, x, 12, method=method, intercept=intercept, errors=True)
    for stop in range(12, 71):
        part = slice(stop - 12, stop)
        got = (rolled.beta[stop - 1], rolled.alpha[stop - 1], rolled.r_squared[stop - 1], rolled.beta_se[stop - 1])
        if np.isnan(y[part] + x[part]).any():
            assert np.isnan(got).all()
            continue
        fit = hedge_ratio(y[part], x[part], method=method, intercept=intercept)
        assert got == pytest.approx((fit.beta, fit.alpha, fit.r_squared, fit.beta_se), rel=1e-8, nan_ok=True)


def test_rolling_over_nothing_but_holes_and_refusals():
    nothing = np.full(9, np.nan)
    for method in METHODS:
        assert np.isnan(rolling_hedge_ratio(nothing, np.arange(9.0), 3, method=method, errors=True).beta_se).all()
    assert np.isnan(rolling_hedge_ratio(nothing[:2], nothing[:2], 3).beta).all()
    with pytest.raises(NotFinite):
        rolling_hedge_ratio([1.0, np.inf, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], 3)
    with pytest.raises(AnalyticsError, match="same number"):
        rolling_hedge_ratio([1.0, 2.0], [1.0, 2.0, 3.0], 3)
