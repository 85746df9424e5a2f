"""An order of symbols in which those that move together stand together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import IntArray
from pipeline.errors import AnalyticsError


def cluster_order(correlation: ArrayLike) -> IntArray:
    """Order symbols so that a matrix of their correlations shows its clusters as blocks along the diagonal.

    Average-linkage hierarchical clustering of the distance ``sqrt(2 (1 - r))`` (Mantegna, "Hierarchical structure in financial
    markets", 1999), its leaves in the order that keeps neighbours closest (Bar-Joseph, Gifford and Jaakkola, 2001).
    The order depends on the values alone; reading it backwards is as good.

    Args:
        correlation: ``(n, n)``, values in [-1, 1]. The diagonal is not looked at, of two mirrored values the mean is taken.
            NaN, a pair without a figure, counts as 0.

    Returns:
        The numbers 0 to n - 1, each once. With two symbols or fewer there is nothing to order.

    Raises:
        AnalyticsError: when the matrix is not square.
    """
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        msg = f"correlation has shape {matrix.shape}; expected a square matrix, one row and column for each symbol"
        raise AnalyticsError(msg)
    size = matrix.shape[0]
    if size <= 2:
        return np.arange(size, dtype=np.int64)
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415 - heavy

    known = np.where(np.isfinite(matrix), matrix, 0.0)
    mean = np.clip((known + known.T) / 2, -1.0, 1.0)
    upper = np.triu_indices(size, 1)
    tree = linkage(np.sqrt(2.0 * (1.0 - mean[upper])), method="average", optimal_ordering=True)
    order: IntArray = np.asarray(leaves_list(tree), dtype=np.int64)
    return order
