"""Standard errors and intervals of hedge ratios against statsmodels, scipy and the definition of the jackknife."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import hedge_ratio, register_hedge_method, rolling_hedge_ratio
from pipeline.analytics.line_errors import LineErrors, huber_scale
from pipeline.analytics.ols import fit_ols

LEVELS = [(0.0, 1.0, 1.0), (60_000.0, 1.0, 0.01), (0.0, 1.0, 1e-6)]  # of x, of its steps, of the noise


def legs(seed, n, scene=(0.0, 1.0, 1.0), tails=4.0):
    level, step, noise = scene
    rng = np.random.default_rng(seed)
    x = level + step * rng.normal(size=n).cumsum()
    return 0.7 * x + noise * rng.standard_t(tails, size=n), x


def design(x, *, intercept):
    return np.column_stack((x, np.ones(x.size))) if intercept else x[:, None]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 200), st.sampled_from(LEVELS), st.booleans())
def test_ols_equals_statsmodels(seed, n, scene, intercept):
    import statsmodels.api as sm

    y, x = legs(seed, n, scene)
    fit = hedge_ratio(y, x, intercept=intercept)
    x_mid = float(x[0]) if intercept else 0.0  # statsmodels on moved legs, where it keeps its precision; the subtraction is exact
    y_mid = float(y[0]) if intercept else 0.0
    peer = sm.OLS(y - y_mid, design(x - x_mid, intercept=intercept)).fit()
    tolerance = 1e-8 if scene[2] == 1.0 else 1e-6  # the prices themselves are rounded at 1e-12 of their size
    assert fit.beta_se == pytest.approx(peer.bse[0], rel=tolerance)
    assert (fit.beta_low, fit.beta_high) == pytest.approx(tuple(peer.conf_int()[0]), rel=1e-8, abs=1e-10)
    if intercept:
        covariance = peer.cov_params()
        moved = covariance[1, 1] + x_mid**2 * covariance[0, 0] - 2 * x_mid * covariance[0, 1]
        assert fit.alpha_se == pytest.approx(math.sqrt(moved), rel=tolerance)
    else:
        assert math.isnan(fit.alpha_se)


def test_ols_of_longley_equals_the_certified_value():
    # NIST Statistical Reference Datasets, Norris: certified standard deviations of B0 and B1, and the residual's
    x = [0.2, 337.4, 118.2, 884.6, 10.1, 226.5, 666.3, 996.3, 448.6, 777.0, 558.2, 0.4, 0.6, 775.5, 666.9, 338.0, 447.5, 11.6]
    x += [556.0, 228.1, 995.8, 887.6, 120.2, 0.3, 0.3, 556.8, 339.1, 887.2, 999.0, 779.0, 11.1, 118.3, 229.2, 669.1, 448.9, 0.5]
    y = [0.1, 338.8, 118.1, 888.0, 9.2, 228.1, 668.5, 998.5, 449.1, 778.9, 559.2, 0.3, 0.1, 778.1, 668.8, 339.3, 448.9, 10.8]
    y += [557.7, 228.3, 998.0, 888.8, 119.6, 0.3, 0.6, 557.6, 339.3, 888.0, 998.5, 778.9, 10.2, 117.6, 228.9, 668.4, 449.2, 0.2]
    fit = hedge_ratio(y, x)
    assert (fit.beta, fit.alpha) == pytest.approx((1.00211681802045, -0.262323073774029), rel=1e-12)
    assert (fit.beta_se, fit.alpha_se) == pytest.approx((0.429796848199937e-3, 0.232818234301152), rel=1e-12)
    assert fit.r_squared == pytest.approx(0.999993745883712, rel=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 200), st.sampled_from([1.0, 3.0, 30.0]), st.booleans())
def test_huber_equals_statsmodels_at_the_same_line(seed, n, tails, intercept):
    import statsmodels.api as sm
    from statsmodels.robust.robust_linear_model import RLMResults

    y, x = legs(seed, n, tails=tails)
    fit = hedge_ratio(y, x, method="huber", intercept=intercept)
    params = np.array([fit.beta, fit.alpha][: 1 + intercept])
    model = sm.RLM(y, design(x, intercept=intercept), M=sm.robust.norms.HuberT(1.35))
    scale = huber_scale(y - model.exog @ params)
    peer = RLMResults(model, params, model.normalized_cov_params, scale)
    peer.cov = "H1"
    expected = np.sqrt(np.diag(peer.bcov_scaled))
    assert fit.beta_se == pytest.approx(expected[0], rel=1e-7)  # where a residual sits at the bend, by a rounding
    if intercept:
        assert fit.alpha_se == pytest.approx(expected[1], rel=1e-7)


def test_huber_scale_is_where_the_loss_is_least():
    rng = np.random.default_rng(1)
    for residuals in (rng.normal(size=50), rng.standard_cauchy(size=201), np.r_[np.zeros(80), rng.normal(size=120)]):
        sigma = huber_scale(residuals)
        assert np.minimum((residuals / sigma) ** 2, 1.35**2).sum() == pytest.approx(residuals.size, rel=1e-12)
    assert huber_scale(np.r_[np.zeros(100), rng.normal(size=80)]) == 0.0
    assert huber_scale(np.zeros(5)) == 0.0


def test_huber_without_a_scale_has_no_errors():
    x, y = np.random.default_rng(179).normal(size=(2, 200))
    x[:120] = y[:120] = 0.0
    fit = hedge_ratio(y, x, method="huber")
    assert np.isnan([fit.beta_se, fit.alpha_se, fit.beta_low, fit.beta_high]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 60), st.sampled_from([*LEVELS, (50.0, 1.0, 30.0)]), st.booleans())
def test_tls_equals_the_jackknife_by_definition(seed, n, scene, intercept):
    y, x = legs(seed, n, scene)
    fit = hedge_ratio(y, x, method="tls", intercept=intercept)
    wide_y, wide_x = y.astype(np.longdouble), x.astype(np.longdouble)
    lines = []
    for i in range(n):
        v, u = np.delete(wide_y, i), np.delete(wide_x, i)
        v_mid, u_mid = (v.mean(), u.mean()) if intercept else (np.longdouble(0), np.longdouble(0))
        dv, du = v - v_mid, u - u_mid
        half, cross = (dv @ dv - du @ du) / 2, dv @ du
        slope = (half + np.sign(cross) * 0 + np.hypot(half, cross)) / cross
        lines.append((slope, v_mid - slope * u_mid))
    lines = np.array(lines)
    beta_se, alpha_se = np.sqrt((n - 1) / n * np.sum((lines - lines.mean(axis=0)) ** 2, axis=0)).astype(float)
    assert fit.beta_se == pytest.approx(beta_se, rel=1e-7 if scene[2] >= 0.01 else 1e-5)
    if intercept:
        assert fit.alpha_se == pytest.approx(alpha_se, rel=1e-7 if scene[2] >= 0.01 else 1e-5)


def test_tls_with_one_bar_that_holds_nearly_everything():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 40))
    y += 0.8 * x
    x[7] += 1e6
    y[7] += 0.8e6
    fit = hedge_ratio(y, x, method="tls")
    slopes = [hedge_ratio(np.delete(y, i), np.delete(x, i), method="tls").beta for i in range(40)]
    assert fit.beta_se == pytest.approx(math.sqrt(39 / 40 * np.sum((slopes - np.mean(slopes)) ** 2)), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 150), st.sampled_from([0, 1, 8]))
def test_theil_sen_interval_equals_scipy_to_the_last_bit(seed, n, decimals):
    from scipy.stats import theilslopes

    y, x = (np.round(leg, decimals) for leg in legs(seed, n))
    if x.min() == x.max() or y.min() == y.max():
        return
    fit, expected = hedge_ratio(y, x, method="theil_sen"), theilslopes(y, x)
    assert (fit.beta_low, fit.beta_high) == (expected.low_slope, expected.high_slope)
    assert np.isnan([fit.beta_se, fit.alpha_se]).all()


def test_theil_sen_interval_of_a_long_window_equals_scipy():
    from scipy.stats import theilslopes

    y, x = legs(5, 900)
    fit, expected = hedge_ratio(y, x, method="theil_sen"), theilslopes(y, x)
    assert (fit.beta, fit.beta_low, fit.beta_high) == (expected.slope, expected.low_slope, expected.high_slope)
    assert math.isnan(hedge_ratio(y, x, method="theil_sen", intercept=False).beta_low)


@pytest.mark.parametrize("method", ["ols", "huber", "tls", "theil_sen"])
def test_intervals_cover_the_true_ratio_when_their_assumptions_hold(method):
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(400):
        x = 10 * rng.normal(size=60)
        noise = rng.normal(size=(2, 60))
        fit = hedge_ratio(1.5 * x + noise[0], x + noise[1] if method == "tls" else x, method=method)
        covered += fit.beta_low <= 1.5 <= fit.beta_high
    assert 0.92 <= covered / 400 <= 0.98  # 95 %, three standard errors


@pytest.mark.parametrize("method", ["ols", "tls", "huber", "theil_sen", "min_half_life"])
@pytest.mark.parametrize("intercept", [True, False])
def test_rolling_errors_equal_those_of_each_window(method, intercept):
    y, x = legs(8, 50, (30.0, 1.0, 1.0))
    rolled = rolling_hedge_ratio(y, x, 17, method=method, intercept=intercept, errors=True)
    assert np.isnan(rolled.beta_se[:16]).all()
    for stop in range(17, 51):
        fit = hedge_ratio(y[stop - 17 : stop], x[stop - 17 : stop], method=method, intercept=intercept)
        got = (rolled.beta_se[stop - 1], rolled.alpha_se[stop - 1])
        assert got == pytest.approx((fit.beta_se, fit.alpha_se), rel=1e-9, nan_ok=True)
    assert rolling_hedge_ratio(y, x, 17, method=method).beta_se is None


def test_rolling_errors_equal_statsmodels():
    from statsmodels.regression.rolling import RollingOLS

    y, x = legs(11, 300)
    peer = RollingOLS(y, np.column_stack((np.ones(300), x)), window=50).fit()
    rolled = rolling_hedge_ratio(y, x, 50, errors=True)
    np.testing.assert_allclose(rolled.beta_se, peer.bse[:, 1], rtol=1e-8)
    np.testing.assert_allclose(rolled.alpha_se, peer.bse[:, 0], rtol=1e-8)


@pytest.mark.parametrize(("level", "step"), [(60_000.0, 2.0**-7), (1e8, 2.0**-7)])
def test_high_levels_cost_no_precision(level, step):
    rng = np.random.default_rng(12)
    u = rng.integers(-300, 300, size=400)
    v = 2 * u + rng.integers(-2, 3, size=400)
    moved = rolling_hedge_ratio(level + step * v, level + step * u, 100, errors=True)  # exact in binary
    np.testing.assert_allclose(moved.beta_se, rolling_hedge_ratio(v, u, 100, errors=True).beta_se, rtol=1e-8)
    for method in ("ols", "huber", "tls"):
        fit = hedge_ratio(level + step * v, level + step * u, method=method)
        assert fit.beta_se == pytest.approx(hedge_ratio(v, u, method=method).beta_se, rel=1e-7)


def test_a_registered_method_may_bring_its_errors():
    def errors(y, x, beta, alpha, *, intercept):
        return LineErrors(beta_se=0.25)

    def same_line(y, x, *, intercept):
        return fit_ols(y, x, intercept=intercept)

    register_hedge_method("toy_with_errors", same_line, errors)
    fit = hedge_ratio([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], method="toy_with_errors")
    assert fit.beta_se == 0.25
    assert math.isnan(fit.beta_low)
