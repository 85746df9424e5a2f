"""The false-discovery rate of many tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, as_series
from pipeline.errors import AnalyticsError


def benjamini_hochberg(p: ArrayLike) -> FloatArray:
    """q-values of a family of tests: reject where ``q <= level`` and at most that share of rejections is expected to be false.

    The family must be every test that was run. Screening 50 symbols is 1,225 pairs: at a plain 5 % about 61 of
    them look cointegrated by chance alone.

    Args:
        p: p-values of the whole family. NaN marks a test that is not defined: it gets NaN and does not count.

    Returns:
        q-values in the order given, never below their p: ``min over k >= rank of p_(k) m / k``, at most 1.

    Raises:
        AnalyticsError: when a p-value is outside [0, 1].

    Source: Benjamini and Hochberg, JRSS B 57 (1995); valid under positive dependence (Benjamini and Yekutieli, 2001).
    """
    values = as_series("p", p)
    defined = ~np.isnan(values)
    tested = values[defined]
    if tested.size and not (tested.min() >= 0 and tested.max() <= 1):
        msg = f"p-values range from {tested.min():g} to {tested.max():g}; expected 0 to 1; pass p-values, not statistics"
        raise AnalyticsError(msg)
    result = np.full(values.size, np.nan)
    order = np.argsort(tested, kind="stable")
    steps = tested[order] * (tested.size / np.arange(1, tested.size + 1))
    q = np.empty(tested.size)
    q[order] = np.minimum.accumulate(steps[::-1])[::-1]
    result[defined] = np.minimum(q, 1.0)
    return result
