"""The augmented Dickey-Fuller regression by orthogonal factorisation, for input that cross-products are too coarse for."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.arrays import FloatArray
from pipeline.errors import Collinear

_DEPENDENT = 1e-12  # a column of which less than this share is new depends on those before it
_PERFECT = 1e-12  # residuals below this share of the response are rounding
_STOP = 1.6448536269514722


def adf_by_qr(s: FloatArray, terms: int, maxlag: int, criterion: int) -> tuple[float, int]:
    """``(statistic, used_lag)`` as :func:`pipeline.analytics.kernels.unit_root.adf_statistic`, slower and surer.

    A lag that depends on earlier regressors counts for nothing (as in statsmodels, where the pseudo-inverse and
    the rank see to it): silent markets give columns of zeros.

    Raises:
        Collinear: when differences are an exact linear function of the regressors, or the level is one of the others.
    """
    centred = s - s.mean() if terms else s
    scaled = centred / np.sqrt(np.mean(centred**2))
    lag = maxlag
    if criterion:
        design, response = _regression(scaled, terms, maxlag, level_last=False)
        lag = _choose(design, response, terms, criterion)
    design, response = _regression(scaled, terms, lag, level_last=True)
    scores, rest = _project(design, response)
    rank = np.count_nonzero(~np.isnan(scores))
    if np.isnan(scores[-1]):
        msg = "the level of the series is a linear function of its lagged differences; the unit-root test is not defined; use fewer lags"
        raise Collinear(msg)
    return float(scores[-1] / np.sqrt(rest[-1] / (response.size - rank))), lag


def _regression(s: FloatArray, terms: int, lags: int, *, level_last: bool) -> tuple[FloatArray, FloatArray]:
    d = np.diff(s)
    rows = d.size - lags
    tau = np.linspace(-1.0, 1.0, rows)
    columns = [np.ones(rows), tau, tau**2 - 1 / 3][:terms]
    level = s[lags : lags + rows]
    lagged = [d[lags - i : d.size - i] for i in range(1, lags + 1)]
    columns += [*lagged, level] if level_last else [level, *lagged]
    return np.column_stack(columns), d[lags:]


def _project(design: FloatArray, response: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Score of each column's new direction (NaN for a dependent column) and the residual sum of squares after each."""
    kept: list[FloatArray] = []
    scores, rest = np.empty(design.shape[1]), np.empty(design.shape[1])
    residual = response.copy()
    for j in range(design.shape[1]):
        direction = design[:, j].copy()
        length = np.linalg.norm(direction)
        for _ in range(2):  # Gram-Schmidt, twice: orthogonal to rounding
            for earlier in kept:
                direction -= (earlier @ direction) * earlier
        new = np.linalg.norm(direction)
        if not new > _DEPENDENT * length:
            scores[j] = np.nan
        else:
            direction /= new
            kept.append(direction)
            scores[j] = direction @ residual
            residual -= scores[j] * direction
        rest[j] = residual @ residual
        if not rest[j] > _PERFECT**2 * (response @ response):
            msg = "the differences of the series are an exact linear function of its past; the unit-root test is not defined on it"
            raise Collinear(msg)
    return scores, rest


def _choose(design: FloatArray, response: FloatArray, terms: int, criterion: int) -> int:
    scores, rest = _project(design, response)
    ranks = np.cumsum(~np.isnan(scores))[terms:]
    rows = response.size
    if criterion == 3:
        t = np.abs(np.nan_to_num(scores[terms:])) / np.sqrt(rest[terms:] / (rows - ranks))
        significant = np.flatnonzero(t >= _STOP)
        return int(significant[-1]) if significant.size else 0
    penalty = 2.0 if criterion == 1 else np.log(rows)
    return int(np.argmin(rows * np.log(rest[terms:] / rows) + penalty * ranks))
