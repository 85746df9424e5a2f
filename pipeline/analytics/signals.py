"""The live series of a pair under a frozen hedge ratio."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray
from pipeline.analytics.correlation import log_returns, rolling_correlation
from pipeline.analytics.spread import spread
from pipeline.analytics.zscore import rolling_zscore


@dataclass(frozen=True, slots=True)
class Signals:
    """Spread, z-score and correlation of returns, one value for each bar; NaN where one is not defined yet."""

    spread: FloatArray
    zscore: FloatArray
    correlation: FloatArray


def signal_series(
    y: ArrayLike,
    x: ArrayLike,
    beta: float,
    *,
    scale: str = "price",
    zscore_window: int,
    correlation_window: int,
) -> Signals:
    """Spread, z-score and correlation of one-bar log returns of aligned legs, all under one ``beta``.

    ``beta`` must have been fitted on bars before the first one that is traded on: then nothing here looks ahead.
    A value depends only on the bars in its window, so the last value is the same from a long history and from
    just ``max(zscore_window, correlation_window + 1)`` bars.

    Args:
        y: closes of the dependent leg, aligned (see :func:`pipeline.analytics.align`).
        x: closes of the hedge at the same bars.
        beta: the model's hedge ratio.
        scale: ``price`` or ``log``, as the model was fitted.
        zscore_window: bars in the z-score's window, the current one included.
        correlation_window: returns in the correlation's window: its first value is at bar ``correlation_window``.

    Returns:
        Arrays as long as the legs. NaN until a window is full, where it is constant, and where it holds a NaN.

    Raises:
        TooShort: when a window is shorter than 3 bars.
        NotFinite: when a price is not above zero.
        AnalyticsError: when the legs differ in length.
    """
    values = spread(y, x, beta, scale=scale)
    return Signals(
        spread=values,
        zscore=rolling_zscore(values, zscore_window),
        correlation=rolling_correlation(log_returns(y), log_returns(x), correlation_window),
    )
