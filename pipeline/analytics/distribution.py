"""How values are spread out beside the normal curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, IntArray, finite_series

MINIMUM = 8
_LEAST_BINS, _MOST_BINS = 8, 60


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram, the moments, and the test of Jarque and Bera.

    Attributes:
        null: null hypothesis of the test.
        edges: of the bins, of one width, one more than there are bins.
        counts: values in each bin; the last bin holds its upper edge.
        normal: values that each bin would hold by the normal distribution of the same mean and standard deviation.
        mean: mean.
        sd: standard deviation, ddof = 1.
        skew: third standardised moment (biased, as scipy's default); 0 for the normal distribution.
        excess_kurtosis: fourth standardised moment less 3; 0 for the normal distribution, above it for fat tails.
        beyond_two_sd: share of values further than two standard deviations from the mean; 0.0455 for the normal distribution.
        statistic: of Jarque and Bera: ``n / 6 (skew^2 + excess_kurtosis^2 / 4)``.
        p_value: of the test, by the chi-squared distribution of 2 degrees of freedom.
        n: values.
    """

    null: ClassVar[str] = "the values are independent draws from a normal distribution"

    edges: FloatArray
    counts: IntArray
    normal: FloatArray
    mean: float
    sd: float
    skew: float
    excess_kurtosis: float
    beyond_two_sd: float
    statistic: float
    p_value: float
    n: int


def distribution(values: ArrayLike) -> Distribution:
    """Describe finite values.

    Bins are as wide as Freedman and Diaconis advise, ``2 IQR n^(-1/3)``, but 8 to 60 of them. The test's p-value is for independent
    values and large n: the values of a spread that reverts slowly are neither, so it says little but when both moments are near 0.

    Raises:
        TooShort: with fewer than 8 values.
        NotFinite: on NaN or infinity.
        Constant: when the values do not vary.

    Source: Freedman and Diaconis, Zeitschrift fuer Wahrscheinlichkeitstheorie 57 (1981); Jarque and Bera, Economics Letters 6 (1980).
    """
    series = finite_series("values", values, MINIMUM)
    n = series.size
    low, high = float(series.min()), float(series.max())
    quarter, three_quarters = np.percentile(series, (25, 75))
    width = 2.0 * float(three_quarters - quarter) * n ** (-1.0 / 3.0)
    bins = min(_MOST_BINS, max(_LEAST_BINS, math.ceil((high - low) / width) if width > 0 else _MOST_BINS))
    counts, edges = np.histogram(series, bins=bins, range=(low, high))
    apart = series - series[0]  # the level costs no precision
    apart -= apart.mean()
    variance = float(apart @ apart) / n
    standard = apart / math.sqrt(variance)
    skew, excess = float(np.mean(standard**3)), float(np.mean(standard**4)) - 3.0
    mean, sd = float(series[0] + np.mean(series - series[0])), math.sqrt(variance * n / (n - 1))
    below = np.array([0.5 * (1.0 + math.erf((edge - mean) / (sd * math.sqrt(2.0)))) for edge in edges])
    statistic = n / 6.0 * (skew**2 + excess**2 / 4.0)
    return Distribution(
        edges=edges,
        counts=counts.astype(np.int64),
        normal=n * np.diff(below),
        mean=mean,
        sd=sd,
        skew=skew,
        excess_kurtosis=excess,
        beyond_two_sd=float(np.mean(np.abs(apart) > 2.0 * sd)),
        statistic=statistic,
        p_value=math.exp(-statistic / 2.0),
        n=n,
    )
