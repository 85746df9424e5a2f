"""A hedge ratio that drifts, tracked by a Kalman filter."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_legs
from pipeline.errors import UsageError

DELTA = 1e-4
OBSERVATION_VAR = 1e-3


@dataclass(frozen=True, slots=True)
class KalmanHedge:
    """What was known *before* each bar, and how the bar surprised it. All arrays are as long as the legs.

    Attributes:
        beta: predicted hedge ratio, from the bars before this one.
        alpha: predicted intercept, from the bars before this one.
        innovation: ``y - beta * x - alpha``, the spread to trade on; precise to 1e-14 of the price level.
        innovation_sd: its predicted standard deviation; ``innovation / innovation_sd`` is a z-score.
        beta_sd: standard deviation of the predicted beta, under the two noises that were given.
        alpha_sd: standard deviation of the predicted alpha; 0 without intercept.
    """

    beta: FloatArray
    alpha: FloatArray
    innovation: FloatArray
    innovation_sd: FloatArray
    beta_sd: FloatArray
    alpha_sd: FloatArray


def kalman_hedge_ratio(
    y: ArrayLike, x: ArrayLike, *, delta: float = DELTA, observation_var: float = OBSERVATION_VAR, intercept: bool = True
) -> KalmanHedge:
    """Track ``y = beta * x + alpha`` with beta and alpha random walks.

    State ``[beta, alpha]``, transition noise ``delta / (1 - delta)`` times the identity, observation noise
    ``observation_var``, starting at zero without uncertainty. Chan, "Algorithmic Trading" (2013), chapter 3. Both
    noises are in the units of prices squared: rescaling prices needs other values, so log prices travel better.

    The *predicted* state is returned: the filtered one has already seen the bar, which hides its own spread.
    The first bars are a warm-up: beta starts at zero. It is no ``method`` of :func:`pipeline.analytics.hedge_ratio`: it
    has two parameters that no default suits, and its beta belongs to a bar, not to a window; R^2 is not defined for it.

    Args:
        y: dependent leg, finite.
        x: hedge, finite.
        delta: how fast the state may drift, in (0, 1).
        observation_var: variance of the noise in y, above 0.
        intercept: whether alpha drifts too; it stays 0 otherwise.

    Raises:
        TooShort: with fewer than 2 bars.
        NotFinite: on NaN or infinity.
        UsageError: when delta or observation_var is out of range.
    """
    require_noise(delta, observation_var)
    ys, xs = finite_legs(y, x, varying=False)
    from pipeline.analytics.kernels.kalman import predicted  # noqa: PLC0415 - numba

    drift = delta / (1.0 - delta)
    return KalmanHedge(*predicted(ys, xs, drift, drift if intercept else 0.0, float(observation_var)))


def require_noise(delta: float, observation_var: float) -> None:
    """Check the filter's two parameters.

    Raises:
        UsageError: when ``delta`` is not in (0, 1) or ``observation_var`` is not above 0.
    """
    if not (0 < delta < 1 and observation_var > 0):
        msg = f"delta is {delta} and observation_var {observation_var}; expected delta between 0 and 1 and a variance above 0"
        raise UsageError(msg)
