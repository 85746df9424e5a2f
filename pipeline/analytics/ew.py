"""Exponentially weighted mean, variance and z-score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_series
from pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class Ew:
    """Attributes: exponentially weighted ``mean``, ``variance`` (biased) and ``zscore``, one value for each bar."""

    mean: FloatArray
    variance: FloatArray
    zscore: FloatArray


def ew_moments(s: ArrayLike, alpha: float) -> Ew:
    """``mean += alpha d``, ``variance = (1 - alpha)(variance + alpha d^2)`` with ``d = s - mean`` before the update.

    Starts at the first value with variance 0. As pandas' ``ewm(alpha=alpha, adjust=False)``, variance with
    ``bias=True``. The z-score is ``(s - mean) / sd`` after the update, the current value included.

    Args:
        s: the spread, finite.
        alpha: weight of the newest value, in (0, 1); ``1 - 0.5 ** (1 / h)`` halves a weight in h bars.

    Returns:
        Arrays as long as ``s``; the z-score is NaN while the variance is 0.

    Raises:
        NotFinite: on NaN or infinity.
        UsageError: when alpha is not in (0, 1).

    Source: West, "Updating mean and variance estimates", Communications of the ACM 22 (1979).
    """
    require_weight(alpha)
    series = finite_series("s", s, 0, varying=False)
    from pipeline.analytics.kernels.ew import recursion  # noqa: PLC0415 - numba

    mean, variance, apart = recursion(series, float(alpha))
    variance_or_nan = np.where(variance > 0, variance, np.nan)
    return Ew(mean, variance, apart / np.sqrt(variance_or_nan))


def require_weight(alpha: float) -> None:
    """Check the weight of the newest value.

    Raises:
        UsageError: when it is not in (0, 1).
    """
    if not 0 < alpha < 1:
        msg = f"alpha is {alpha}; expected a weight between 0 and 1, such as 0.06"
        raise UsageError(msg)
