"""Whether the verdicts keep their promise: unrelated walks are rejected as often as the level says, planted pairs are found.

Seeds are fixed, so each figure is one number; the bounds are two standard errors of the simulation around the nominal value.
"""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analytics import adf, engle_granger, fit_model, screen_pairs, verdict

LEVEL = 0.05
WALKS = 2_000
SCREENS = 200


def test_the_verdict_rejects_unrelated_walks_at_its_level():
    rng = np.random.default_rng(20_260_101)
    steps = rng.normal(size=(WALKS, 2, 500))
    rejected = sum(verdict(engle_granger(*walks).p_value, None, LEVEL).cointegrated for walks in steps.cumsum(axis=2))
    assert 0.04 <= rejected / WALKS <= 0.06


def test_a_plain_adf_of_the_fitted_residual_does_not():
    rng = np.random.default_rng(20_260_102)
    walks = rng.normal(size=(500, 2, 500)).cumsum(axis=2)
    rejected = 0
    for y, x in walks:
        fitted = engle_granger(y, x)
        rejected += adf(y - fitted.alpha - fitted.beta * x).p_value < LEVEL
    assert 0.10 <= rejected / 500 <= 0.20  # 14.6 % is why the verdict does not use it


@pytest.mark.parametrize("direction", [None, "forward"])
def test_null_screens_seldom_have_any_discovery(direction):
    rng = np.random.default_rng(20_260_103)
    walks = rng.normal(size=(SCREENS, 400, 12)).cumsum(axis=1)
    with_any = sum(bool((screen_pairs(prices, direction=direction).q_value <= LEVEL).any()) for prices in walks)
    assert with_any / SCREENS <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / SCREENS)


def test_planted_pairs_are_found_among_unrelated_ones():
    rng = np.random.default_rng(20_260_104)
    found = wrong = 0
    for _ in range(50):
        walks = rng.normal(size=(600, 12)).cumsum(axis=0)
        deviations = np.zeros(600)
        shocks = rng.normal(size=600)
        for t in range(1, 600):
            deviations[t] = 0.8 * deviations[t - 1] + shocks[t]
        walks[:, 1] = 2.0 + 1.5 * walks[:, 0] + deviations
        screen = screen_pairs(walks, direction="forward")
        hit = screen.q_value <= LEVEL
        planted = (screen.y == 0) & (screen.x == 1)
        found += bool(hit[planted].all())
        wrong += int(hit[~planted & ~((screen.y <= 1) | (screen.x <= 1))].sum())
        model = fit_model(walks[:, 1], walks[:, 0])
        assert model.verdict.cointegrated
        assert model.beta == pytest.approx(1.5, abs=0.2)
    assert found == 50
    assert wrong <= 50 * 0.2  # false discoveries among all are what q bounds; a few in fifty screens
