"""Pair statistics: pure functions, float64 arrays in, frozen results out.

Nothing here reads a clock, a file or a setting. Input that a statistic is not defined for raises a named
error (:mod:`pipeline.errors`: TooShort, NotFinite, Constant, Collinear) or gives a documented NaN or None.
Heavy libraries are imported by the functions that need them, so importing this package is cheap.
"""

from __future__ import annotations

from pipeline.analytics.adf import Adf, adf
from pipeline.analytics.align import Aligned, align
from pipeline.analytics.clusters import cluster_order
from pipeline.analytics.correlation import level_correlation, log_returns, return_correlation, rolling_correlation
from pipeline.analytics.crossings import Crossings, crossings
from pipeline.analytics.distribution import Distribution, distribution
from pipeline.analytics.engle_granger import EngleGranger, engle_granger
from pipeline.analytics.engle_granger_both import EngleGrangerBoth, engle_granger_both
from pipeline.analytics.evidence import Evidence, evidence
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
from pipeline.analytics.kalman_fit import KalmanFit, fit_kalman
from pipeline.analytics.kernels import warm
from pipeline.analytics.kpss import Kpss, PValueIs, UpperCriticalValues, kpss
from pipeline.analytics.line_errors import LineErrors
from pipeline.analytics.liquidity import (
    Liquidity,
    amihud,
    corwin_schultz,
    liquid_bars,
    liquidity,
    quoted_spread,
    roll_spread,
    taker_imbalance,
    volume_percentile,
)
from pipeline.analytics.mackinnon import CriticalValues
from pipeline.analytics.online import (
    OnlineCorrelation,
    OnlineEw,
    OnlineKalman,
    OnlineMoments,
    OnlineOls,
    OnlineZScore,
    Snapshot,
)
from pipeline.analytics.ou import OrnsteinUhlenbeck, ornstein_uhlenbeck
from pipeline.analytics.reading import read_correlation, read_half_life, read_hurst, read_r_squared, read_stationarity, read_zscore
from pipeline.analytics.rolling_spread import RollingSpread, rolling_spread
from pipeline.analytics.screen import PairOutcome, Screen, screen_pairs
from pipeline.analytics.signals import Signals, signal_series
from pipeline.analytics.spread import spread
from pipeline.analytics.stability import BetaStability, CusumCriticalValues, beta_stability
from pipeline.analytics.thresholds import ThresholdMarks, threshold_marks
from pipeline.analytics.variance_ratio import NormalCriticalValues, VarianceRatio, variance_ratio
from pipeline.analytics.verdict import Outcome, Verdict, verdict
from pipeline.analytics.zscore import rolling_zscore, zscore_bound

__all__ = [
    "Adf",
    "Aligned",
    "BetaStability",
    "CriticalValues",
    "Crossings",
    "CusumCriticalValues",
    "Distribution",
    "EngleGranger",
    "EngleGrangerBoth",
    "Evidence",
    "Ew",
    "HalfLife",
    "HedgeRatio",
    "Hurst",
    "Johansen",
    "KalmanFit",
    "KalmanHedge",
    "Kpss",
    "LineErrors",
    "Liquidity",
    "NormalCriticalValues",
    "OnlineCorrelation",
    "OnlineEw",
    "OnlineKalman",
    "OnlineMoments",
    "OnlineOls",
    "OnlineZScore",
    "OrnsteinUhlenbeck",
    "Outcome",
    "PValueIs",
    "PairFit",
    "PairOutcome",
    "RollingHedge",
    "RollingSpread",
    "Screen",
    "Signals",
    "Snapshot",
    "ThresholdMarks",
    "UpperCriticalValues",
    "VarianceRatio",
    "Verdict",
    "adf",
    "align",
    "amihud",
    "benjamini_hochberg",
    "beta_stability",
    "cluster_order",
    "corwin_schultz",
    "crossings",
    "distribution",
    "engle_granger",
    "engle_granger_both",
    "evidence",
    "ew_moments",
    "fit_kalman",
    "fit_model",
    "half_life",
    "hedge_methods",
    "hedge_ratio",
    "hurst",
    "johansen",
    "kalman_hedge_ratio",
    "kpss",
    "level_correlation",
    "liquid_bars",
    "liquidity",
    "log_returns",
    "ornstein_uhlenbeck",
    "quoted_spread",
    "read_correlation",
    "read_half_life",
    "read_hurst",
    "read_r_squared",
    "read_stationarity",
    "read_zscore",
    "register_hedge_method",
    "return_correlation",
    "roll_spread",
    "rolling_correlation",
    "rolling_hedge_ratio",
    "rolling_spread",
    "rolling_zscore",
    "screen_pairs",
    "signal_series",
    "spread",
    "taker_imbalance",
    "threshold_marks",
    "variance_ratio",
    "verdict",
    "volume_percentile",
    "warm",
    "zscore_bound",
]
