"""The continuous processes that prices and activity are made of, one absolute hour at a time.

Every process is fixed at the full hours (its *anchors*) and filled in between by a bridge, so that an hour can be
computed from nothing but (key, hour), two neighbouring hours meet exactly, and no history is ever walked through.

* **Walk** (integrated, for factors and idiosyncratic parts). Windows of 512 hours; the values at window ends are
  independent N(0, 256), and the hours inside follow by midpoint displacement, the midpoint of an interval of ``n``
  hours being the mean of its ends plus N(0, n/4). As 256 = 512/2, the increment over any ``d`` hours inside a window
  has variance exactly ``d``: a Brownian motion in windows of a day, and yet bounded (sd 16) over years.
  Inside the hour: a Brownian bridge on the second grid whose clock is the market's activity, so volatility clusters.
* **OU** (stationary, variance 1, for spreads). The anchors are an AR(1) with coefficient ``2**(-3600/half_life)``
  written as a moving average of hourly noise that is cut where its weight falls below 1e-9. Inside the hour: an exact
  OU bridge, ``a p^t + U(t) + c(t) (b - a p^T - U(T))`` with ``U`` an OU started at zero and
  ``c(t) = cov(U(t), U(T)) / var(U(T))``. So autocorrelation, and with it the half-life, is exact at every lag.
* **Activity** (positive). ``exp(OU)`` plus bursts: random seconds that multiply it and die out within half a minute.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from pipeline.simulator import noise
from pipeline.simulator.noise import Floats, Ints

HOUR_S = 3_600
_WINDOW_HOURS = 512
_CUT = 1e-9
_BURST_S = 40
_BURST_DECAY_S = 8.0
_STEPS = np.arange(1, HOUR_S + 1, dtype=np.int64)


def seconds_of(hour: int) -> Ints:
    """Absolute seconds ``1 .. 3600`` after the start of an hour: the index of the increments inside it."""
    return hour * HOUR_S + _STEPS


def walk_anchor(walk_key: int, hour: int) -> tuple[float, float]:
    """Values of a walk at the start and the end of an hour. Unit: standard deviation of an hour's increment."""
    low = hour - hour % _WINDOW_HOURS
    high = low + _WINDOW_HOURS
    path = [low, high]
    while high - low > 1:
        middle = (low + high) // 2
        path.append(middle)
        low, high = (middle, high) if hour >= middle else (low, middle)
    draws = noise.normal(walk_key, np.array(path, dtype=np.int64)).tolist()
    anchor_sd = math.sqrt(_WINDOW_HOURS / 2)
    low_value, high_value = anchor_sd * draws[0], anchor_sd * draws[1]
    length = _WINDOW_HOURS
    for middle, draw in zip(path[2:], draws[2:], strict=True):
        value = (low_value + high_value) / 2 + math.sqrt(length / 4) * draw
        low_value, high_value = (value, high_value) if hour >= middle else (low_value, value)
        length //= 2
    return low_value, high_value


def walk(walk_key: int, hour: int, clock: Floats) -> Floats:
    """A walk on the 3601 second marks of an hour, both ends included.

    Args:
        walk_key: which walk.
        hour: absolute hour since the epoch.
        clock: share of the hour's variance that has passed at each mark, shape (3601,), from 0 to 1.
    """
    start, end = walk_anchor(walk_key, hour)
    free = np.zeros(HOUR_S + 1)
    np.cumsum(noise.normal(walk_key ^ 1, seconds_of(hour)) * np.sqrt(np.diff(clock)), out=free[1:])
    values: Floats = start + free + clock * (end - start - free[-1])
    return values


