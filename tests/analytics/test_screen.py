"""A screen's rows equal single tests; its q-values keep their promise."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline.analytics import PairOutcome, benjamini_hochberg, engle_granger, half_life, hurst, screen_pairs
from pipeline.analytics.engle_granger import first_step
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError

OUTCOMES = {Collinear: PairOutcome.COLLINEAR, Constant: PairOutcome.CONSTANT, TooShort: PairOutcome.TOO_SHORT}


@pytest.fixture(scope="module")
def prices():
    rng = np.random.default_rng(1)
    data = 100 + rng.normal(size=(300, 9)).cumsum(axis=0)
    data[:, 1] = 10 + 2 * data[:, 0] + rng.normal(size=300)  # a true pair
    data[:, 3] = 3 * data[:, 2] + 1  # the same twice
    data[:, 4] = 7.0  # constant
    data[100:150, 5] = np.nan  # a hole
    data[20:, 6] = np.nan  # hardly anything
    return data


def alone(y, x, **options):
    try:
        return engle_granger(y, x, **options)
    except AnalyticsError as error:
        return OUTCOMES[type(error)]


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("autolag", ["aic", "t-stat", None])
def test_every_row_equals_the_single_test(prices, trend, autolag):
    screen = screen_pairs(prices, trend=trend, autolag=autolag, maxlag=6)
    assert len(screen) == 72
    for row in range(72):
        y, x = prices[:, screen.y[row]], prices[:, screen.x[row]]
        both = ~(np.isnan(y) | np.isnan(x))
        single = alone(y[both], x[both], trend=trend, autolag=autolag, maxlag=6)
        if isinstance(single, PairOutcome):
            assert screen.outcome[row] == single
            assert np.isnan([screen.p_value[row], screen.q_value[row], screen.beta[row], screen.half_life[row]]).all()
            assert screen.used_lag[row] == -1
            continue
        assert screen.outcome[row] == PairOutcome.TESTED
        assert (screen.used_lag[row], screen.nobs[row]) == (single.used_lag, single.nobs)
        got = (screen.statistic[row], screen.p_value[row], screen.beta[row], screen.alpha[row])
        assert got == pytest.approx((single.statistic, single.p_value, single.beta, single.alpha), rel=1e-8, abs=1e-10)
        bars = half_life(first_step(y[both], x[both], trend)[1])
        assert screen.half_life[row] == pytest.approx(bars.bars if bars else np.nan, rel=1e-8, nan_ok=True)
        residual = first_step(y[both], x[both], trend)[1]
        exponent = hurst(residual).exponent if both.sum() >= 40 else np.nan
        assert screen.hurst[row] == pytest.approx(exponent, rel=1e-8, nan_ok=True)
        assert screen.crossings[row] == np.count_nonzero(np.diff(np.sign(residual)))
        correlation = np.corrcoef(np.diff(np.log(y[both])), np.diff(np.log(x[both])))[0, 1]
        assert screen.correlation[row] == pytest.approx(correlation, rel=1e-8)
    np.testing.assert_array_equal(screen.q_value, benjamini_hochberg(screen.p_value))


def test_equals_a_loop_over_statsmodels(prices):
    from statsmodels.tsa.stattools import coint

    whole = prices[:, [0, 1, 2, 7, 8]]
    screen = screen_pairs(whole)
    for row in range(len(screen)):
        statistic, p, _ = coint(whole[:, screen.y[row]], whole[:, screen.x[row]], return_results=False)
        assert screen.statistic[row] == pytest.approx(statistic, rel=1e-8)
        assert screen.p_value[row] == pytest.approx(p, abs=1e-6)


def test_the_true_pair_comes_first(prices):
    screen = screen_pairs(prices)
    best = screen.ranked()[0]
    assert {screen.y[best], screen.x[best]} == {0, 1}
    assert screen.q_value[best] < 0.001
    assert np.isnan(screen.p_value[screen.ranked()[-1]])


def test_one_direction_a_pair_and_given_pairs(prices):
    forward = screen_pairs(prices, direction="forward")
    assert len(forward) == 36
    assert (forward.y < forward.x).all()
    given = screen_pairs(prices, direction=[(1, 0), (7, 8), (5, 0)])
    assert list(zip(given.y.tolist(), given.x.tolist(), strict=True)) == [(1, 0), (7, 8), (5, 0)]
    assert given.q_value[0] == pytest.approx(min(1.0, given.p_value[0] * 3))
    assert len(screen_pairs(prices, direction=[])) == 0


def test_pairs_with_an_illiquid_leg_are_not_tested_and_do_not_count(prices):
    volumes = np.array([5.0, 4.0, 3.0, 1.0, 9.0, 9.0, 9.0, 2.0, np.nan])
    screen = screen_pairs(prices, liquidity=volumes, least_liquidity=2.0)
    thin = (screen.y == 3) | (screen.x == 3)
    assert (screen.outcome[thin] == PairOutcome.ILLIQUID).all()
    assert not (screen.outcome[~thin] == PairOutcome.ILLIQUID).any()
    assert np.isnan(screen.correlation[thin]).all()
    np.testing.assert_array_equal(screen.liquidity, np.minimum(volumes[screen.y], volumes[screen.x]))
    without = screen_pairs(np.delete(prices, 3, axis=1))
    np.testing.assert_array_equal(screen.q_value[~thin], without.q_value)
    assert np.isnan(screen_pairs(prices).liquidity).all()
    with pytest.raises(UsageError, match="one figure for each of the 9 symbols"):
        screen_pairs(prices, liquidity=[1.0])


def test_prices_that_are_not_positive_have_no_log_returns():
    walks = np.random.default_rng(3).normal(size=(200, 3)).cumsum(axis=0)
    screen = screen_pairs(walks)
    assert np.isnan(screen.correlation).all()
    assert (screen.outcome == PairOutcome.TESTED).all()


def test_progress_is_reported(prices):
    seen = []
    screen_pairs(prices[:, :4], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 12), (6, 12), (9, 12), (12, 12)]


def test_memory_is_a_few_copies_of_the_prices_and_the_table():
    """Not a copy of both legs for each pair: with holes, too."""
    rng = np.random.default_rng(4)
    prices = 100 + rng.normal(size=(900, 30)).cumsum(axis=0)
    prices[7, :5] = np.nan
    screen_pairs(prices[:, :3])  # compiled
    tracemalloc.start()
    screen = screen_pairs(prices)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(screen) == 870
    assert peak < 8 * prices.nbytes + 500 * len(screen)  # copies of the legs of every pair would be 58 times the prices


def test_few_false_discoveries_among_unrelated_walks():
    rng = np.random.default_rng(2)
    discoveries = 0
    for _ in range(40):
        walks = rng.normal(size=(400, 8)).cumsum(axis=0)
        discoveries += bool((screen_pairs(walks, direction="forward").q_value < 0.05).any())
    assert discoveries <= 8  # 5 % of 40 is 2; three standard errors above, and the test's own small size distortion


def test_refusals(prices):
    with pytest.raises(AnalyticsError, match="at least two symbols"):
        screen_pairs(prices[:, :1])
    with pytest.raises(NotFinite):
        screen_pairs(np.where(np.isnan(prices), np.inf, prices))
    with pytest.raises(UsageError, match="direction"):
        screen_pairs(prices, direction="both")
    with pytest.raises(UsageError, match="column twice"):
        screen_pairs(prices, direction=[(1, 1)])
    with pytest.raises(UsageError, match="trend"):
        screen_pairs(prices, trend="x")
    short = screen_pairs(prices[:20, [0, 2]])
    assert (short.outcome == PairOutcome.TOO_SHORT).all()
