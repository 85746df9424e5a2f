"""What the statistics say of markets: the simulator's planted pairs, and a month of Binance's own klines."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.feather
import pytest

from pipeline.analytics import fit_model, half_life, screen_pairs, signal_series
from pipeline.simulator.candles import bucket_ms
from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.trades import HOUR_MS, Tape
from pipeline.simulator.universe import GENESIS_HOUR, Relation, truth

MINUTE_MS = 60_000
DAY = GENESIS_HOUR + 24 * 400
HOURS = 36
LINKED = [planted for planted in truth() if planted.kind is Relation.COINTEGRATED]
APART = [planted for planted in truth() if planted.kind is Relation.UNRELATED]


@pytest.fixture(scope="module")
def closes():
    """Minute closes of simulated symbols over a day and a half, as the venue's candles have them."""
    history = SyntheticHistory(Tape(7), lambda: (DAY + HOURS) * HOUR_MS)
    found: dict[str, np.ndarray] = {}
    for symbol in sorted({leg for planted in (*LINKED, *APART) for leg in (planted.y, planted.x)}):
        prices = np.full(HOURS * 60, np.nan)
        for hour in range(DAY, DAY + HOURS):
            candles = history.candles(symbol, MINUTE_MS, hour)
            prices[(bucket_ms(candles.open_ms, MINUTE_MS) - DAY * HOUR_MS) // MINUTE_MS] = candles.close
        missing = np.isnan(prices)
        at = np.maximum.accumulate(np.where(missing, 0, np.arange(prices.size)))
        found[symbol] = prices[at] / 10.0 ** history.instrument(symbol).price_decimals
    return found


@pytest.mark.parametrize("planted", LINKED, ids=lambda planted: f"{planted.y}/{planted.x}")
def test_beta_and_half_life_of_planted_pairs_are_within_their_errors(closes, planted):
    y, x = closes[planted.y], closes[planted.x]
    fit = fit_model(y, x)
    assert fit.verdict.cointegrated
    minutes = planted.half_life_s / 60
    phi = 0.5 ** (1 / minutes)
    # The residual is an AR(1), not noise: that widens the textbook error by its long-run variance.
    assert abs(fit.beta - planted.beta) <= 3 * fit.beta_se * math.sqrt((1 + phi) / (1 - phi))
    # Last prices bounce and stand still between trades: noise that makes a spread look faster, less so on longer bars.
    every = 5
    residual = (y - fit.beta * x)[::every]
    phi = 0.5 ** (every / minutes)
    error = math.sqrt((1 - phi * phi) / residual.size)
    bias = (1 + 3 * phi) / residual.size  # Kendall, "Note on bias in the estimation of autocorrelation", Biometrika 41 (1954)
    assert phi - bias - 3 * error <= half_life(residual).phi <= phi + 3 * error


def test_a_screen_puts_the_planted_pairs_first(closes):
    names = list(closes)
    screen = screen_pairs(np.column_stack(list(closes.values())), direction="forward")
    hits = {frozenset((names[screen.y[row]], names[screen.x[row]])) for row in np.flatnonzero(screen.q_value <= 0.05)}
    planted = {frozenset((pair.y, pair.x)) for pair in LINKED}
    assert planted <= hits
    assert not hits & {frozenset((pair.y, pair.x)) for pair in APART}
    best = screen.ranked()[: len(planted)]
    assert {frozenset((names[screen.y[row]], names[screen.x[row]])) for row in best} == planted


def test_a_month_of_real_klines(market_data):
    tables = {
        name: pyarrow.feather.read_table(market_data / "klines_um" / f"{name}_USDT_USDT-1m-futures.feather")
        for name in ("BTC", "ETH", "SOL", "BNB")
    }
    dates = set.intersection(*(set(table["date"].to_pylist()) for table in tables.values()))
    prices = {}
    for name, table in tables.items():
        kept = [close for date, close in zip(table["date"].to_pylist(), table["close"].to_pylist(), strict=True) if date in dates]
        prices[name] = np.array(kept)
    n = min(len(series) for series in prices.values())
    assert n > 20_000
    recent = {name: series[-1_440:] for name, series in prices.items()}
    screen = screen_pairs(np.column_stack(list(recent.values())))
    assert len(screen) == 12
    assert np.isfinite(screen.p_value).all()
    assert (screen.correlation > 0.3).all()
    fit = fit_model(recent["ETH"], recent["BTC"])
    assert fit.notes == ()
    assert fit.r_squared > 0.5
    signals = signal_series(prices["ETH"], prices["BTC"], fit.beta, zscore_window=20, correlation_window=50)
    assert np.isfinite(signals.zscore[19:]).mean() > 0.99
    assert np.nanmax(np.abs(signals.zscore)) <= 19 / math.sqrt(20)
