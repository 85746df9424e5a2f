"""MacKinnon's p-values and critical values of unit-root and cointegration statistics.

The statistic of a Dickey-Fuller regression is not t-distributed. Its distribution depends on the deterministic
terms (``n`` none, ``c`` constant, ``ct`` and trend, ``ctt`` and squared trend) and on N, the number of series in
the cointegrating regression: 1 for a series as it was observed, 2 for the residual of a fitted pair.

Sources of every number below:
    p-values: J. G. MacKinnon, "Approximate asymptotic distribution functions for unit-root and cointegration
        tests", Journal of Business & Economic Statistics 12 (1994), tables 3 and 4.
    critical values: J. G. MacKinnon, "Critical values for cointegration tests", Queen's University working paper
        1227 (2010), tables 2 and 3; without constant, from the 1996 paper (N = 1 only).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TRENDS = ("n", "c", "ct", "ctt")
"""Deterministic terms, in the order of their number."""


@dataclass(frozen=True, slots=True)
class CriticalValues:
    """Values below which a statistic rejects at the 1, 5 and 10 % level."""

    pct1: float
    pct5: float
    pct10: float


@dataclass(frozen=True, slots=True)
class _Surface:
    """One fitted response surface: ``p = Phi(polynomial(statistic))``, in two pieces."""

    lowest: float  # p is 0 below
    split: float  # the small-p polynomial holds up to here
    highest: float  # p is 1 above
    small: tuple[float, ...]
    large: tuple[float, ...]


_INF = math.inf
_P_VALUE = {
    ("n", 1): _Surface(-19.04, -1.04, _INF, (0.6344, 1.2378, 3.2496e-2), (0.4797, 9.3557e-1, -0.6999e-1, 3.3066e-2)),
    ("n", 2): _Surface(-19.62, -1.53, 1.51, (1.9129, 1.3857, 3.5322e-2), (1.5578, 8.558e-1, -2.083e-1, -3.3549e-2)),
    ("c", 1): _Surface(-18.83, -1.61, 2.74, (2.1659, 1.4412, 3.8269e-2), (1.7339, 9.3202e-1, -1.2745e-1, -1.0368e-2)),
    ("c", 2): _Surface(-18.86, -2.62, 0.92, (2.92, 1.5012, 3.9796e-2), (2.1945, 6.4695e-1, -2.9198e-1, -4.2377e-2)),
    ("ct", 1): _Surface(-16.18, -2.89, 0.7, (3.2512, 1.6047, 4.9588e-2), (2.5261, 6.1654e-1, -3.7956e-1, -6.0285e-2)),
    ("ct", 2): _Surface(-21.15, -3.19, 0.63, (3.6646, 1.5419, 3.6448e-2), (2.85, 5.272e-1, -3.6622e-1, -5.1695e-2)),
    ("ctt", 1): _Surface(-17.17, -3.21, 0.54, (4.0003, 1.658, 4.8288e-2), (3.0778, 4.9529e-1, -4.1477e-1, -5.9359e-2)),
    ("ctt", 2): _Surface(-21.1, -3.51, 0.79, (4.3534, 1.6016, 3.7947e-2), (3.4713, 5.967e-1, -3.2507e-1, -4.2286e-2)),
}

# value = b0 + b1 / n + b2 / n^2 + b3 / n^3, for 1, 5 and 10 %
_CRITICAL = {
    ("n", 1): ((-2.56574, -2.2358, -3.627, 0.0), (-1.941, -0.2686, -3.365, 31.223), (-1.61682, 0.2656, -2.714, 25.364)),
    ("c", 1): ((-3.43035, -6.5393, -16.786, -79.433), (-2.86154, -2.8903, -4.234, -40.04), (-2.56677, -1.5384, -2.809, 0.0)),
    ("c", 2): ((-3.89644, -10.9519, -33.527, 0.0), (-3.33613, -6.1101, -6.823, 0.0), (-3.04445, -4.2412, -2.72, 0.0)),
    ("ct", 1): ((-3.95877, -9.0531, -28.428, -134.155), (-3.41049, -4.3904, -9.036, -45.374), (-3.12705, -2.5856, -3.925, -22.38)),
    ("ct", 2): ((-4.32762, -15.4387, -35.679, 0.0), (-3.78057, -9.5106, -12.074, 0.0), (-3.49631, -7.0815, -7.538, 21.892)),
    ("ctt", 1): ((-4.37113, -11.5882, -35.819, -334.047), (-3.83239, -5.9057, -12.49, -118.284), (-3.55326, -3.6596, -5.293, -63.559)),
    ("ctt", 2): ((-4.69276, -20.2284, -64.919, 88.884), (-4.15387, -13.3114, -28.402, 72.741), (-3.87346, -10.4637, -17.408, 66.313)),
}


def p_value(statistic: float, trend: str, n_series: int) -> float:
    """Asymptotic p-value of a Dickey-Fuller type statistic, for 1 or 2 series.

    Exactly 0 below and exactly 1 above the range that the surface was fitted on; NaN for NaN.
    """
    surface = _P_VALUE[trend, n_series]
    if math.isnan(statistic):
        return math.nan
    if statistic > surface.highest:
        return 1.0
    if statistic < surface.lowest:
        return 0.0
    coefficients = surface.small if statistic <= surface.split else surface.large
    argument = sum(b * statistic**power for power, b in enumerate(coefficients))
    return 0.5 * math.erfc(-argument / math.sqrt(2.0))


def critical_values(trend: str, n_series: int, nobs: int) -> CriticalValues | None:
    """Finite-sample critical values for ``nobs`` observations; None where none were published (two series, no constant)."""
    table = _CRITICAL.get((trend, n_series))
    if table is None:
        return None
    return CriticalValues(*(b0 + b1 / nobs + b2 / nobs**2 + b3 / nobs**3 for b0, b1, b2, b3 in table))
