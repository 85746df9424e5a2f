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
from pipeline.analytics.kalman import KalmanHedge, kalman_hedge_ratio
from pipeline.analytics.kernels import warm
from pipeline.analytics.mackinnon import CriticalValues
from pipeline.analytics.signals import Signals, signal_series
from pipeline.analytics.spread import spread
from pipeline.analytics.verdict import Outcome, Verdict, verdict
from pipeline.analytics.zscore import rolling_zscore, zscore_bound

__all__ = [
    "Adf",
    "Aligned",
    "CriticalValues",
    "EngleGranger",
    "HalfLife",
    "HedgeRatio",
    "Hurst",
    "KalmanHedge",
    "Outcome",
    "PairFit",
    "RollingHedge",
    "Signals",
    "Verdict",
    "adf",
    "align",
    "engle_granger",
    "fit_model",
    "half_life",
    "hedge_methods",
    "hedge_ratio",
    "hurst",
    "kalman_hedge_ratio",
    "log_returns",
    "register_hedge_method",
    "rolling_correlation",
    "rolling_hedge_ratio",
    "rolling_zscore",
    "signal_series",
    "spread",
    "verdict",
    "warm",
    "zscore_bound",
]
