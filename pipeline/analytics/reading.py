"""One line for each number on the screen that says how to read it. Pure text."""

from __future__ import annotations

import math

RICH = 2.0
STRONG, WEAK = 0.7, 0.3


def read_zscore(z: float | None) -> str:
    """How to read a z-score: above 2 y is rich, below -2 cheap."""
    if _missing(z):
        return "z-score: not defined yet (the window is not full, or the spread does not move)."
    assert z is not None  # noqa: S101 - for the type checker
    if z > RICH:
        return f"z = {z:.2f}, above {RICH:g}: y is rich against x (short y, long x)."
    if z < -RICH:
        return f"z = {z:.2f}, below -{RICH:g}: y is cheap against x (long y, short x)."
    return f"z = {z:.2f}, between -{RICH:g} and {RICH:g}: the spread is near its usual level."


def read_correlation(correlation: float | None) -> str:
    """How to read a correlation of returns: above 0.7 strong, below 0.3 weak."""
    if _missing(correlation):
        return "Correlation: not defined yet (the window is not full, or a leg does not move)."
    assert correlation is not None  # noqa: S101 - for the type checker
    if correlation > STRONG:
        return f"Correlation {correlation:.2f}, above {STRONG:g}: strong, the legs move together."
    if correlation < WEAK:
        return f"Correlation {correlation:.2f}, below {WEAK:g}: weak, the hedge covers little of y's moves."
    return f"Correlation {correlation:.2f}, between {WEAK:g} and {STRONG:g}: moderate."


def read_stationarity(p: float | None, significance: float = 0.05) -> str:
    """How to read a p-value of a test whose null hypothesis is that the spread wanders."""
    if _missing(p):
        return "Stationarity: the test is not defined on this window."
    assert p is not None  # noqa: S101 - for the type checker
    level = f"{significance * 100:g} %"
    if p < significance:
        return f"{p_text(p)}, below {significance:g}: stationary at the {level} level, deviations tend to be undone."
    return f"{p_text(p)}, not below {significance:g}: not shown to be stationary at the {level} level, the spread may wander."


def read_r_squared(r_squared: float | None) -> str:
    """How to read R^2 of a hedge ratio."""
    if _missing(r_squared):
        return "R2: not defined."
    assert r_squared is not None  # noqa: S101 - for the type checker
    return f"R2 = {r_squared:.3f}: x explains {max(r_squared, 0.0) * 100:.0f} % of y's variance; alone it does not prove cointegration."


def read_half_life(bars: float | None) -> str:
    """How to read a half-life."""
    if _missing(bars):
        return "Half-life: none, the spread does not revert on this window."
    assert bars is not None  # noqa: S101 - for the type checker
    return f"Half-life {bars:.1f} bars: half of a deviation is expected to be gone by then."


def read_hurst(exponent: float | None) -> str:
    """How to read a Hurst exponent."""
    if _missing(exponent):
        return "Hurst: not defined on this window."
    assert exponent is not None  # noqa: S101 - for the type checker
    if exponent < 0.45:
        return f"Hurst {exponent:.2f}, below 0.5: mean-reverting."
    if exponent > 0.55:
        return f"Hurst {exponent:.2f}, above 0.5: trending."
    return f"Hurst {exponent:.2f}, about 0.5: a random walk."


def p_text(p: float) -> str:
    """A p-value for people: ``p = 0.012``, and ``p < 0.001`` below that."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
