"""The minimum half-life hedge against a grid, a general optimiser, and arbitragelab's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import fit_model, half_life, hedge_ratio
from pipeline.errors import AnalyticsError, TooShort


def reverting(seed, n=400, phi=0.8, *, level=50.0):
    rng = np.random.default_rng(seed)
    x = level + rng.normal(size=n).cumsum()
    noise = np.zeros(n)
    for t in range(1, n):
        noise[t] = phi * noise[t - 1] + rng.normal()
    return 3.0 + 1.5 * x + noise, x


def phi_of(y, x, beta, *, intercept):
    """AR(1) coefficient of one spread, by numpy's least squares."""
    s = y - beta * x
    s = s - s[0] if intercept else s
    design = np.column_stack((s[:-1], np.ones(s.size - 1)))[:, : 1 + intercept]
    return np.linalg.lstsq(design, s[1:], rcond=None)[0][0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 120), st.sampled_from([0.0, 0.5, 0.95, 1.0]), st.booleans())
def test_no_grid_finds_a_shorter_half_life(seed, n, phi, intercept):
    y, x = reverting(seed, n, phi)
    fit = hedge_ratio(y, x, method="min_half_life", intercept=intercept)
    best = phi_of(y, x, fit.beta, intercept=intercept)
    assert best < 1.0  # of any two legs
    width = max(1.0, abs(fit.beta))
    for beta in np.r_[fit.beta + width * np.r_[-1e-3, -1e-2, 1e-3, 1e-2], np.linspace(-20, 20, 41)]:
        assert best <= phi_of(y, x, beta, intercept=intercept) + 1e-10


@pytest.mark.parametrize("intercept", [True, False])
def test_equals_a_fine_search(intercept):
    from scipy.optimize import minimize_scalar

    y, x = reverting(1)
    found = minimize_scalar(lambda beta: phi_of(y, x, beta, intercept=intercept), bracket=(1.3, 1.5, 1.7), tol=1e-12)
    fit = hedge_ratio(y, x, method="min_half_life", intercept=intercept)
    assert fit.beta == pytest.approx(found.x, abs=1e-7)  # a minimum is flat: phi is known to 1e-14, so beta to 1e-7
    assert phi_of(y, x, fit.beta, intercept=intercept) <= found.fun + 1e-13
    assert fit.alpha == pytest.approx(np.mean(y - fit.beta * x) if intercept else 0.0, rel=1e-9)


def test_numbers_of_arbitragelab():
    rs = np.random.RandomState(42)  # hudson-and-thames/arbitragelab, tests/test_hedge_ratios.py, test_hl_hedge_ratio
    x = rs.normal(0, 1, 100).cumsum() + 50
    y = 5 * x + rs.normal(0, 1, 100)
    fit = hedge_ratio(y, x, method="min_half_life")
    assert fit.beta == pytest.approx(5, abs=1e-3)
    assert np.mean(y - fit.beta * x) == pytest.approx(0.06, abs=1e-2)


@pytest.mark.parametrize(("level", "step"), [(60_000.0, 2.0**-7), (1e8, 2.0**-7)])
def test_high_levels_and_near_collinearity_cost_no_precision(level, step):
    rng = np.random.default_rng(2)
    u = rng.integers(-300, 300, size=400).cumsum()
    v = 2 * u + rng.integers(-2, 3, size=400)
    exact = hedge_ratio(v, u, method="min_half_life")
    assert hedge_ratio(level + step * v, level + step * u, method="min_half_life").beta == pytest.approx(exact.beta, rel=1e-10)
    assert exact.r_squared > 1 - 1e-6


def test_the_half_life_is_shorter_than_that_of_least_squares_and_both_scales_work():
    y, x = reverting(3, level=1_000.0)
    for scale in ("price", "log"):
        fastest, plain = (fit_model(y, x, method=method, scale=scale) for method in ("min_half_life", "ols"))
        assert fastest.half_life <= plain.half_life
    fit = hedge_ratio(y, x, method="min_half_life")
    assert half_life(y - fit.beta * x).bars <= half_life(y - (fit.beta + 0.01) * x).bars
    assert np.isnan([fit.beta_se, fit.alpha_se, fit.beta_low, fit.beta_high]).all()


def test_an_exact_line_is_found():
    x = np.arange(12.0) ** 1.5
    assert hedge_ratio(2.0 * x + 1.0, x, method="min_half_life").beta == pytest.approx(2.0, rel=1e-12)


def test_refusals():
    y, x = reverting(4)
    with pytest.raises(TooShort, match="at least 10"):
        hedge_ratio(y[:9], x[:9], method="min_half_life")
    only_last = np.r_[np.ones(20), 2.0]
    with pytest.raises(AnalyticsError, match="apart from their last bar"):
        hedge_ratio(np.r_[only_last[:-1], 5.0], np.r_[np.ones(20), -1.0], method="min_half_life", intercept=False)
