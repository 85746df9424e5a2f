from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.simulator import noise, process
from pipeline.simulator.prices import Prices
from pipeline.simulator.process import HOUR_S

HOUR = 498_711


def test_noise_is_a_function_of_key_and_index_alone():
    some_key = noise.key(7, "walk", "BTCUSDT")
    block = noise.normal(some_key, np.arange(1_000, 2_000))
    assert noise.normal(some_key, np.array([1_500]))[0] == block[500]
    assert not np.array_equal(block, noise.normal(noise.key(8, "walk", "BTCUSDT"), np.arange(1_000, 2_000)))


def test_bits_are_splitmix64():
    def reference(state: int) -> int:
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
        state = (state ^ state >> 27) * 0x94D049BB133111EB & 2**64 - 1
        return state ^ state >> 31

    index = [0, 1, 2, 2**40, -5]
    assert noise.bits(1, np.array(index)).tolist() == [reference((1 + i * 0x9E3779B97F4A7C15) % 2**64) for i in index]
    assert noise.bits(1, np.array([1]))[0] == 10_451_216_379_200_822_465  # first output of the published generator for seed 1


@pytest.mark.parametrize(
    ("draw", "mean", "variance"), [(noise.uniform, 0.5, 1 / 12), (noise.normal, 0.0, 1.0), (noise.exponential, 1.0, 1.0)]
)
def test_noise_has_its_moments_and_no_memory(draw, mean, variance):
    values = draw(noise.key(3, "moments"), np.arange(200_000))
    assert values.mean() == pytest.approx(mean, abs=0.01)
    assert values.var() == pytest.approx(variance, rel=0.02)
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.01


@pytest.mark.parametrize("hour", [HOUR, 511, 512, 1_023])
def test_hours_meet(hour):
    prices = Prices(7)
    walk_key, ou_key = noise.key(7, "w"), noise.key(7, "o")
    even = np.linspace(0, 1, HOUR_S + 1)
    assert process.walk(walk_key, hour, even)[-1] == pytest.approx(process.walk(walk_key, hour + 1, even)[0], abs=1e-12)
    assert process.ou(ou_key, hour, 480.0)[-1] == pytest.approx(process.ou(ou_key, hour + 1, 480.0)[0], abs=1e-12)
    for symbol in ("BTCUSDT", "ETHUSDT", "UNIUSDT"):
        assert prices.mid(symbol, hour)[-1] == pytest.approx(prices.mid(symbol, hour + 1)[0], rel=1e-12)


def test_walk_has_the_variance_of_a_brownian_motion_at_every_lag_of_a_day_and_is_bounded_over_years():
    walk_key = noise.key(11, "w")
    anchors = np.array([process.walk_anchor(walk_key, hour)[0] for hour in range(40_000)])
    for lag in (1, 6, 24):
        assert np.var(anchors[lag:] - anchors[:-lag]) == pytest.approx(lag, rel=0.06)
    assert np.std(anchors) == pytest.approx(16, rel=0.25)
    inside = process.walk(walk_key, HOUR, np.linspace(0, 1, HOUR_S + 1))
    assert np.var(np.diff(inside)) == pytest.approx(1 / HOUR_S, rel=0.1)


@pytest.mark.parametrize("half_life_s", [60.0, 480.0, 1_500.0, 7_200.0])
@pytest.mark.parametrize("shocks", [{}, {"shock_share": 0.5, "shocks_per_hour": 12.0}])
def test_ou_has_unit_variance_and_the_half_life_that_it_was_given(half_life_s, shocks):
    hours = 300
    path = np.concatenate([process.ou(noise.key(5, "ou"), HOUR + k, half_life_s, **shocks)[:-1] for k in range(hours)])
    effective = hours * HOUR_S / (2 * half_life_s / math.log(2))
    assert np.var(path) == pytest.approx(1.0, abs=5 / math.sqrt(effective))
    lag = int(half_life_s)
    assert np.mean(path[lag:] * path[:-lag]) / np.mean(path * path) == pytest.approx(0.5, abs=5 / math.sqrt(effective))


def test_activity_is_positive_and_bursts_cross_the_hour():
    options = {"spread": 0.4, "half_life_s": 150.0, "bursts_per_hour": 60.0, "burst": 10.0}
    first, second = (process.activity(noise.key(2, "a"), HOUR + k, **options) for k in range(2))
    assert (first > 0).all()
    joined = np.concatenate([first, second])
    starts = np.flatnonzero(joined[1:] > 3 * joined[:-1])
    assert len(starts) > 10
    # whatever a burst adds is gone slowly: never a cliff, at the full hour neither
    assert (joined[1:] / joined[:-1]).min() > 0.5
