"""Is a pair's live model one that a trader could use?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.quality.finding import Finding, Severity, State, unknown

NAME = "model"

LOW_R_SQUARED = 0.5
JUMP_SDS, JUMP_SHARE = 8.0, 0.10
"""A jump of beta: so many robust standard deviations of its usual steps, and this part of beta itself."""
_FEW_STEPS, _FEW_SHARE = 10, 0.5
"""With fewer steps than this their spread says little: then beta may change by half."""
_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class LiveFit:
    """One live model: its hedge ratio and R squared, None where they are not defined."""

    beta: float | None
    r_squared: float | None


def judge_model(pair: str, timeframe: str, fits: Sequence[LiveFit]) -> Finding:
    """Judge the newest live model, and its step from the one before among the earlier steps.

    Args:
        pair: whose.
        timeframe: of the models.
        fits: the pair's live models of one method and lookback, oldest first.
    """
    if not fits:
        return unknown(NAME, pair, timeframe, Severity.ERROR, "no live model yet")
    newest = fits[-1]
    if newest.beta is None or not math.isfinite(newest.beta):
        return Finding(NAME, pair, timeframe, Severity.ERROR, State.ERROR, None, None, "the live model has no hedge ratio")
    jump = _jump(np.array([fit.beta for fit in fits if fit.beta is not None and math.isfinite(fit.beta)]))
    if jump is not None:
        detail, value, threshold = jump
        return Finding(NAME, pair, timeframe, Severity.ERROR, State.WARN, value, threshold, detail)
    if newest.r_squared is None or not math.isfinite(newest.r_squared):
        return Finding(NAME, pair, timeframe, Severity.ERROR, State.WARN, None, LOW_R_SQUARED, "R squared of the live model is not defined")
    low = newest.r_squared < LOW_R_SQUARED
    detail = f"R squared is {newest.r_squared:.3f}: the hedge explains less than half" if low else ""
    return Finding(NAME, pair, timeframe, Severity.ERROR, State.WARN if low else State.OK, newest.r_squared, LOW_R_SQUARED, detail)


def _jump(betas: np.ndarray) -> tuple[str, float, float] | None:
    """Whether the last step of beta is far out of its usual ones: what to say, the step, and the largest that would pass."""
    if betas.size < 2:
        return None
    steps = np.diff(betas)
    size = abs(float(steps[-1]))
    own = abs(float(betas[-2]))
    earlier = steps[:-1]
    if earlier.size < _FEW_STEPS:
        limit = _FEW_SHARE * own
    else:
        sd = float(_MAD_TO_SD * np.median(np.abs(earlier - np.median(earlier))))
        limit = max(JUMP_SDS * sd, JUMP_SHARE * own)
    if size <= limit:
        return None
    return f"beta went from {betas[-2]:.6g} to {betas[-1]:.6g} in one fit; steps up to {limit:.3g} are usual", size, limit