def ou_anchor(ou_key: int, hour: int, half_life_s: float) -> float:
    """Value of a unit-variance OU process at the start of an hour."""
    ratio = 2.0 ** (-HOUR_S / half_life_s)
    terms = max(1, math.ceil(math.log(_CUT) / math.log(ratio)))
    draws = noise.normal(ou_key, np.arange(hour, hour - terms, -1, dtype=np.int64)).tolist()
    scale = math.sqrt(1 - ratio * ratio)
    # fsum: exactly rounded, so that both hours that share this anchor find the same value
    return scale * math.fsum(ratio**lag * draw for lag, draw in enumerate(draws))


@cache
def _ou_weights(half_life_s: float) -> tuple[Floats, Floats, Floats]:
    """Decay ``p^t``, growth ``p^-t`` of steps 1..T, and the bridge weights ``c(t)`` for t = 0..T."""
    marks = np.arange(HOUR_S + 1) / half_life_s
    decay = np.exp2(-marks)
    bridge = decay[::-1] * (1 - decay**2) / (1 - decay[-1] ** 2)
    return decay, np.exp2(marks[1:]), bridge


def ou(ou_key: int, hour: int, half_life_s: float, *, shock_share: float = 0.0, shocks_per_hour: float = 0.0) -> Floats:
    """A stationary OU process with variance 1 on the 3601 second marks of an hour.

    Args:
        ou_key: which process.
        hour: absolute hour since the epoch.
        half_life_s: time in which a deviation halves, in seconds; at least 4.
        shock_share: part of the innovations' variance that comes as rare shocks, 0 to 1.
        shocks_per_hour: how many shocks an hour has on average.
    """
    start = ou_anchor(ou_key, hour, half_life_s)
    end = ou_anchor(ou_key, hour + 1, half_life_s)
    decay, growth, bridge = _ou_weights(half_life_s)
    seconds = seconds_of(hour)
    innovation = noise.normal(ou_key ^ 1, seconds)
    if shock_share > 0:
        rate = shocks_per_hour / HOUR_S
        struck = noise.uniform(ou_key ^ 2, seconds) < rate
        sign = np.where(noise.uniform(ou_key ^ 3, seconds) < 0.5, -1.0, 1.0)
        shock = np.where(struck, sign / math.sqrt(rate), 0.0)
        innovation = math.sqrt(1 - shock_share) * innovation + math.sqrt(shock_share) * shock
    free = np.zeros(HOUR_S + 1)
    step = float(np.exp2(-1 / half_life_s))
    np.cumsum(innovation * growth, out=free[1:])
    free *= decay * math.sqrt(1 - step * step)
    values: Floats = start * decay + free + bridge * (end - start * float(decay[-1]) - free[-1])
    return values


def activity(activity_key: int, hour: int, *, spread: float, half_life_s: float, bursts_per_hour: float, burst: float) -> Floats:
    """Positive intensity of each of the 3600 seconds of an hour: a log-normal wave times bursts.

    Args:
        activity_key: which activity.
        hour: absolute hour since the epoch.
        spread: standard deviation of its logarithm between bursts.
        half_life_s: half-life of the wave, in seconds.
        bursts_per_hour: how many bursts start in an hour on average.
        burst: mean size of a burst, as a multiple of the wave.
    """
    wave = np.exp(spread * ou(activity_key, hour, half_life_s)[:-1])
    # a burst may have started before the hour
    seconds = np.arange(hour * HOUR_S - _BURST_S + 1, (hour + 1) * HOUR_S, dtype=np.int64)
    starts = noise.uniform(activity_key ^ 4, seconds) < bursts_per_hour / HOUR_S
    sizes = np.where(starts, burst * noise.exponential(activity_key ^ 5, seconds), 0.0)
    kernel = np.exp(-np.arange(_BURST_S) / _BURST_DECAY_S)
    at = np.flatnonzero(sizes)
    added = np.zeros(len(seconds) + _BURST_S)
    for place in at.tolist():
        added[place : place + _BURST_S] += sizes[place] * kernel
    return wave * (1.0 + added[_BURST_S - 1 : _BURST_S - 1 + HOUR_S])
