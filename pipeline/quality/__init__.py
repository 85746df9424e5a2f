"""Judgements on data: values in, findings out. Pure: no clock, no tables; time is an argument."""

from __future__ import annotations

from pipeline.quality.bars import Bars, judge_ohlc
from pipeline.quality.clock import judge_clock
from pipeline.quality.finding import Finding, Severity, State, unknown
from pipeline.quality.freshness import judge_freshness
from pipeline.quality.gaps import judge_gaps
from pipeline.quality.klines import COMPARED, Difference, judge_klines
from pipeline.quality.models import LiveFit, judge_model
from pipeline.quality.outliers import judge_outliers, outlying
from pipeline.quality.ticks import judge_duplicates

__all__ = [
    "COMPARED",
    "Bars",
    "Difference",
    "Finding",
    "LiveFit",
    "Severity",
    "State",
    "judge_clock",
    "judge_duplicates",
    "judge_freshness",
    "judge_gaps",
    "judge_klines",
    "judge_model",
    "judge_ohlc",
    "judge_outliers",
    "outlying",
    "unknown",
]
