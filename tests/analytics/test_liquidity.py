"""Liquidity metrics against their formulas, and on a market whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics import (
    amihud,
    corwin_schultz,
    liquid_bars,
    liquidity,
    quoted_spread,
    roll_spread,
    taker_imbalance,
    volume_percentile,
)
from pipeline.errors import AnalyticsError, NotFinite, TooShort, UsageError


def test_liquid_bars_can_be_dropped_or_masked():
    y_volume = np.array([5.0, 0.0, 4.0, np.nan, 9.0, 9.0])
    x_volume = np.array([5.0, 5.0, 1.0, 5.0, 5.0, 2.0])
    assert liquid_bars(y_volume, x_volume, least=2.0).tolist() == [True, False, False, False, True, True]
    assert liquid_bars(y_volume, least=4.0, window=2).tolist() == [False, False, False, False, True, True]
    assert liquid_bars([], least=1.0).size == 0
    cut = liquid_bars(y_volume[:4], x_volume[:4], least=2.0, window=3)
    assert cut.tolist() == liquid_bars(y_volume, x_volume, least=2.0, window=3)[:4].tolist()
    with pytest.raises(UsageError, match="at least one leg"):
        liquid_bars(least=1.0)
    with pytest.raises(AnalyticsError, match="same number"):
        liquid_bars([1.0], [1.0, 2.0], least=1.0)


def bouncing_bars(spread, n, seed):
    """Bars of 390 ticks of a random walk that trades at bid or ask with equal chance."""
    rng = np.random.default_rng(seed)
    mid = np.exp(rng.normal(scale=0.03 / np.sqrt(390), size=(n, 390)).cumsum().reshape(n, 390))
    price = mid * (1 + spread / 2 * rng.choice([-1, 1], size=(n, 390)))
    return price.max(axis=1), price.min(axis=1), price[:, -1]


def test_corwin_schultz_finds_the_spread_that_was_put_in():
    # Corwin and Schultz (2012), table I: 3 % daily volatility, spread 1 %: mean estimate 1.0 to 1.4 %
    high, low, _ = bouncing_bars(0.03, 2_000, 1)
    assert corwin_schultz(high, low, 2_000)[-1] == pytest.approx(0.03, rel=0.15)


def test_corwin_schultz_by_its_formula():
    high, low = np.array([102.0, 104.0, 103.0, 106.0]), np.array([99.0, 100.0, 101.0, 100.0])
    estimates = []
    for t in range(1, 4):
        beta = np.log(high[t] / low[t]) ** 2 + np.log(high[t - 1] / low[t - 1]) ** 2
        gamma = np.log(max(high[t], high[t - 1]) / min(low[t], low[t - 1])) ** 2
        k = 3 - 2 * np.sqrt(2)
        alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
        estimates.append(max(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0.0))
    out = corwin_schultz(high, low, 3)
    assert np.isnan(out[:2]).all()
    assert out[2:] == pytest.approx([np.mean(estimates[:2]), np.mean(estimates)])


def test_roll_finds_the_bounce():
    rng = np.random.default_rng(2)
    mid = 100 + 0.0001 * rng.normal(size=5_000).cumsum()
    price = mid + 0.05 * rng.choice([-1, 1], size=5_000)
    assert roll_spread(price, 4_000)[-1] == pytest.approx(0.001, rel=0.05)  # 0.10 on 100
    r = np.diff(np.log(price))[:60]
    assert roll_spread(price[:61], 59)[-1] == pytest.approx(2 * np.sqrt(-np.cov(r[1:], r[:-1])[0, 1]), rel=1e-9)
    assert np.isnan(roll_spread(np.exp(np.linspace(0, 1, 40) ** 3), 10)).all()  # a trend has no bounce: no number, not 0


def test_amihud_by_its_formula():
    close, amount = np.array([100.0, 101.0, 99.0, 100.0]), np.array([10.0, 20.0, 0.0, 50.0])
    first, last = abs(np.log(1.01)) / 20.0, abs(np.log(100 / 99)) / 50.0
    out = amihud(close, amount, 3)
    assert np.isnan(out[:2]).all()
    assert out[2:] == pytest.approx([first, (first + last) / 2])  # the bar without volume does not count


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 90), st.integers(3, 20), st.sampled_from([1e-4, 0.02]))
def test_windows_equal_pandas(seed, n, window, wide):
    import pandas as pd

    rng = np.random.default_rng(seed)
    close = 60_000 * np.exp(wide * rng.normal(size=n).cumsum())
    amount = np.where(rng.random(n) < 0.2, 0.0, rng.exponential(1e5, size=n))
    returns = pd.Series(np.log(close)).diff()
    illiquid = (returns.abs() / pd.Series(amount).where(amount > 0)).rolling(window, min_periods=1).mean()
    np.testing.assert_allclose(amihud(close, amount, window)[window - 1 :], illiquid.to_numpy()[window - 1 :], rtol=1e-8)
    bounce = [np.cov(returns[t - window + 1 : t + 1], returns[t - window : t])[0, 1] for t in range(window + 1, n)]
    ours = roll_spread(close, window)
    assert np.isnan(ours[: window + 1]).all()
    for t, covariance in zip(range(window + 1, n), bounce, strict=True):
        if abs(covariance) > 1e-9 * wide**2:  # as near to 0 as that, rounding decides
            assert ours[t] == pytest.approx(2 * np.sqrt(-covariance) if covariance < 0 else np.nan, rel=1e-6, nan_ok=True)
    high, low = close * (1 + wide * rng.random(n)), close * (1 - wide * rng.random(n))
    top, bottom = pd.Series(np.log(high)), pd.Series(np.log(low))
    beta = (top - bottom) ** 2 + (top.shift() - bottom.shift()) ** 2
    gamma = (np.maximum(top, top.shift()) - np.minimum(bottom, bottom.shift())) ** 2
    k = 3 - 2 * np.sqrt(2)
    alpha = ((np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)).where(top.shift().notna())
    estimate = (2 * np.expm1(alpha) / (1 + np.exp(alpha))).clip(lower=0.0)
    expected = estimate.rolling(window, min_periods=1).mean().to_numpy()[window - 1 :]
    np.testing.assert_allclose(corwin_schultz(high, low, window)[window - 1 :], expected, rtol=1e-7, atol=1e-9)


def test_imbalance_and_quoted_spread():
    assert taker_imbalance([4.0, 4.0, 4.0, 0.0], [4.0, 2.0, 0.0, 0.0])[:3].tolist() == [1.0, 0.0, -1.0]
    assert np.isnan(taker_imbalance([0.0], [0.0])).all()
    out = quoted_spread([99.0, np.nan, 101.0, 0.0, 100.0], [101.0, 100.0, 99.0, 1.0, 100.0])
    assert out[0] == pytest.approx(0.02)
    assert np.isnan(out[1:4]).all()
    assert out[4] == 0.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(3, 12))
def test_volume_percentile_counts(volumes, window):
    out = volume_percentile(np.array(volumes, float), window)
    for t, value in enumerate(out):
        if t < window - 1:
            assert np.isnan(value)
        else:
            assert value == np.mean(np.array(volumes[t - window + 1 : t + 1]) <= volumes[t])


def test_the_bundle_says_what_is_absent():
    high, low, close = bouncing_bars(0.01, 50, 3)
    ones = np.ones(50)
    columns = {
        "high": high,
        "low": low,
        "close": close,
        "volume": ones,
        "quote_volume": close,
        "trades": ones,
        "taker_buy_volume": 0.5 * ones,
    }
    without = liquidity(**columns, window=20)
    assert without.quoted_spread is None
    assert without.notes == ("quoted spread: no quotes for these bars",)
    with_quotes = liquidity(**columns, window=20, bid=close - 0.1, ask=close + 0.1)
    assert with_quotes.notes == ()
    assert np.isfinite(with_quotes.quoted_spread).all()
    assert with_quotes.taker_imbalance.tolist() == [0.0] * 50
    for name in ("amihud", "corwin_schultz", "volume_percentile"):
        values = getattr(with_quotes, name)
        assert np.isnan(values[:19]).all()
        assert np.isfinite(values[19:]).all()
    empty = liquidity(**{name: [] for name in columns}, window=20)
    assert empty.amihud.size == 0
    with pytest.raises(TooShort):
        liquidity(**columns, window=2)
    with pytest.raises(NotFinite):
        liquidity(**{**columns, "low": -low}, window=20)
    with pytest.raises(AnalyticsError, match="volume has 50"):
        liquidity(**{**columns, "quote_volume": close[1:]}, window=20)
