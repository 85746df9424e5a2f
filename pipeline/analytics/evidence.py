"""Every test of one pair over one window, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.analytics.adf import Adf, adf
from pipeline.analytics.arrays import finite_legs
from pipeline.analytics.engle_granger import EngleGranger, engle_granger
from pipeline.analytics.fit import or_note
from pipeline.analytics.hedge import MINIMUM
from pipeline.analytics.johansen import Johansen, johansen
from pipeline.analytics.kpss import Kpss, kpss
from pipeline.analytics.spread import scaled

DRIFTING = "not run: the spread of a beta that drifts reverts by construction, whatever the legs do"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the tests say. One that is not defined for the window is None and named in ``notes``.

    Attributes:
        engle_granger: of the legs, with its own least-squares beta: the one to judge by.
        johansen: of the legs, with a constant and one lagged difference.
        adf: of the spread under the beta that was given, constant included; its plain p-value is too small where beta was fitted on
            the same bars.
        kpss: of the same spread; its null hypothesis is the other way round.
        notes: one line for each test that is missing.
    """

    engle_granger: EngleGranger | None
    johansen: Johansen | None
    adf: Adf | None
    kpss: Kpss | None
    notes: tuple[str, ...]


def evidence(y: ArrayLike, x: ArrayLike, beta: float | None, *, scale: str = "price") -> Evidence:
    """Run the tests of ``y/x``, those of the spread under ``beta``.

    Args:
        y: closes of the dependent leg, aligned with x.
        x: closes of the hedge.
        beta: the hedge ratio of the spread; None for one that drifts, whose spread must not be tested.
        scale: ``price`` or ``log``.

    Raises:
        TooShort: with fewer than 3 bars.
        NotFinite: on NaN, infinity, or a price not above zero on the log scale.
        Constant: when a leg does not vary.
        AnalyticsError: when the legs differ in length.
        UsageError: when the scale is unknown.
    """
    ys, xs = finite_legs(scaled("y", y, scale), scaled("x", x, scale), MINIMUM)
    notes: list[str] = []
    cointegration = or_note("Engle-Granger", notes, lambda: engle_granger(ys, xs))
    relations = or_note("Johansen", notes, lambda: johansen(np.column_stack((ys, xs))))
    if beta is None:
        return Evidence(cointegration, relations, None, None, (*notes, f"ADF and KPSS: {DRIFTING}"))
    values = ys - beta * xs
    unit_root = or_note("ADF", notes, lambda: adf(values))
    stationarity = or_note("KPSS", notes, lambda: kpss(values))
    return Evidence(cointegration, relations, unit_root, stationarity, tuple(notes))
