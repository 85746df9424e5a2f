"""Numbers that others published, each beside its source (tests/reference/ has those that fill a file)."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest

from pipeline.analytics import adf, engle_granger, fit_model
from pipeline.analytics.verdict import Outcome


@pytest.fixture(scope="session")
def crude(market_data):
    """(log WTI, log Brent), monthly: the data bundled with the arch package."""
    with gzip.open(market_data / "coint" / "crude.csv.gz", "rt", encoding="utf-8-sig") as file:
        rows = [(float(row["WTI"]), float(row["Brent"])) for row in csv.DictReader(file)]
    return np.log(np.array(rows)).T


def test_engle_granger_of_crude_oil_equals_arch(crude):
    # arch, documentation of engle_granger, and shared notes: log WTI on log Brent, constant, lag by AIC
    wti, brent = crude
    result = engle_granger(wti, brent, trend="c")
    assert result.statistic == pytest.approx(-5.539573, abs=5e-7)
    assert result.beta == pytest.approx(0.907179, abs=5e-7)


def test_fit_of_crude_oil_on_the_log_scale(crude):
    wti, brent = np.exp(crude)
    fit = fit_model(wti, brent, scale="log")
    assert fit.beta == pytest.approx(0.907179, abs=5e-7)
    assert fit.eg_stat == pytest.approx(-5.539573, abs=5e-7)
    assert fit.verdict.outcome is Outcome.COINTEGRATED
    assert fit.notes == ()


# Stata's dfuller, as quoted in statsmodels, tsa/tests/test_stattools.py (classes TestADFConstant, ...Trend, ...NoConstant)
@pytest.mark.parametrize(
    ("trend", "statistic", "p"),
    [("c", 0.97505319, 0.99399563), ("ct", -1.8566374, 0.67682968), ("n", 3.5227498, None)],
)
def test_adf_of_real_gdp_equals_stata(trend, statistic, p):
    from statsmodels.datasets import macrodata

    gdp = macrodata.load_pandas().data["realgdp"].to_numpy()
    result = adf(gdp, trend=trend, autolag=None, maxlag=4)
    assert result.statistic == pytest.approx(
        statistic, abs=5e-6
    )  # the five decimals that statsmodels holds itself to: Stata read other digits of the data
    if p is not None:
        assert result.p_value == pytest.approx(p, abs=5e-6)


def test_adf_of_inflation_equals_stata():
    # statsmodels, tsa/tests/test_stattools.py, TestADFConstant2: Stata `dfuller infl, lags(1) regress`
    from statsmodels.datasets import macrodata

    inflation = macrodata.load_pandas().data["infl"].to_numpy()
    result = adf(inflation, trend="c", autolag=None, maxlag=1)
    assert result.statistic == pytest.approx(-4.3346988, abs=5e-6)
    assert result.p_value == pytest.approx(0.00038661, abs=5e-6)
    critical = result.critical_values
    assert [critical.pct1, critical.pct5, critical.pct10] == pytest.approx([-3.476, -2.883, -2.573], abs=0.02)  # as printed for n = 200


def test_fit_of_real_minute_bars_equals_statsmodels(market_data):
    import polars as pl
    from statsmodels.tsa.stattools import coint

    closes = []
    for symbol in ("ETH", "BTC"):
        frame = pl.read_ipc(market_data / "klines_um" / f"{symbol}_USDT_USDT-1m-futures.feather")
        closes.append(frame["close"].to_numpy()[:1_440])
    eth, btc = closes
    statistic, p, _ = coint(eth, btc, return_results=False)
    for method in ("ols", "huber", "theil_sen", "tls"):
        fit = fit_model(eth, btc, method=method)
        assert (fit.eg_stat, fit.eg_p) == (pytest.approx(statistic, rel=1e-8), pytest.approx(p, abs=1e-6))
        assert 0.01 < fit.beta < 0.2
        assert fit.adf_p is not None
