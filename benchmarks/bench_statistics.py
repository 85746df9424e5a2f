"""The statistics beside the libraries that people use for them; each answer is checked against the peer's in the same run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import theilslopes
from sklearn.linear_model import HuberRegressor, TheilSenRegressor
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tsa.stattools import adfuller, coint
from timing import Table, machine_line, seconds, stopwatch, timed

from pipeline.analytics import adf, hedge_ratio, rolling_correlation, rolling_hedge_ratio, rolling_zscore, screen_pairs, warm

Floats = NDArray[np.float64]

WINDOW = 500
EQUAL = 1e-8
_COMPILE = "import time; from pipeline.analytics import warm; import numba; b = time.perf_counter(); warm(); print(time.perf_counter() - b)"


def main(argv: Sequence[str] | None = None) -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=1_440, help="length of the series of ADF, Theil-Sen and screen")
    parser.add_argument("--rolling-bars", type=int, default=86_400, help="length of the series of the rolling regression")
    parser.add_argument("--symbols", type=int, default=200, help="columns of the screen")
    parser.add_argument("--sampled-pairs", type=int, default=20, help="pairs that statsmodels' coint is timed on")
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of")
    parser.add_argument("--no-compile", action="store_true", help="leave out compiling from nothing (about 15 s)")
    chosen = parser.parse_args(argv)

    packages = ("numpy", "scipy", "numba", "statsmodels", "scikit-learn")
    table = Table("Statistics on contiguous float64", machine_line(*packages))
    table.begin()
    _compilation(table, from_nothing=not chosen.no_compile)
    _adf(table, chosen.bars, chosen.runs)
    _rolling_ols(table, chosen.rolling_bars, min(WINDOW, chosen.rolling_bars // 4), chosen.runs)
    _rolling_windows(table, chosen.rolling_bars, chosen.runs)
    _huber(table, chosen.bars, chosen.runs)
    _theil_sen(table, chosen.bars, chosen.runs)
    _screen(table, chosen.symbols, chosen.bars, chosen.sampled_pairs, chosen.runs)


def _compilation(table: Table, *, from_nothing: bool) -> None:
    """Compile apart, so that no figure below has any of it in it."""
    if from_nothing:
        with tempfile.TemporaryDirectory() as empty:
            environment = {**os.environ, "NUMBA_CACHE_DIR": empty}
            done = subprocess.run([sys.executable, "-c", _COMPILE], env=environment, capture_output=True, text=True, check=True)
        table.row("compile every kernel (once an installation)", float(done.stdout))
    began = time.perf_counter()
    warm()
    table.row("load every kernel (once a process)", time.perf_counter() - began)


def _adf(table: Table, bars: int, runs: int) -> None:
    shocks = _generator(1).normal(0.0, 1.0, bars + 2)
    series = np.cumsum(shocks[2:] + 0.5 * shocks[1:-1] + 0.25 * shocks[:-2])  # its differences have a memory, for lags to be chosen
    ours, peer = adf(series), adfuller(series, autolag="AIC", result_object=True)
    assert ours.used_lag == peer.lags
    _assert_equal(ours.statistic, peer.statistic)
    _assert_equal(ours.p_value, peer.pvalue)
    mine = timed(lambda: [adf(series) for _ in range(100)], runs=runs).median_s / 100
    theirs = timed(lambda: adfuller(series, autolag="AIC", result_object=True), runs=runs).median_s
    table.row(f"ADF, lag by AIC, n = {bars:,}", mine, "statsmodels adfuller", theirs, target=100)
    table.note(f"same lag ({ours.used_lag}), statistic and p-value equal to {EQUAL:g}")


def _rolling_ols(table: Table, bars: int, window: int, runs: int) -> None:
    noise = _generator(2)
    x = 60_000.0 + np.cumsum(noise.normal(0.0, 5.0, bars))
    y = 100.0 + 0.045 * x + noise.normal(0.0, 3.0, bars)
    exog = np.column_stack([np.ones(bars), x])
    job = f"rolling OLS, {bars:,} bars, window {window:,}"
    mine = timed(lambda: rolling_hedge_ratio(y, x, window), runs=runs).median_s
    fastest_s, fastest = stopwatch(lambda: RollingOLS(y, exog, window=window).fit(params_only=True))
    complete_s, complete = stopwatch(lambda: RollingOLS(y, exog, window=window).fit().rsquared)
    table.row(job, mine, "statsmodels RollingOLS, parameters only", fastest_s, target=1_000)
    table.row(job, mine, "statsmodels RollingOLS, R squared as ours", complete_s, target=1_000)

    # Its fastest way solves normal equations that it updates from bar to bar; its exact way is what equality is asked of, on a prefix.
    ours = rolling_hedge_ratio(y, x, window)
    prefix = max(bars // 10, window + 1)
    exact_s, exact = stopwatch(lambda: RollingOLS(y[:prefix], exog[:prefix], window=window).fit(method="lstsq", params_only=True))
    table.row(job, mine, f"the same, method lstsq (first {prefix:,}, scaled)", exact_s * bars / prefix)
    worst = _relative(ours.beta[window - 1 : prefix], exact.params[window - 1 :, 1])
    assert worst <= EQUAL, worst
    drift = _relative(ours.beta[window - 1 :], fastest.params[window - 1 :, 1])
    r_squared = _relative(ours.r_squared[window - 1 :], np.asarray(complete)[window - 1 :])
    table.note(f"beta equal to lstsq's within {worst:.1e}; statsmodels' default method is off by {drift:.1e} (R squared {r_squared:.1e})")
    table.note(f"price 60,000 with noise 0.01: beta within {_worst_at_high_price(window):.1e} of extended precision")


def _worst_at_high_price(window: int) -> float:
    """Relative error of beta where sums of squares would lose every digit, against the same formula in extended precision."""
    noise = _generator(3)
    x = 60_000.0 + noise.normal(0.0, 0.01, 4 * window)
    y = 2.0 * x + noise.normal(0.0, 0.01, x.size)
    beta = rolling_hedge_ratio(y, x, window).beta
    ends = np.arange(window - 1, x.size, max(window // 10, 1))
    exact = np.empty(ends.size)
    for place, end in enumerate(ends):
        part = slice(int(end) - window + 1, int(end) + 1)
        dx = x[part].astype(np.longdouble)
        dy = y[part].astype(np.longdouble)
        dx, dy = dx - dx.mean(), dy - dy.mean()
        exact[place] = float((dx @ dy) / (dx @ dx))
    worst = _relative(beta[ends], exact)
    assert worst <= EQUAL, worst
    return worst


def _rolling_windows(table: Table, bars: int, runs: int) -> None:
    noise = _generator(7)
    a, b = noise.normal(0.0, 1.0, bars), noise.normal(0.0, 1.0, bars)
    b += a
    s = np.cumsum(a)
    frame = pl.DataFrame({"a": a, "b": b, "s": s})
    for window in (20, 50):
        if bars <= window:
            continue
        zscore = (pl.col("s") - pl.col("s").rolling_mean(window)) / pl.col("s").rolling_std(window)
        correlation = pl.rolling_corr("a", "b", window_size=window)
        np.testing.assert_allclose(rolling_zscore(s, window), frame.select(zscore.alias("z"))["z"].to_numpy(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            rolling_correlation(a, b, window), frame.select(correlation.alias("r"))["r"].to_numpy(), rtol=1e-6, atol=1e-9
        )
        mine = timed(lambda w=window: rolling_zscore(s, w), runs=4 * runs).median_s
        theirs = timed(lambda e=zscore: frame.select(e), runs=4 * runs).median_s
        table.row(f"rolling z-score, {bars:,} bars, window {window}", mine, "polars rolling_mean and rolling_std", theirs, target=1)
        mine = timed(lambda w=window: rolling_correlation(a, b, w), runs=4 * runs).median_s
        theirs = timed(lambda e=correlation: frame.select(e), runs=4 * runs).median_s
        table.row(f"rolling correlation, {bars:,} bars, window {window}", mine, "polars rolling_corr", theirs, target=1)
    table.note("equal to 1e-6; ours are to the last bit the same however the series is cut, polars' running sums are not")


def _huber(table: Table, bars: int, runs: int) -> None:
    noise = _generator(8)
    x = 60_000.0 + np.cumsum(noise.normal(0.0, 5.0, bars))
    y = 100.0 + 0.045 * x + 3.0 * noise.standard_t(2.5, bars)
    unit_x, unit_y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()  # it does not converge on raw prices
    peer = HuberRegressor(epsilon=1.35, alpha=0.0, max_iter=1_000, tol=1e-5)
    mine = timed(lambda: hedge_ratio(y, x, method="huber", errors=False), runs=4 * runs).median_s
    theirs = timed(lambda: peer.fit(unit_x[:, None], unit_y), runs=4 * runs).median_s
    table.row(f"Huber, n = {bars:,}", mine, "scikit-learn HuberRegressor, standardised", theirs, target=10)
    tight = HuberRegressor(epsilon=1.35, alpha=0.0, max_iter=10_000, tol=1e-12).fit(unit_x[:, None], unit_y)
    beta, theirs_beta = hedge_ratio(y, x, method="huber").beta, float(tight.coef_[0]) * y.std() / x.std()
    table.note(f"beta {beta:.8g} equal to scikit-learn's at its tightest tolerance within {abs(beta / theirs_beta - 1):.1e}")


def _theil_sen(table: Table, bars: int, runs: int) -> None:
    noise = _generator(4)
    x = 60_000.0 + np.cumsum(noise.normal(0.0, 5.0, bars))
    y = 100.0 + 0.045 * x + noise.normal(0.0, 3.0, bars)
    job = f"Theil-Sen, exact, n = {bars:,}"
    mine = timed(lambda: hedge_ratio(y, x, method="theil_sen", errors=False), runs=runs).median_s
    sampled_s, sampled = stopwatch(lambda: TheilSenRegressor(n_subsamples=2, random_state=0).fit(x[:, None], y))
    prefix = bars // 4
    scale = (bars * (bars - 1)) / (prefix * (prefix - 1))
    every = TheilSenRegressor(n_subsamples=2, max_subpopulation=bars * bars, random_state=0)
    exact_s, _ = stopwatch(lambda: every.fit(x[:prefix, None], y[:prefix]))
    assert every.n_subpopulation_ == prefix * (prefix - 1) // 2
    table.row(job, mine, f"scikit-learn, every pair (n {prefix:,}, scaled)", exact_s * scale, target=50)
    table.row(job, mine, f"scikit-learn's default, {sampled.n_subpopulation_:,} random pairs", sampled_s, target=50)
    ours, slopes = hedge_ratio(y, x, method="theil_sen"), theilslopes(y, x)
    _assert_equal(ours.beta, float(slopes[0]))
    whole = timed(lambda: hedge_ratio(y, x, method="theil_sen"), runs=runs).median_s
    table.row(
        f"{job}, with its interval", whole, "scipy theilslopes (exact, interval)", timed(lambda: theilslopes(y, x), runs=runs).median_s
    )
    table.note(f"beta {ours.beta:.6g} equal to scipy's within {EQUAL:g}; scikit-learn takes a spatial median ({sampled.coef_[0]:.6g})")


def _screen(table: Table, symbols: int, bars: int, sampled: int, runs: int) -> None:
    noise = _generator(5)
    market = np.cumsum(noise.normal(0.0, 1e-3, (bars, 1)), axis=0)
    walks = np.cumsum(noise.normal(0.0, 1e-3, (bars, symbols)), axis=0)
    prices = 100.0 * np.exp(market + walks)
    linked = symbols // 4  # some that belong together, so that lags are chosen on reverting residuals too
    prices[:, :linked] = 0.7 * prices[:, -linked:][:, ::-1] + noise.normal(0.0, 0.2, (bars, linked))
    found = screen_pairs(prices)
    mine = timed(lambda: screen_pairs(prices), runs=runs).median_s
    columns = [np.ascontiguousarray(column) for column in prices.T]
    rows = _generator(6).choice(len(found), size=min(sampled, len(found)), replace=False)
    coint(columns[0], columns[1], autolag="aic")
    loop_s, peers = stopwatch(lambda: [coint(columns[found.y[row]], columns[found.x[row]], autolag="aic") for row in rows])
    for row, (statistic, p_value, _) in zip(rows, peers, strict=True):
        _assert_equal(float(found.statistic[row]), statistic)
        _assert_equal(float(found.p_value[row]), p_value)
    peer = f"statsmodels coint loop ({len(rows)} pairs, scaled)"
    table.row(f"screen, {symbols} symbols, {len(found):,} ordered pairs", mine, peer, loop_s / len(rows) * len(found), target=200)
    table.note(f"{seconds(mine / len(found))} a pair; statistic and p-value of the sampled pairs equal to {EQUAL:g}")


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _relative(ours: Floats, exact: Floats) -> float:
    return float(np.nanmax(np.abs(ours - exact) / np.abs(exact)))


def _assert_equal(ours: float, theirs: float) -> None:
    assert abs(ours - theirs) <= EQUAL * max(1.0, abs(theirs)), (ours, theirs)


if __name__ == "__main__":
    main()
