"""Nothing at t may depend on t + 1: cut the input at t, compute again, compare."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pipeline import analytics
from pipeline.analytics import (
    align,
    amihud,
    corwin_schultz,
    crossings,
    ew_moments,
    fit_kalman,
    kalman_hedge_ratio,
    level_correlation,
    liquid_bars,
    liquidity,
    log_returns,
    quoted_spread,
    return_correlation,
    roll_spread,
    rolling_correlation,
    rolling_hedge_ratio,
    rolling_spread,
    rolling_zscore,
    signal_series,
    spread,
    taker_imbalance,
    threshold_marks,
    volume_percentile,
)

N = 130
CUTS = (1, 2, 19, 20, 21, 40, 64, 65, 100, 129)


def signals(y, x):
    out = signal_series(y, x, 0.5, zscore_window=20, correlation_window=30)
    return np.column_stack((out.spread, out.zscore, out.correlation))


def rolling(method, *, intercept=True):
    def compute(y, x):
        out = rolling_hedge_ratio(y, x, 20, method=method, intercept=intercept, errors=True)
        return np.column_stack((out.beta, out.alpha, out.r_squared, out.beta_se, out.alpha_se))

    return compute


def with_holes(y, x):
    y = y.copy()
    y[5::37] = np.nan
    return rolling_hedge_ratio(y, x, 20).beta


def all_of_liquidity(y, x):
    found = liquidity(
        high=y + 1, low=y, close=y + 0.5, volume=x, quote_volume=x * y, trades=x, taker_buy_volume=0.4 * x, window=20, bid=y, ask=y + 0.1
    )
    return np.column_stack([getattr(found, name) for name in found.__dataclass_fields__ if name != "notes"])


def crossed(y, _):
    """Which bars cross a level that was known."""
    out = np.zeros(y.size)
    out[crossings(y, np.arange(y.size), level=100.0).at] = 1.0
    return out


def ew(y, _):
    out = ew_moments(y, 0.1)
    return np.column_stack((out.mean, out.variance, out.zscore))


def kalman(y, x):
    if y.size < 2:
        return np.zeros((1, 4))  # needs two bars; its first row is the start, zero, zero, y, sd
    out = kalman_hedge_ratio(y, x)
    return np.column_stack((out.beta, out.alpha, out.innovation, out.innovation_sd))


def started_kalman(y, x):
    if y.size <= 20:
        return np.full((y.size, 4), np.nan)  # needs a bar behind its start
    out = fit_kalman(y, x, start=20, delta=1e-4, observation_var=0.5)
    return np.column_stack((out.beta, out.alpha, out.spread, out.zscore))


SERIES = {
    "signals": signals,
    "rolling ols": rolling("ols"),
    "rolling ols through zero": rolling("ols", intercept=False),
    "rolling tls": rolling("tls"),
    "rolling huber": rolling("huber"),
    "rolling theil_sen": rolling("theil_sen"),
    "rolling min_half_life": rolling("min_half_life"),
    "rolling over holes": with_holes,
    "rolling spread": lambda y, x: rolling_spread(y, x, 20).values,
    "spread": lambda y, x: spread(y, x, 0.5),
    "correlation of levels": lambda y, x: level_correlation(y, x, 20),
    "correlation of returns": lambda y, x: return_correlation(y, x, 20),
    "zscore": lambda y, _: rolling_zscore(y, 20),
    "log returns": lambda y, _: log_returns(y),
    "correlation": lambda y, x: rolling_correlation(y, x, 20),
    "started kalman": started_kalman,
    "threshold marks": lambda y, _: threshold_marks(rolling_zscore(y, 20), entry=1.5, leave=0.5).position,
    "ew": ew,
    "crossings": crossed,
    "amihud": lambda y, x: amihud(y, x, 20),
    "roll": lambda y, _: roll_spread(y, 20),
    "corwin-schultz": lambda y, _: corwin_schultz(y + 1, y, 20),
    "percentile": lambda y, _: volume_percentile(y, 20),
    "quoted spread": lambda y, x: quoted_spread(y, y + 0.01 * x),
    "taker imbalance": lambda y, x: taker_imbalance(x, 0.3 * y),
    "liquid bars": lambda y, x: liquid_bars(y, x, least=99.0, window=20),
    "liquidity": all_of_liquidity,
}
OF_A_SERIES = {"align", "amihud", "corwin_schultz", "crossings", "ew_moments", "kalman_hedge_ratio", "level_correlation", "liquid_bars"}
OF_A_SERIES |= {
    "fit_kalman",
    "liquidity",
    "threshold_marks",
    "log_returns",
    "quoted_spread",
    "return_correlation",
    "roll_spread",
    "rolling_correlation",
}
OF_A_SERIES |= {
    "rolling_hedge_ratio",
    "rolling_spread",
    "rolling_zscore",
    "signal_series",
    "spread",
    "taker_imbalance",
    "volume_percentile",
}
OF_A_WINDOW = {
    "adf",
    "benjamini_hochberg",
    "beta_stability",
    "engle_granger",
    "engle_granger_both",
    "fit_model",
    "half_life",
    "hedge_ratio",
}
OF_A_WINDOW |= {"distribution", "evidence", "hurst", "johansen", "kpss", "ornstein_uhlenbeck", "screen_pairs", "variance_ratio"}
OF_NO_DATA = {"cluster_order", "hedge_methods", "register_hedge_method", "verdict", "warm", "zscore_bound"}


def test_every_function_is_known_here():
    """A new one is a series, and then in `SERIES`; or it is one figure of the window that it is given."""
    exported = {name for name in analytics.__all__ if inspect.isfunction(getattr(analytics, name)) and not name.startswith("read_")}
    assert exported == OF_A_SERIES | OF_A_WINDOW | OF_NO_DATA


@pytest.fixture(scope="module")
def legs():
    rng = np.random.default_rng(5)
    x = 100 + rng.normal(size=N).cumsum()
    return 20 + 0.8 * x + rng.normal(size=N), x


def look_ahead(compute, y, x):
    """The first cut at which the past changed; None when none did."""
    whole = compute(y, x)
    for cut in CUTS:
        if not np.array_equal(compute(y[:cut], x[:cut]), whole[:cut], equal_nan=True):
            return cut
    return None


@pytest.mark.parametrize("name", SERIES)
def test_the_past_does_not_change_when_the_future_arrives(legs, name):
    assert look_ahead(SERIES[name], *legs) is None


def test_kalman_predicts_from_the_past_alone(legs):
    y, x = legs
    assert look_ahead(lambda u, v: kalman(u, v)[:, :2], y, x) is None
    changed = y.copy()
    changed[-1] += 100.0  # the predicted state of a bar has not even seen that bar
    np.testing.assert_array_equal(kalman(changed, x)[:, [0, 1, 3]], kalman(y, x)[:, [0, 1, 3]])


def test_a_leak_is_caught(legs):
    assert look_ahead(lambda y, _: y - y.mean(), *legs) is not None
    assert look_ahead(lambda y, _: np.append(y[1:], np.nan), *legs) is not None
    assert look_ahead(lambda y, x: y - np.polyfit(x, y, 1)[0] * x if y.size > 2 else y, *legs) is not None


def test_alignment_of_the_past_does_not_change(legs):
    y, x = legs
    rng = np.random.default_rng(6)
    y_ts, x_ts = (np.sort(rng.choice(300, N, replace=False)) for _ in range(2))
    whole = align(y_ts, y, x_ts, x, 1, 3)
    for now in (10, 100, 250):
        part = align(y_ts[y_ts <= now], y[y_ts <= now], x_ts[x_ts <= now], x[x_ts <= now], 1, 3)
        before = whole.ts <= now
        rows = part.ts.size  # the end of the shorter one may wait for the later leg's next bar, never differ
        assert rows <= before.sum()
        for field in ("ts", "y", "x", "y_filled", "x_filled"):
            np.testing.assert_array_equal(getattr(part, field), getattr(whole, field)[:rows])
