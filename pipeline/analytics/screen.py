"""Engle-Granger over a whole universe, with the false-discovery rate kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.analytics.adf import CRITERIA, check_options, longest_lag
from pipeline.analytics.arrays import BoolArray, FloatArray, IntArray
from pipeline.analytics.engle_granger import COLLINEAR_R_SQUARED, constant_of, engle_granger, first_step, terms_basis, without_terms
from pipeline.analytics.fdr import benjamini_hochberg
from pipeline.analytics.half_life import half_life
from pipeline.analytics.hurst import LONGEST_LAG, hurst
from pipeline.analytics.hurst import MINIMUM as HURST_MINIMUM
from pipeline.analytics.mackinnon import p_value
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError

Direction = str | Sequence[tuple[int, int]] | None
Progress = Callable[[int, int], None]

_FEWEST = 5  # bars below which there is nothing to prepare


class PairOutcome(IntEnum):
    """Why a pair has numbers, or has none."""

    TESTED = 0
    COLLINEAR = 1
    CONSTANT = 2
    TOO_SHORT = 3
    ILLIQUID = 4


@dataclass(frozen=True, slots=True)
class Screen:
    """One row for each ordered pair that was asked for. NaN (and lag -1) where ``outcome`` is not TESTED.

    Attributes:
        y: column of the dependent leg.
        x: column of the hedge.
        statistic: Engle-Granger statistic.
        p_value: MacKinnon's, N = 2.
        q_value: Benjamini-Hochberg over all rows that were tested.
        used_lag: lagged differences in the residual's regression.
        nobs: observations in it.
        beta: hedge ratio of the first step.
        alpha: its constant.
        half_life: of the residual in bars; NaN when it does not revert.
        hurst: exponent of the residual (:func:`pipeline.analytics.hurst`); NaN with fewer than 40 bars.
        crossings: how often the residual crosses its mean.
        correlation: of the legs' one-bar log returns; NaN when a price is not above zero.
        liquidity: the smaller of the legs' figures in ``liquidity``; NaN when none were given.
        outcome: values of :class:`PairOutcome`.
    """

    y: IntArray
    x: IntArray
    statistic: FloatArray
    p_value: FloatArray
    q_value: FloatArray
    used_lag: IntArray
    nobs: IntArray
    beta: FloatArray
    alpha: FloatArray
    half_life: FloatArray
    hurst: FloatArray
    crossings: FloatArray
    correlation: FloatArray
    liquidity: FloatArray
    outcome: NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.y.size)

    def ranked(self) -> IntArray:
        """Row numbers, the strongest case for cointegration first, untested rows last; ties in row order."""
        return np.lexsort((self.statistic, self.p_value)).astype(np.int64)


def screen_pairs(
    prices: ArrayLike,
    *,
    trend: str = "c",
    maxlag: int | None = None,
    autolag: str | None = "aic",
    direction: Direction = None,
    liquidity: ArrayLike | None = None,
    least_liquidity: float = 0.0,
    progress: Progress | None = None,
) -> Screen:
    """Test every pair of columns for cointegration. Each row equals :func:`pipeline.analytics.engle_granger`.

    The q-values' family is what was asked for: all ordered pairs, or one direction a pair chosen *beforehand*.
    Taking the smaller p of both directions afterwards rejects 1.67 times too often.

    Args:
        prices: ``(n_obs, n_symbols)``, one column for each symbol, rows at the same bar times. NaN marks a bar
            that a symbol does not have: each pair uses the rows that both its legs have.
        trend: as in :func:`pipeline.analytics.engle_granger`.
        maxlag: likewise.
        autolag: likewise.
        direction: None for all ordered pairs; ``forward`` for one test a pair, earlier column on later column;
            or the (y, x) column pairs to test.
        liquidity: one figure for each symbol, in any unit (such as the median quote volume of a bar).
        least_liquidity: a pair with a leg below it is not tested, and does not count in the q-values' family.
        progress: called as ``progress(done, total)`` after each hedge column, from this thread.

    Returns:
        Rows ordered by x, then y; for given pairs, in their order.

    Raises:
        AnalyticsError: when prices are not two-dimensional with at least two columns.
        NotFinite: on infinity.
        UsageError: when an option is unknown, a pair does not exist, or liquidity has another number of symbols.
    """
    check_options(trend, autolag)
    matrix = np.asarray(prices, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        msg = f"prices have shape {matrix.shape}; expected (n_obs, n_symbols) with at least two symbols"
        raise AnalyticsError(msg)
    if np.isinf(matrix).any():
        msg = "prices hold infinite values; expected finite prices, NaN where a bar is missing"
        raise NotFinite(msg)
    figures = np.full(matrix.shape[1], np.nan) if liquidity is None else np.asarray(liquidity, dtype=np.float64)
    if figures.shape != (matrix.shape[1],):
        msg = f"liquidity has shape {figures.shape}; expected one figure for each of the {matrix.shape[1]} symbols"
        raise UsageError(msg)
    y, x = _pairs(matrix.shape[1], direction)
    work = _Work(np.ascontiguousarray(matrix.T), y, x, trend=trend, maxlag=maxlag, autolag=autolag)
    done = 0
    illiquid = (figures[y] < least_liquidity) | (figures[x] < least_liquidity)
    work.leave_out(np.flatnonzero(illiquid))
    for column in np.unique(x):
        rows = np.flatnonzero(x == column)
        work.test(int(column), rows[~illiquid[rows]])
        done += rows.size
        if progress is not None:
            progress(done, y.size)
    return work.screen(figures)


def _pairs(n_symbols: int, direction: Direction) -> tuple[IntArray, IntArray]:
    if direction is None or direction == "forward":
        x, y = (part.ravel() for part in np.indices((n_symbols, n_symbols)))
        wanted = y != x if direction is None else y < x
        return y[wanted].astype(np.int64), x[wanted].astype(np.int64)
    if isinstance(direction, str):
        msg = f"direction {direction!r} is not known; expected None, 'forward' or a list of (y, x) columns"
        raise UsageError(msg)
    pairs = np.asarray(direction, dtype=np.int64).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n_symbols or (pairs[:, 0] == pairs[:, 1]).any()):
        msg = f"direction names columns outside 0 .. {n_symbols - 1}, or a column twice; expected pairs of two different columns"
        raise UsageError(msg)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Legs:
    """Columns of one length without holes, freed of the deterministic terms.

    ``usable`` says which have more than those terms in them; ``totals`` is what R^2 refers to.
    """

    free: FloatArray
    constants: FloatArray
    totals: FloatArray
    usable: BoolArray

    @classmethod
    def of(cls, columns: FloatArray, trend: str) -> _Legs:
        """Prepare ``(n_symbols, n_obs)``; a column with a hole is not usable."""
        basis = terms_basis(columns.shape[1], trend)
        usable: BoolArray = np.asarray(np.isfinite(columns).all(axis=1))
        free, constants, totals = np.zeros_like(columns), np.zeros(columns.shape[0]), np.ones(columns.shape[0])
        for i in np.flatnonzero(usable):
            column = columns[i]
            free[i] = without_terms(column, basis)
            constants[i] = constant_of(column, trend)
            about = column - column.mean() if trend != "n" else column
            totals[i] = about @ about
            usable[i] = column.min() < column.max() and free[i] @ free[i] > 1e-20 * (column @ column)
        return cls(free, constants, totals, usable)


class _Work:
    """Columns prepared once, results filled in row by row."""

    def __init__(self, columns: FloatArray, y: IntArray, x: IntArray, *, trend: str, maxlag: int | None, autolag: str | None) -> None:
        self._columns, self._trend, self._maxlag, self._autolag = columns, trend, maxlag, autolag
        self._y, self._x = y, x
        self._values = np.full((len(_MEASURES), y.size), np.nan)
        self._used_lag = np.full(y.size, -1, np.int64)
        self._nobs = np.zeros(y.size, np.int64)
        self._outcome = np.zeros(y.size, np.int8)
        self._legs = _Legs.of(columns, trend)
        self._returns = np.vstack([_returns(column) for column in columns])
        self._unit = np.vstack([_unit(returns) for returns in self._returns])

    def test(self, column: int, rows: IntArray) -> None:
        """Fill the rows whose hedge is ``column``: all at once where both legs are without holes, else one by one."""
        self._values[_CORRELATION, rows] = self._unit[self._y[rows]] @ self._unit[column]
        together = rows[self._legs.usable[self._y[rows]]] if self._legs.usable[column] else rows[:0]
        rest = self._fill(self._legs, column, self._y[together], together)
        alone = np.setdiff1d(rows, together, assume_unique=True)
        for row in alone:
            self._test_alone(int(row))
        for row in rest:
            self._test_exactly(int(row))

    def leave_out(self, rows: IntArray) -> None:
        """Rows that are not to be tested for want of liquidity."""
        self._outcome[rows] = PairOutcome.ILLIQUID

    def _fill(self, legs: _Legs, column: int, targets: IntArray, rows: IntArray) -> IntArray:
        """Run the kernel for ``targets`` on ``column`` and keep what is sound in ``rows``; the rows that another way has to judge."""
        from pipeline.analytics.kernels.unit_root import UNSURE, screen_column  # noqa: PLC0415 - numba

        n = legs.free.shape[1]
        try:
            lags = longest_lag(n, "n", self._maxlag)
        except TooShort:
            return rows
        longest = min(LONGEST_LAG, n // 4) if n >= HURST_MINIMUM else 0
        statistic, lag, beta, r_squared, phi, flag, crossings, exponent = screen_column(
            legs.free, column, targets, legs.totals, lags, CRITERIA[self._autolag], longest
        )
        collinear = r_squared >= COLLINEAR_R_SQUARED
        self._outcome[rows[collinear]] = PairOutcome.COLLINEAR
        sound = ~collinear & (flag != UNSURE)
        kept = rows[sound]
        self._used_lag[kept] = lag[sound]
        self._nobs[kept] = n - 1 - self._used_lag[kept]
        p_values = [p_value(value, self._trend, 2) for value in statistic[sound].tolist()]
        alpha = legs.constants[targets[sound]] - beta[sound] * legs.constants[column]
        bars = np.full(kept.size, np.nan)
        reverts = (phi[sound] > 0) & (phi[sound] < 1)
        bars[reverts] = -math.log(2.0) / np.log(phi[sound][reverts])
        measures = (statistic[sound], p_values, beta[sound], alpha, bars, exponent[sound], crossings[sound])
        self._values[: len(measures), kept] = measures
        unsure: IntArray = rows[~collinear & ~sound]
        return unsure

    def _common(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Both legs at the bars that both have."""
        y, x = self._columns[self._y[row]], self._columns[self._x[row]]
        both = ~(np.isnan(y) | np.isnan(x))
        return y[both], x[both]

    def _test_alone(self, row: int) -> None:
        """A pair of which a leg has holes, on the bars that both legs have."""
        pair = np.vstack(self._common(row))
        self._values[_CORRELATION, row] = _unit(_returns(pair[0])) @ _unit(_returns(pair[1]))
        legs = _Legs.of(pair, self._trend) if pair.shape[1] >= _FEWEST else None
        if legs is None or not legs.usable.all() or self._fill(legs, 1, np.zeros(1, np.int64), np.array([row])).size:
            self._test_exactly(row)

    def _test_exactly(self, row: int) -> None:
        """The single test, for pairs that the kernel is not sure of and for those that have no answer, to say why."""
        y, x = self._common(row)
        try:
            result = engle_granger(y, x, trend=self._trend, maxlag=self._maxlag, autolag=self._autolag)
            residual = first_step(y, x, self._trend)[1]
            reversion = half_life(residual)
        except Collinear:
            self._outcome[row] = PairOutcome.COLLINEAR
        except Constant:
            self._outcome[row] = PairOutcome.CONSTANT
        except TooShort:
            self._outcome[row] = PairOutcome.TOO_SHORT
        else:
            self._used_lag[row], self._nobs[row] = result.used_lag, result.nobs
            bars = reversion.bars if reversion else math.nan
            sides = np.sign(residual[residual != 0])
            crossed = int(np.count_nonzero(sides[1:] != sides[:-1]))
            measures = (result.statistic, result.p_value, result.beta, result.alpha, bars, _hurst_or_nan(residual), crossed)
            self._values[: len(measures), row] = measures

    def screen(self, liquidity: FloatArray) -> Screen:
        """The finished table."""
        # A figure of a pair that was not tested is no figure of the screen.
        self._values[:, self._outcome != PairOutcome.TESTED] = np.nan
        measures = dict(zip(_MEASURES, self._values, strict=True))
        return Screen(
            y=self._y,
            x=self._x,
            q_value=benjamini_hochberg(measures["p_value"]),
            used_lag=self._used_lag,
            nobs=self._nobs,
            outcome=self._outcome,
            liquidity=np.minimum(liquidity[self._y], liquidity[self._x]),
            **measures,
        )


_MEASURES = ("statistic", "p_value", "beta", "alpha", "half_life", "hurst", "crossings", "correlation")
_CORRELATION = _MEASURES.index("correlation")


def _returns(prices: FloatArray) -> FloatArray:
    """One-bar log returns; all NaN when a price is not above zero."""
    if prices.size < 2 or not (np.isnan(prices) | (prices > 0)).all():
        return np.full(max(prices.size - 1, 0), np.nan)
    returns: FloatArray = np.diff(np.log(prices))
    return returns


def _unit(returns: FloatArray) -> FloatArray:
    """Centred and of length one, so that a product of two is their correlation; NaN when they do not vary."""
    if not returns.size:
        return np.full(1, np.nan)
    apart = returns - returns.mean()
    length = float(np.sqrt(apart @ apart))
    unit: FloatArray = apart / (length if length > 0 else np.nan)
    return unit


def _hurst_or_nan(residual: FloatArray) -> float:
    try:
        return hurst(residual).exponent
    except (TooShort, Constant):
        return math.nan
