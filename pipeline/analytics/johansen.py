"""Johansen's test of the number of cointegrating relations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_series, require_length
from pipeline.errors import AnalyticsError, Collinear, UsageError

LEVELS = (0.10, 0.05, 0.01)
"""Significance of the columns of critical values."""

_MOST_SERIES = 12


@dataclass(frozen=True, slots=True)
class Johansen:
    """Statistics for the null hypotheses "at most r cointegrating relations", r = 0 .. k - 1, one row each.

    Attributes:
        null: the null hypotheses.
        eigenvalues: largest first.
        eigenvectors: one column for each eigenvalue: weights of the series in the relation.
        trace_stat: trace statistics; the alternative is "more than r".
        trace_critical: ``(k, 3)``: at the 10, 5 and 1 % level.
        max_eig_stat: maximum-eigenvalue statistics; the alternative is "r + 1".
        max_eig_critical: ``(k, 3)``.
    """

    null: ClassVar[str] = "at most r of the linear combinations are stationary, r = 0, 1, ... row by row"

    eigenvalues: FloatArray
    eigenvectors: FloatArray
    trace_stat: FloatArray
    trace_critical: FloatArray
    max_eig_stat: FloatArray
    max_eig_critical: FloatArray

    def rank(self, significance: float = 0.05, *, by: str = "trace") -> int:
        """Number of relations: the first r whose hypothesis is not rejected, by the ``trace`` or the ``max_eig`` test.

        The two may disagree; choose beforehand. The trace test keeps its level better when residuals are not normal
        (Cheung and Lai, Oxford Bulletin 55, 1993).

        Raises:
            UsageError: when there are no critical values for that significance, or no such test.
        """
        if significance not in LEVELS:
            msg = f"Johansen has no critical values at {significance}; expected one of {LEVELS}"
            raise UsageError(msg)
        if by not in {"trace", "max_eig"}:
            msg = f"Johansen has no test {by!r}; expected trace or max_eig"
            raise UsageError(msg)
        statistic, critical = (self.trace_stat, self.trace_critical) if by == "trace" else (self.max_eig_stat, self.max_eig_critical)
        rejected = statistic > critical[:, LEVELS.index(significance)]
        return int(rejected.size if rejected.all() else np.argmin(rejected))


def johansen(data: ArrayLike, det_order: int = 0, k_ar_diff: int = 1) -> Johansen:
    """Test how many linear combinations of k series are stationary. Computed by statsmodels.

    Args:
        data: ``(n_obs, k)`` levels, finite, 2 to 12 columns.
        det_order: -1 no deterministic terms, 0 a constant, 1 a linear trend.
        k_ar_diff: lagged differences in the model.

    Raises:
        TooShort: with too few rows for the regression.
        NotFinite: on NaN or infinity.
        Constant: when a series does not vary.
        Collinear: when a series is a linear function of the others.
        AnalyticsError: when the shape is not (n_obs, 2 .. 12).
        UsageError: when det_order or k_ar_diff is out of range.

    Source: Johansen, Econometrica 59 (1991); critical values by MacKinnon, Haug and Michelis (1996).
    """
    levels = np.ascontiguousarray(data, dtype=np.float64)
    if levels.ndim != 2 or not 2 <= levels.shape[1] <= _MOST_SERIES:
        msg = f"data has shape {levels.shape}; expected (n_obs, 2 to {_MOST_SERIES}), one column for each series"
        raise AnalyticsError(msg)
    if det_order not in {-1, 0, 1} or k_ar_diff < 0:
        msg = f"det_order is {det_order} and k_ar_diff {k_ar_diff}; expected -1, 0 or 1 and 0 or more"
        raise UsageError(msg)
    k = levels.shape[1]
    require_length("data", levels.shape[0], k * (k_ar_diff + 2) + k_ar_diff + det_order + 3)
    for column in range(k):
        finite_series(f"column {column}", levels[:, column])
    standardised = (levels - levels.mean(axis=0)) / levels.std(axis=0)
    if np.linalg.matrix_rank(standardised, tol=1e-7 * np.sqrt(levels.shape[0])) < k:
        msg = f"the {k} series are collinear: one is a linear function of the others; drop one"
        raise Collinear(msg)
    from statsmodels.tsa.vector_ar.vecm import coint_johansen  # noqa: PLC0415 - slow to import

    result = coint_johansen(levels, det_order, k_ar_diff)
    return Johansen(result.eig, result.evec, result.lr1, result.cvt, result.lr2, result.cvm)
