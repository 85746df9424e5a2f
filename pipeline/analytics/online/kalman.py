"""The Kalman hedge ratio, one bar at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import finite_legs
from pipeline.analytics.kalman import DELTA, OBSERVATION_VAR, require_noise
from pipeline.analytics.online.snapshot import Restorable
from pipeline.analytics.online.sums import require_value

_STATE = 12


@dataclass(frozen=True, slots=True)
class KalmanStep:
    """What was predicted for the last bar, as in :class:`pipeline.analytics.KalmanHedge`."""

    beta: float
    alpha: float
    innovation: float
    innovation_sd: float
    beta_sd: float
    alpha_sd: float


class OnlineKalman(Restorable):
    """Twin of :func:`pipeline.analytics.kalman_hedge_ratio`.

    Raises:
        UsageError: when delta or observation_var is out of range.
    """

    __slots__ = ("_drift", "_drift_alpha", "_noise", "_state")

    def __init__(self, *, delta: float = DELTA, observation_var: float = OBSERVATION_VAR, intercept: bool = True) -> None:
        require_noise(delta, observation_var)
        self._drift, self._noise = delta / (1.0 - delta), float(observation_var)
        self._drift_alpha = self._drift if intercept else 0.0
        self._state = [0.0] * _STATE

    def update(self, y: float, x: float) -> None:
        """Take in one bar of both legs.

        Raises:
            NotFinite: when a value is NaN or infinite.
        """
        require_value("y", y)
        require_value("x", x)
        steps, beta, alpha, bb, ba, aa = self._state[:6]
        if steps > 0.0:
            bb += self._drift
            aa += self._drift_alpha
        to_beta, to_alpha = bb * x + ba, ba * x + aa
        variance = to_beta * x + to_alpha + self._noise
        error = y - (beta * x + alpha)
        gain_beta, gain_alpha = to_beta / variance, to_alpha / variance
        self._state = [
            steps + 1.0,
            beta + gain_beta * error,
            alpha + gain_alpha * error,
            bb - gain_beta * to_beta,
            ba - gain_beta * to_alpha,
            aa - gain_alpha * to_alpha,
            beta,
            alpha,
            error,
            math.sqrt(variance),
            math.sqrt(max(bb, 0.0)),
            math.sqrt(max(aa, 0.0)),
        ]

    def update_many(self, y: ArrayLike, x: ArrayLike) -> None:
        """Take in many bars: the same as :meth:`update` for each, compiled.

        Raises:
            NotFinite: when a value is NaN or infinite; none is taken in.
            AnalyticsError: when the legs differ in length.
        """
        from pipeline.analytics.kernels.online import kalman  # noqa: PLC0415 - numba

        ys, xs = finite_legs(y, x, 0, varying=False)
        state = np.array(self._state)
        kalman(state, ys, xs, self._drift, self._drift_alpha, self._noise)
        self._state = state.tolist()

    @property
    def value(self) -> KalmanStep | None:
        """Prediction for the last bar, from the bars before it; None before the first."""
        return KalmanStep(*self._state[6:]) if self._state[0] else None

    def _numbers(self) -> tuple[float, ...]:
        return (self._drift, self._drift_alpha, self._noise, *self._state)

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Self:
        twin = cls()
        twin._drift, twin._drift_alpha, twin._noise, *twin._state = numbers
        if len(twin._state) != _STATE:
            raise ValueError
        return twin
