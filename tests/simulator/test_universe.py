from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.stattools import coint

from pipeline.simulator import Relation, truth
from pipeline.simulator.trades import HOUR_MS, Tape, joined
from pipeline.simulator.universe import BY_SYMBOL, SPECS, Link

PLANTED = [planted for planted in truth() if planted.kind is Relation.COINTEGRATED]
OTHERS = [planted for planted in truth() if planted.kind in {Relation.CORRELATED, Relation.UNRELATED}]


def minute_closes(tape: Tape, symbol: str, hour: int, hours: int) -> np.ndarray:
    trades = joined([tape.trades(symbol, hour + k) for k in range(hours)])
    ends = np.arange(hour * HOUR_MS + 60_000, (hour + hours) * HOUR_MS + 1, 60_000)
    at = np.maximum(trades.time_ms.searchsorted(ends) - 1, 0)
    return trades.price[at] / 10.0 ** BY_SYMBOL[symbol].instrument.price_decimals


def test_the_universe_is_what_was_asked_for():
    assert len(SPECS) >= 24
    assert len(BY_SYMBOL) == len(SPECS)
    assert BY_SYMBOL["BTCUSDT"].level == 60_000
    assert len(PLANTED) >= 5
    assert {planted.kind for planted in truth()} == set(Relation)
    for planted in PLANTED:
        assert planted.beta
        assert planted.half_life_s
    for spec in SPECS:
        if isinstance(spec.made_of, Link):
            assert not isinstance(BY_SYMBOL[spec.made_of.x].made_of, Link)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.y}/{planted.x}")
def test_planted_pairs_cointegrate_with_their_beta(planted):
    betas, p_values = [], []
    for seed, hour in ((7, 498_600), (8, 499_100), (9, 500_250)):
        tape = Tape(seed)
        y, x = (minute_closes(tape, symbol, hour, 24) for symbol in (planted.y, planted.x))
        p_values.append(coint(y, x, autolag=None, maxlag=2)[1])
        beta, alpha = np.polyfit(x, y, 1)
        residual = y - alpha - beta * x
        # the residual is an AR(1): its long-run variance, not its variance, decides how well beta is known
        phi = np.dot(residual[1:], residual[:-1]) / np.dot(residual, residual)
        error = np.std(residual) / np.std(x) / np.sqrt(len(x) * (1 - phi) / (1 + phi))
        betas.append((beta - planted.beta) / error)
    assert max(p_values) < 0.05, p_values
    assert np.abs(betas).max() < 3.5, betas
    assert np.abs(np.mean(betas)) < 2.5


def test_the_truth_can_be_read():
    lines = [str(planted) for planted in truth()]
    assert lines[0].split() == ["ETHUSDT/BTCUSDT", "cointegrated", "beta", "0.045", "half-life", "480", "s"]
    assert "XLMUSDT/XRPUSDT         correlated" in lines


def test_the_flagship_pair_gives_signals():
    tape = Tape(7)
    y, x = (minute_closes(tape, symbol, 498_600, 24) for symbol in ("ETHUSDT", "BTCUSDT"))
    spread = y - 0.045 * x
    windows = np.lib.stride_tricks.sliding_window_view(spread, 20)
    z = (spread[19:] - windows.mean(axis=1)) / windows.std(axis=1, ddof=1)
    assert 0.05 < np.mean(np.abs(z) > 2) < 0.2
    assert np.corrcoef(np.diff(np.log(y)), np.diff(np.log(x)))[0, 1] > 0.6
    centred = spread - spread.mean()
    phi = np.dot(centred[1:], centred[:-1]) / np.dot(centred[:-1], centred[:-1])
    assert -np.log(2) / np.log(phi) * 60 == pytest.approx(480, rel=0.35)


def test_other_pairs_do_not_cointegrate_systematically():
    p_values = []
    for seed, hour in ((7, 498_600), (8, 499_100), (9, 500_250), (10, 501_000)):
        tape = Tape(seed)
        for pair in OTHERS:
            y, x = (minute_closes(tape, symbol, hour, 24) for symbol in (pair.y, pair.x))
            p_values.append(coint(y, x, autolag=None, maxlag=2)[1])
    assert np.mean(np.array(p_values) < 0.05) <= 0.2, p_values
    assert np.median(p_values) > 0.2


def test_correlated_pairs_correlate_and_unrelated_ones_do_not():
    tape = Tape(7)
    for pair in OTHERS:
        y, x = (np.diff(np.log(minute_closes(tape, symbol, 498_600, 24))) for symbol in (pair.y, pair.x))
        correlation = np.corrcoef(y, x)[0, 1]
        assert correlation > 0.5 if pair.kind is Relation.CORRELATED else abs(correlation) < 0.15


def test_breaking_pairs_break_and_return():
    tape = Tape(7)
    for planted in (planted for planted in truth() if planted.kind is Relation.BREAKING):
        spec = BY_SYMBOL[planted.y]
        hours = range(498_600, 498_600 + 240)
        spreads = np.array([np.mean(tape.prices.mid(planted.y, h) - planted.beta * tape.prices.mid(planted.x, h)) for h in hours])
        alpha = spec.level - planted.beta * BY_SYMBOL[planted.x].level
        away = np.abs(spreads - alpha) / (spec.made_of.spread_bp * 1e-4 * spec.level) > 7
        assert 0.1 < away.mean() < 0.6
        assert np.diff(away.astype(int)).astype(bool).sum() >= 6
