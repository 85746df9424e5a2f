"""A drifting hedge ratio of one window: the Kalman filter with a sensible start and noises that suit the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.arrays import FloatArray, finite_legs, require_length, require_varying
from pipeline.analytics.hedge import MINIMUM, hedge_ratio
from pipeline.analytics.kalman import require_noise
from pipeline.analytics.spread import scaled
from pipeline.errors import Collinear, UsageError

START = 60
"""Bars that the first line is fitted on."""

_STEADIEST, _QUICKEST, _STEPS = 1e-8, 1e4, 61
_ROUNDING = 1e-13
_BELOW_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class KalmanFit:
    """A hedge ratio that drifts over one window. Arrays are as long as the legs and NaN over the first ``start`` bars.

    Attributes:
        beta: predicted hedge ratio, from the bars before each one.
        alpha: predicted intercept, likewise.
        spread: ``y - alpha - beta x``, the error of that prediction. It reverts by construction: run no unit-root test on it.
        zscore: ``spread`` over its predicted standard deviation.
        beta_sd: standard deviation of the predicted beta under the two noises.
        delta: how fast beta and alpha drift, as in :func:`pipeline.analytics.kalman_hedge_ratio`.
        observation_var: variance of the noise in y.
        start: bars that the line was fitted on that the filter starts from.
        scale: ``price`` or ``log``.
        n: bars in the window.
    """

    beta: FloatArray
    alpha: FloatArray
    spread: FloatArray
    zscore: FloatArray
    beta_sd: FloatArray
    delta: float
    observation_var: float
    start: int
    scale: str
    n: int


def fit_kalman(
    y: ArrayLike,
    x: ArrayLike,
    *,
    scale: str = "price",
    start: int = START,
    delta: float | None = None,
    observation_var: float | None = None,
) -> KalmanFit:
    """Track the hedge ratio of ``y/x`` from the least-squares line of the first ``start`` bars on.

    The model is that of :func:`pipeline.analytics.kalman_hedge_ratio`, but for the start: where that starts at zero, far from any
    pair's line, this starts from the least-squares line of the first bars and its covariance. That is the filter after ``start`` bars
    without drift and nothing known before them; with hardly any drift beta is the least-squares one of all bars before.

    Without noises of your own, those of the greatest likelihood are taken: what the filter predicts depends on their ratio only,
    which is looked for on a grid, and their size follows from the errors (the concentrated likelihood by prediction errors;
    Harvey, "Forecasting, Structural Time Series Models and the Kalman Filter", 1989, section 3.4). They are two numbers that have seen
    the whole window, as the beta of a regression has: a look back. With noises that were given nothing looks ahead.

    Args:
        y: closes of the dependent leg, aligned with x.
        x: closes of the hedge.
        scale: ``price`` or ``log``.
        start: bars of the first line, at least 3.
        delta: drift, in (0, 1); given together with ``observation_var`` or not at all.
        observation_var: variance of the noise in y, above 0.

    Raises:
        TooShort: with fewer than ``2 * start`` bars (``start + 1`` when the noises are given), or a start of fewer than 3.
        NotFinite: on NaN, infinity, or a price not above zero on the log scale.
        Constant: when a leg does not vary over the first bars.
        Collinear: when every bar lies on the first line, so that there is no noise to estimate.
        AnalyticsError: when the legs differ in length.
        UsageError: when the scale is unknown, or one noise is given without the other or is out of range.
    """
    if (delta is None) is not (observation_var is None):
        msg = f"delta is {delta} and observation_var {observation_var}; expected both or neither; leave both out to have them estimated"
        raise UsageError(msg)
    require_length("start", start, MINIMUM)
    least = 2 * start if delta is None else start + 1
    ys, xs = finite_legs(scaled("y", y, scale), scaled("x", x, scale), least)
    for name, leg in (("y", ys), ("x", xs)):
        require_varying(f"{name} over its first {start} bars", leg[:start])
    line = hedge_ratio(ys[:start], xs[:start], errors=False)
    # Over the line, and around the middle of its bars: at a price of 60,000 that moves by cents, a covariance around 0 has no digit left.
    at_line = _Line.of(xs[:start])
    over, hedge = ys[start:] - line.alpha - line.beta * xs[start:], xs[start:] - at_line.middle
    # Only the ratio of the two noises matters for what is predicted.
    if delta is None or observation_var is None:
        ratio, observation_var = _likeliest(at_line, over, hedge, float(np.abs(ys).max()))
        delta = min(ratio * observation_var / (1.0 + ratio * observation_var), _BELOW_ONE)
    else:
        require_noise(delta, observation_var)
        ratio = delta / (1.0 - delta) / observation_var
    beta, height, innovation, sd, beta_sd, _ = _predicted(at_line, over, hedge, ratio)
    whole = np.full((5, ys.size), np.nan)
    whole[:, start:] = line.beta + beta, line.alpha + height - beta * at_line.middle, innovation, innovation / sd, beta_sd
    noise_sd = math.sqrt(observation_var)
    whole[3:] *= np.array([[1.0 / noise_sd], [noise_sd]])
    return KalmanFit(
        whole[0],
        whole[1],
        whole[2],
        whole[3],
        whole[4],
        delta=delta,
        observation_var=observation_var,
        start=start,
        scale=str(scale),
        n=ys.size,
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """The least-squares line of the first bars as a filter knows it: beta, and the height of the line at ``middle``, not at 0.

    ``state`` is nothing over the line, with its covariance at a noise of 1; around the middle the two do not covary.
    """

    middle: float
    state: FloatArray

    @classmethod
    def of(cls, xs: FloatArray) -> _Line:
        from pipeline.analytics.kernels.kalman import STATE  # noqa: PLC0415 - numba

        middle = float(xs.mean())
        state = np.zeros(STATE)
        state[[0, 3, 5]] = xs.size, 1.0 / float(np.sum((xs - middle) ** 2)), 1.0 / xs.size
        return cls(middle, state)


def _predicted(at_line: _Line, over: FloatArray, hedge: FloatArray, ratio: float) -> FloatArray:
    """What the filter predicts, with drifts of beta and alpha of variance ``ratio`` beside a noise of 1: the height drifts by both."""
    from pipeline.analytics.kernels.kalman import predicted_from  # noqa: PLC0415 - numba

    middle = at_line.middle
    return predicted_from(at_line.state.copy(), over, hedge, ratio, ratio * middle, ratio * (1.0 + middle * middle), 1.0)


def _likeliest(at_line: _Line, over: FloatArray, hedge: FloatArray, level: float) -> tuple[float, float]:
    """Ratio of drift to noise, and the noise, of the greatest likelihood."""
    if not float(np.abs(over).max()) > _ROUNDING * level:
        msg = "the legs are collinear: every bar lies on the line of the first ones, so there is no noise to estimate; choose another pair"
        raise Collinear(msg)
    # The ratio of drift to noise, made free of units: what beta's drift adds to the variance of y in one bar.
    per_bar = float(np.mean((hedge + at_line.middle) ** 2))
    best = (math.inf, 0.0, 0.0)
    for ratio in np.geomspace(_STEADIEST, _QUICKEST, _STEPS) / per_bar:
        _, _, innovation, sd, _, _ = _predicted(at_line, over, hedge, float(ratio))
        size = float(np.mean((innovation / sd) ** 2))
        misfit = math.log(size) + 2.0 * float(np.mean(np.log(sd)))
        if misfit < best[0]:
            best = (misfit, float(ratio), size)
    return best[1:]
