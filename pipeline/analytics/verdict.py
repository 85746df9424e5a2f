"""What the tests say about a pair, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pipeline.analytics.reading import p_text
from pipeline.errors import UsageError


class Outcome(StrEnum):
    """Whether the legs are cointegrated, at the chosen significance."""

    COINTEGRATED = "cointegrated"
    NOT_COINTEGRATED = "not cointegrated"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement by Engle-Granger, with the plain ADF beside it.

    Attributes:
        outcome: the judgement.
        significance: level it was given at.
        text: one line for people.
        adf_text: one line on the plain ADF p-value and why it is not the judge.
    """

    outcome: Outcome
    significance: float
    text: str
    adf_text: str

    @property
    def cointegrated(self) -> bool | None:
        """True or False; None when undefined."""
        return None if self.outcome is Outcome.UNDEFINED else self.outcome is Outcome.COINTEGRATED


def verdict(engle_granger_p: float | None, adf_p: float | None, significance: float = 0.05) -> Verdict:
    """Judge a pair by its Engle-Granger p-value; the ADF of the fitted spread is quoted with its caveat.

    Failing to reject is not proof of the contrary, and the words say so.

    Args:
        engle_granger_p: None or NaN when undefined.
        adf_p: plain p-value of the spread's ADF; None or NaN when undefined.
        significance: level in (0, 1); a p-value equal to it does not reject.

    Raises:
        UsageError: when the significance is not between 0 and 1.
    """
    if not 0 < significance < 1:
        msg = f"significance is {significance}; expected a number between 0 and 1, such as 0.05"
        raise UsageError(msg)
    level = f"{significance * 100:g} %"
    if engle_granger_p is None or math.isnan(engle_granger_p):
        outcome, text = Outcome.UNDEFINED, "Cointegration cannot be judged: the Engle-Granger test is not defined on this window."
    elif engle_granger_p < significance:
        outcome = Outcome.COINTEGRATED
        text = f"Cointegrated at the {level} level (Engle-Granger {p_text(engle_granger_p)}): the spread is stationary."
    else:
        outcome = Outcome.NOT_COINTEGRATED
        text = f"Not shown to be cointegrated at the {level} level (Engle-Granger {p_text(engle_granger_p)}): the spread may wander."
    return Verdict(outcome, significance, text, _adf_text(adf_p, outcome, significance))


def _adf_text(adf_p: float | None, outcome: Outcome, significance: float) -> str:
    caveat = "its plain p-value is too small when beta was fitted on the same bars, so Engle-Granger decides"
    if adf_p is None or math.isnan(adf_p):
        return "ADF of the spread: not defined on this window."
    finding = "stationary" if adf_p < significance else "no sign of stationarity"
    if adf_p < significance and outcome is Outcome.NOT_COINTEGRATED:
        return f"ADF of the spread alone would say {finding} ({p_text(adf_p)}); do not trust it: {caveat}."
    return f"ADF of the spread: {finding} ({p_text(adf_p)}); {caveat}."
