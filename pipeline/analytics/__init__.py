"""Pair statistics: pure functions, float64 arrays in, frozen results out.

Nothing here reads a clock, a file or a setting. Input that a statistic is not defined for raises a named
error (:mod:`pipeline.errors`: TooShort, NotFinite, Constant, Collinear) or gives a documented NaN or None.
Heavy libraries are imported by the functions that need them, so importing this package is cheap.
"""

from __future__ import annotations

from pipeline.analytics.adf import Adf, adf
from pipeline.analytics.align import Aligned, align
from pipeline.analytics.correlation import log_returns, rolling_correlation
from pipeline.analytics.engle_granger import EngleGranger, engle_granger
from pipeline.analytics.ew import Ew, ew_moments
from pipeline.analytics.fdr import benjamini_hochberg
from pipeline.analytics.fit import PairFit, fit_model
from pipeline.analytics.half_life import HalfLife, half_life
from pipeline.analytics.hedge import (
    HedgeRatio,
    RollingHedge,
    hedge_methods,
    hedge_ratio,
    register_hedge_method,
    rolling_hedge_ratio,
)
from pipeline.analytics.hurst import Hurst, hurst
from pipeline.analytics.johansen import Johansen, johansen
from pipeline.analytics.kalman import KalmanHedge, kalman_hedge_ratio
from pipeline.analytics.kernels import warm
from pipeline.analytics.liquidity import (
    Liquidity,
    amihud,
    corwin_schultz,
    liquidity,
    quoted_spread,
    roll_spread,
    taker_imbalance,
    volume_percentile,
)
from pipeline.analytics.mackinnon import CriticalValues
from pipeline.analytics.online import OnlineCorrelation, OnlineEw, OnlineKalman, OnlineMoments, OnlineOls, OnlineZScore
from pipeline.analytics.reading import read_correlation, read_half_life, read_hurst, read_r_squared, read_stationarity, read_zscore
from pipeline.analytics.screen import PairOutcome, Screen, screen_pairs
from pipeline.analytics.signals import Signals, signal_series
from pipeline.analytics.spread import spread
from pipeline.analytics.verdict import Outcome, Verdict, verdict
from pipeline.analytics.zscore import rolling_zscore, zscore_bound

__all__ = [
    "Adf",
    "Aligned",
    "CriticalValues",
    "EngleGranger",
    "Ew",
    "HalfLife",
    "HedgeRatio",
    "Hurst",
    "Johansen",
    "KalmanHedge",
    "Liquidity",
    "OnlineCorrelation",
    "OnlineEw",
    "OnlineKalman",
    "OnlineMoments",
    "OnlineOls",
    "OnlineZScore",
    "Outcome",
    "PairFit",
    "PairOutcome",
    "RollingHedge",
    "Screen",
    "Signals",
    "Verdict",
    "adf",
    "align",
    "amihud",
    "benjamini_hochberg",
    "corwin_schultz",
    "engle_granger",
    "ew_moments",
    "fit_model",
    "half_life",
    "hedge_methods",
    "hedge_ratio",
    "hurst",
    "johansen",
    "kalman_hedge_ratio",
    "liquidity",
    "log_returns",
    "quoted_spread",
    "read_correlation",
    "read_half_life",
    "read_hurst",
    "read_r_squared",
    "read_stationarity",
    "read_zscore",
    "register_hedge_method",
    "roll_spread",
    "rolling_correlation",
    "rolling_hedge_ratio",
    "rolling_zscore",
    "screen_pairs",
    "signal_series",
    "spread",
    "taker_imbalance",
    "verdict",
    "volume_percentile",
    "warm",
    "zscore_bound",
]
