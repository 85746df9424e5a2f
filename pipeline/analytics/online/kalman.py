"""The Kalman hedge ratio, one bar at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.analytics.kalman import DELTA, OBSERVATION_VAR, require_noise
from pipeline.analytics.online.sums import require_value


@dataclass(frozen=True, slots=True)
class KalmanStep:
    """What was predicted for the last bar, as in :class:`pipeline.analytics.KalmanHedge`."""

    beta: float
    alpha: float
    innovation: float
    innovation_sd: float


class OnlineKalman:
    """Twin of :func:`pipeline.analytics.kalman_hedge_ratio`.

    Raises:
        UsageError: when delta or observation_var is out of range.
    """

    __slots__ = ("_alpha", "_beta", "_drift", "_last", "_noise", "_p00", "_p01", "_p11")

    def __init__(self, *, delta: float = DELTA, observation_var: float = OBSERVATION_VAR) -> None:
        require_noise(delta, observation_var)
        self._drift, self._noise = delta / (1.0 - delta), observation_var
        self._beta = self._alpha = 0.0
        self._p00 = self._p01 = self._p11 = 0.0
        self._last: KalmanStep | None = None

    def update(self, y: float, x: float) -> None:
        """Take in one bar of both legs.

        Raises:
            NotFinite: when a value is NaN or infinite.
        """
        require_value("y", y)
        require_value("x", x)
        if self._last is not None:
            self._p00 += self._drift
            self._p11 += self._drift
        to_beta, to_alpha = self._p00 * x + self._p01, self._p01 * x + self._p11
        variance = to_beta * x + to_alpha + self._noise
        error = y - (self._beta * x + self._alpha)
        self._last = KalmanStep(self._beta, self._alpha, error, math.sqrt(variance))
        gain_beta, gain_alpha = to_beta / variance, to_alpha / variance
        self._beta += gain_beta * error
        self._alpha += gain_alpha * error
        self._p00 -= gain_beta * to_beta
        self._p01 -= gain_beta * to_alpha
        self._p11 -= gain_alpha * to_alpha

    @property
    def value(self) -> KalmanStep | None:
        """Prediction for the last bar, from the bars before it; None before the first."""
        return self._last
