"""The tests of a pair side by side are the single tests, and say what they could not do."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analytics import adf, engle_granger, evidence, fit_model, johansen, kpss
from pipeline.errors import NotFinite, TooShort


@pytest.fixture(scope="module")
def legs():
    rng = np.random.default_rng(4)
    x = 100 + rng.normal(size=400).cumsum() * 0.2
    return 20 + 0.8 * x + rng.normal(size=400), x


@pytest.mark.parametrize("scale", ["price", "log"])
def test_equals_the_single_tests(legs, scale):
    y, x = (np.log(leg) for leg in legs) if scale == "log" else legs
    fit = fit_model(*legs, scale=scale)
    got = evidence(*legs, fit.beta, scale=scale)
    assert got.engle_granger == engle_granger(y, x)
    assert (got.engle_granger.p_value, got.adf.p_value) == (fit.eg_p, fit.adf_p)
    assert got.adf == adf(y - fit.beta * x)
    assert got.kpss == kpss(y - fit.beta * x)
    np.testing.assert_array_equal(got.johansen.trace_stat, johansen(np.column_stack((y, x))).trace_stat)
    assert got.notes == ()


def test_the_spread_of_a_drifting_beta_is_not_tested(legs):
    got = evidence(*legs, None)
    assert (got.adf, got.kpss) == (None, None)
    assert got.engle_granger is not None
    assert "by construction" in got.notes[0]


def test_collinear_legs_have_notes_and_refusals_are_named(legs):
    y, x = legs
    got = evidence(2 * x + 1, x, 2.0)
    assert (got.engle_granger, got.johansen) == (None, None)
    assert any(note.startswith("Johansen: ") and "collinear" in note for note in got.notes)
    with pytest.raises(TooShort):
        evidence(y[:2], x[:2], 1.0)
    with pytest.raises(NotFinite):
        evidence(np.append(y[1:], np.nan), x, 1.0)
