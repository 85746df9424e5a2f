"""Makes variance_ratio_arch.csv, which its output is: `uv run --no-project --with arch==8.0.0 tests/reference/variance_ratio_arch.py`."""

from __future__ import annotations

import csv
import sys
import warnings

import numpy as np
from arch.unitroot import VarianceRatio


def series(kind: str) -> np.ndarray:
    """The series of a row; tests/analytics/test_variance_ratio.py makes them in the same way."""
    rs = np.random.RandomState(20240808)
    steps = rs.standard_normal(600)
    if kind == "walk":
        return steps.cumsum()
    if kind == "price":
        return 60_000.0 + 0.01 * np.round(100 * steps.cumsum())
    if kind == "bounce":
        return steps.cumsum() + rs.standard_normal(600)
    return (steps * np.exp(0.02 * np.abs(steps.cumsum()))).cumsum() + 0.1 * np.arange(600)  # "volatile"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["series", "lags", "trend", "robust", "overlap", "debiased", "ratio", "statistic", "p_value"])
    for kind in ("walk", "price", "bounce", "volatile"):
        for lags in (2, 5, 16):
            for trend in ("n", "c"):
                for robust, overlap, debiased in ((True, True, True), (False, True, True), (True, True, False), (False, False, False)):
                    found = VarianceRatio(series(kind), lags, trend=trend, robust=robust, overlap=overlap, debiased=debiased)
                    numbers = (found.vr, found.stat, found.pvalue)
                    out.writerow([kind, lags, trend, int(robust), int(overlap), int(debiased), *(repr(float(value)) for value in numbers)])


if __name__ == "__main__":
    main()
