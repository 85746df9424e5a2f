"""The augmented Dickey-Fuller regression for all lags at once.

All candidate regressions are nested, so one Cholesky factor of one cross-product matrix holds the residual sum of
squares of each, and the t-statistic of the last regressor of each. The matrix of lagged differences is almost
Toeplitz: each diagonal is one long sum plus short edges, which are added, never subtracted.

Cross-products square the condition of the problem. Where that could cost precision the kernels say so
(``UNSURE``) and the caller repeats the regression with :mod:`pipeline.analytics.adf_exact`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray, IntArray
from pipeline.analytics.kernels.hurst import exponent, spreads

UNSURE = 1
_PIVOT = 1e-6  # least share of a column that its predecessors may leave unexplained
_ROUNDING = 8 * np.finfo(np.float64).eps  # as in :func:`pipeline.analytics.hurst.rounding`
_STOP = 1.6448536269514722  # 95 % point of the normal, as statsmodels' t-stat rule has it


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a: FloatArray, b: FloatArray) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True)
def _cross_products(s: FloatArray, d: FloatArray, lags: int, terms: int, polynomials: FloatArray) -> FloatArray:
    """Of the columns: ``terms`` polynomials, level, lag 1 .. ``lags``, and the difference itself last."""
    n = d.size
    rows = n - lags
    size = terms + lags + 2
    g = np.zeros((size, size))
    level = s[lags:n]
    for a in range(terms):
        for b in range(a + 1):
            g[a, b] = g[b, a] = _dot(polynomials[a, :rows], polynomials[b, :rows])
        g[a, terms] = g[terms, a] = _dot(polynomials[a, :rows], level)
    g[terms, terms] = _dot(level, level)
    for i in range(lags + 1):
        at = terms + i if i > 0 else size - 1
        column = d[lags - i : n - i]
        g[terms, at] = g[at, terms] = _dot(level, column)
        for a in range(terms):
            g[a, at] = g[at, a] = _dot(polynomials[a, :rows], column)
    for k in range(lags + 1):
        core = _dot(d[lags : n - lags + k], d[lags - k : n - lags])
        edge = 0.0
        for i in range(lags - k, -1, -1):  # what lies after the core
            if i < lags - k:
                edge += d[n - 1 - i] * d[n - 1 - i - k]
            a = terms + i if i > 0 else size - 1
            b = terms + i + k if i + k > 0 else size - 1
            g[a, b] = core + edge
        edge = 0.0
        for i in range(lags - k + 1):  # what lies before it
            if i > 0:
                edge += d[lags - i] * d[lags - i - k]
            a = terms + i if i > 0 else size - 1
            b = terms + i + k if i + k > 0 else size - 1
            g[a, b] += edge
            g[b, a] = g[a, b]
    return g


@njit(cache=True, nogil=True)
def _scores(g: FloatArray) -> tuple[FloatArray, bool]:
    """Last row of the Cholesky factor, the response's length in each regressor's new direction, and whether it is sound."""
    size = g.shape[0]
    factor = np.zeros((size, size))
    sound = g[size - 1, size - 1] > 0.0
    for j in range(size):
        for i in range(j, size):
            total = g[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > _PIVOT * g[j, j]:
                    return factor[size - 1], False
                factor[j, j] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    return factor[size - 1], sound


@njit(cache=True, nogil=True)
def _choose_lag(scores: FloatArray, total: float, rows: int, before: int, maxlag: int, criterion: int) -> int:  # noqa: PLR0917 - compiled
    """Lag by AIC (1), BIC (2) or the last t-statistic (3); ``before`` regressors precede the lags."""
    rest = total
    for j in range(before):
        rest -= scores[j] * scores[j]
    best, lag = np.inf, 0
    chosen_by_t = 0
    for q in range(maxlag + 1):
        if q > 0:
            rest -= scores[before + q - 1] ** 2
        k = before + q
        if criterion == 3:
            t = scores[k - 1] / np.sqrt(rest / (rows - k))
            if abs(t) >= _STOP:
                chosen_by_t = q
        else:
            penalty = 2.0 if criterion == 1 else np.log(rows)
            value = rows * np.log(rest / rows) + penalty * k
            if value < best:
                best, lag = value, q
    return chosen_by_t if criterion == 3 else lag


@njit(cache=True, nogil=True)
def _statistic(s: FloatArray, terms: int, maxlag: int, criterion: int) -> tuple[float, int, int]:
    """See :func:`adf_statistic`; ``s`` is centred (with a constant) and of unit scale."""
    n = s.size - 1
    d = np.empty(n)
    for t in range(n):
        d[t] = s[t + 1] - s[t]
    polynomials = np.ones((terms, n))
    lag = maxlag
    if criterion > 0:
        rows = n - maxlag
        _fill(polynomials, rows)
        g = _cross_products(s, d, maxlag, terms, polynomials)
        scores, sound = _scores(g)
        if not sound:
            return np.nan, 0, UNSURE
        lag = _choose_lag(scores, g[-1, -1], rows, terms + 1, maxlag, criterion)
    rows = n - lag
    _fill(polynomials, rows)
    g = _cross_products(s, d, lag, terms, polynomials)
    size = g.shape[0]
    # the level goes behind the lags: its score is then its t-statistic's numerator
    order = np.empty(size, np.int64)
    for j in range(size):
        order[j] = j
    for j in range(terms, terms + lag):
        order[j] = j + 1
    order[terms + lag] = terms
    scores, sound = _scores(g[order][:, order])
    if not sound:
        return np.nan, lag, UNSURE
    rest = g[-1, -1]
    for j in range(size - 1):
        rest -= scores[j] * scores[j]
    return scores[size - 2] / np.sqrt(rest / (rows - size + 1)), lag, 0


@njit(cache=True, nogil=True)
def _fill(polynomials: FloatArray, rows: int) -> None:
    """Constant, line and parabola over the sample, on [-1, 1] and nearly orthogonal: they span the usual 1, t, t^2."""
    for t in range(rows):
        tau = (2.0 * t - (rows - 1)) / (rows - 1)
        if polynomials.shape[0] > 1:
            polynomials[1, t] = tau
        if polynomials.shape[0] > 2:
            polynomials[2, t] = tau * tau - 1.0 / 3.0


@njit(cache=True, nogil=True)
def _standardised(s: FloatArray, terms: int) -> FloatArray:
    """Unit scale, and zero mean when there is a constant to take it up."""
    mean = 0.0
    if terms > 0:
        for _ in range(2):  # the second round takes off what rounding left
            mean += float(np.mean(s - mean))
    out = s - mean
    scale = np.sqrt(_dot(out, out) / s.size)
    return out / scale if scale > 0.0 else out


@njit(cache=True, nogil=True)
def adf_statistic(s: FloatArray, terms: int, maxlag: int, criterion: int) -> tuple[float, int, int]:
    """t-statistic of the level in ``ds[t] = terms + g s[t-1] + sum of lagged ds``.

    Args:
        s: the series.
        terms: how many of constant, trend, squared trend.
        maxlag: most lags, or the lags when there is no criterion.
        criterion: 0 none, 1 AIC, 2 BIC, 3 last t-statistic.

    Returns:
        ``(statistic, used_lag, flag)``; with the flag ``UNSURE`` the first two are to be computed another way.
    """
    return _statistic(_standardised(s, terms), terms, maxlag, criterion)


@njit(cache=True, nogil=True)
def _reversion(e: FloatArray) -> float:
    """AR(1) coefficient of ``e``, from the regression of its differences on its level with a constant."""
    n = e.size - 1
    mean = np.mean(e[:n])
    step = (e[n] - e[0]) / n
    sxx, sxy = 0.0, 0.0
    for t in range(n):
        u = e[t] - mean
        sxx += u * u
        sxy += u * (e[t + 1] - e[t] - step)
    return 1.0 + sxy / sxx if sxx > 0.0 else np.nan


@njit(cache=True, nogil=True)
def _crossings(e: FloatArray) -> int:
    """How often ``e`` goes from one side of 0 to the other."""
    found, side = 0, 0.0
    for value in e:
        if value * side < 0.0:
            found += 1
        if value != 0.0:
            side = value
    return found


@njit(cache=True, nogil=True)
def screen_column(  # noqa: PLR0917 - compiled
    prices: FloatArray, at: int, targets: IntArray, totals: FloatArray, maxlag: int, criterion: int, hurst_lag: int
) -> FloatArray:
    """Engle-Granger regressions of many legs on one.

    Args:
        prices: ``(n_symbols, n_obs)``, each row freed of the deterministic terms.
        at: row of the hedge.
        targets: rows of the dependent legs.
        totals: total sum of squares of each row that R^2 refers to.
        maxlag: as in :func:`adf_statistic`.
        criterion: as in :func:`adf_statistic`.
        hurst_lag: longest lag of the Hurst exponent; under 3 there is none.

    Returns:
        ``(8, len(targets))``: statistic, used lag, beta, R^2, AR(1) coefficient of the residual, flag, how often the residual
        crosses its mean, its Hurst exponent (NaN where it has none).
    """
    out = np.empty((8, targets.size))
    x = prices[at]
    sxx = _dot(x, x)
    for k in range(targets.size):
        y = prices[targets[k]]
        beta = _dot(x, y) / sxx
        e = y - beta * x
        out[2, k] = beta
        out[3, k] = 1.0 - _dot(e, e) / totals[targets[k]]
        out[4, k] = _reversion(e)
        unit = _standardised(e, 0)
        out[0, k], out[1, k], out[5, k] = _statistic(unit, 0, maxlag, criterion)
        out[6, k] = _crossings(e)
        out[7, k] = exponent(spreads(unit, hurst_lag), _ROUNDING * np.abs(unit).max()) if hurst_lag >= 3 else np.nan
    return out
