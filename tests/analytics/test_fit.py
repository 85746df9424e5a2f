"""The bundle of one pair, the verdict, and the words around the numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.analytics import (
    Outcome,
    adf,
    engle_granger,
    fit_model,
    half_life,
    hedge_ratio,
    hurst,
    read_correlation,
    read_half_life,
    read_hurst,
    read_r_squared,
    read_stationarity,
    read_zscore,
    verdict,
)
from pipeline.errors import Constant, NotFinite, TooShort, UsageError


@pytest.fixture(scope="module")
def legs():
    rng = np.random.default_rng(1)
    x = 1_000 + rng.normal(size=500).cumsum()
    noise = np.zeros(500)
    for t in range(1, 500):
        noise[t] = 0.8 * noise[t - 1] + rng.normal()
    return 50 + 1.5 * x + noise, x


@pytest.mark.parametrize("method", ["ols", "huber", "theil_sen", "tls", "min_half_life"])
@pytest.mark.parametrize("scale", ["price", "log"])
def test_the_bundle_holds_what_its_parts_say(legs, method, scale):
    fit = fit_model(*legs, method=method, scale=scale)
    y, x = (np.log(leg) for leg in legs) if scale == "log" else legs
    hedge = hedge_ratio(y, x, method=method)
    s = y - hedge.beta * x
    assert (fit.beta, fit.alpha, fit.r_squared, fit.n, fit.method, fit.scale) == (
        hedge.beta,
        hedge.alpha,
        hedge.r_squared,
        500,
        method,
        scale,
    )
    errors = (fit.beta_se, fit.alpha_se)
    assert errors == ((None, None) if method in {"theil_sen", "min_half_life"} else (hedge.beta_se, hedge.alpha_se))
    assert (fit.adf_stat, fit.adf_p) == (adf(s).statistic, adf(s).p_value)
    assert (fit.eg_stat, fit.eg_p) == (engle_granger(y, x).statistic, engle_granger(y, x).p_value)
    assert (fit.half_life, fit.hurst) == (half_life(s).bars, hurst(s).exponent)
    assert (fit.spread_mean, fit.spread_sd) == pytest.approx((s.mean(), s.std(ddof=1)))
    assert (fit.spread_min, fit.spread_max) == (s.min(), s.max())
    assert fit.notes == ()
    assert fit.verdict.outcome is Outcome.COINTEGRATED


def test_planted_parameters_are_found(legs):
    fit = fit_model(*legs)
    assert fit.beta == pytest.approx(1.5, abs=0.05)
    assert fit.half_life == pytest.approx(-np.log(2) / np.log(0.8), rel=0.35)
    assert fit.hurst < 0.4


def test_undefined_statistics_are_named_with_their_reason(legs):
    y, x = legs
    short = fit_model(y[:20], x[:20])
    assert (short.adf_p, short.eg_p, short.hurst, short.adf_lag) == (None, None, None, None)
    assert [note.split(":")[0] for note in short.notes if "reverts" not in note][:2] == ["ADF", "Engle-Granger"]
    assert any(note.startswith("Hurst: s has 20 observations") for note in short.notes)
    assert short.verdict.outcome is Outcome.UNDEFINED
    assert short.verdict.cointegrated is None
    collinear = fit_model(2.0 * x, x)
    assert (collinear.beta, collinear.eg_p) == (pytest.approx(2.0), None)
    assert any("collinear" in note for note in collinear.notes)
    walk = np.exp(np.linspace(0, 5, 100))
    trending = fit_model(walk, np.sin(np.arange(100.0)))
    assert trending.half_life is None
    assert any(note.startswith("half-life: none") for note in trending.notes)
    for bad, error in (((y[:2], x[:2]), TooShort), ((y, np.ones(500)), Constant), ((np.append(y[1:], np.nan), x), NotFinite)):
        with pytest.raises(error):
            fit_model(*bad)
    with pytest.raises(UsageError):
        fit_model(y, x, method="nonsense")


def test_results_are_frozen(legs):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit_model(*legs).beta = 1.0


def test_verdict_goes_by_engle_granger():
    yes = verdict(0.01, 0.001, 0.05)
    assert yes.cointegrated is True
    assert yes.text == "Cointegrated at the 5 % level (Engle-Granger p = 0.010): the spread is stationary."
    trap = verdict(0.20, 0.01, 0.05)
    assert trap.cointegrated is False
    assert "do not trust it" in trap.adf_text
    assert "Not shown to be cointegrated" in trap.text
    assert verdict(0.05, None, 0.05).cointegrated is False
    assert verdict(None, 0.01, 0.05).outcome is Outcome.UNDEFINED
    assert verdict(float("nan"), float("nan"), 0.05).adf_text == "ADF of the spread: not defined on this window."
    assert "p < 0.001" in verdict(1e-9, 1e-9, 0.05).text
    with pytest.raises(UsageError, match="between 0 and 1"):
        verdict(0.1, 0.1, 5.0)


def test_reading_lines():
    assert "rich" in read_zscore(2.01)
    assert "cheap" in read_zscore(-2.01)
    assert "near its usual level" in read_zscore(2.0)
    assert "strong" in read_correlation(0.71)
    assert "moderate" in read_correlation(0.7)
    assert "weak" in read_correlation(0.29)
    assert "stationary at the 5 % level" in read_stationarity(0.049)
    assert read_stationarity(1e-9).startswith("p < 0.001")
    assert "not shown to be stationary" in read_stationarity(0.05)
    assert "explains 93 %" in read_r_squared(0.93)
    assert read_half_life(None) == "Half-life: none, the spread does not revert on this window."
    assert "12.3 bars" in read_half_life(12.34)
    assert "mean-reverting" in read_hurst(0.2)
    assert "random walk" in read_hurst(0.5)
    assert "trending" in read_hurst(0.7)
    for read in (read_zscore, read_correlation, read_stationarity, read_r_squared, read_half_life, read_hurst):
        assert read(None) == read(float("nan"))
        assert "\n" not in read(0.5)
