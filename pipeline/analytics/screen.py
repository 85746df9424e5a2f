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
from pipeline.analytics.mackinnon import p_value
from pipeline.errors import AnalyticsError, Collinear, Constant, NotFinite, TooShort, UsageError

Direction = str | Sequence[tuple[int, int]] | None
Progress = Callable[[int, int], None]


class PairOutcome(IntEnum):
    """Why a pair has numbers, or has none."""

    TESTED = 0
    COLLINEAR = 1
    CONSTANT = 2
    TOO_SHORT = 3


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
        progress: called as ``progress(done, total)`` after each hedge column, from this thread.

    Returns:
        Rows ordered by x, then y; for given pairs, in their order.

    Raises:
        AnalyticsError: when prices are not two-dimensional with at least two columns.
        NotFinite: on infinity.
        UsageError: when an option is unknown or a pair does not exist.
    """
    check_options(trend, autolag)
    matrix = np.asarray(prices, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        msg = f"prices have shape {matrix.shape}; expected (n_obs, n_symbols) with at least two symbols"
        raise AnalyticsError(msg)
    if np.isinf(matrix).any():
        msg = "prices hold infinite values; expected finite prices, NaN where a bar is missing"
        raise NotFinite(msg)
    y, x = _pairs(matrix.shape[1], direction)
    work = _Work(np.ascontiguousarray(matrix.T), y, x, trend=trend, maxlag=maxlag, autolag=autolag)
    done = 0
    for column in np.unique(x):
        rows = np.flatnonzero(x == column)
        work.test(int(column), rows)
        done += rows.size
        if progress is not None:
            progress(done, y.size)
    return work.screen()


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


class _Work:
    """Columns prepared once, results filled in row by row."""

    def __init__(self, columns: FloatArray, y: IntArray, x: IntArray, *, trend: str, maxlag: int | None, autolag: str | None) -> None:
        self._columns, self._trend, self._maxlag, self._autolag = columns, trend, maxlag, autolag
        self._y, self._x = y, x
        self._values = np.full((5, y.size), np.nan)  # statistic, p, beta, alpha, half-life
        self._used_lag = np.full(y.size, -1, np.int64)
        self._nobs = np.zeros(y.size, np.int64)
        self._outcome = np.zeros(y.size, np.int8)
        # columns that the compiled path takes: no bar missing, and more than deterministic terms in them
        self._whole: BoolArray = np.asarray(np.isfinite(columns).all(axis=1))
        self._lags = 0
        try:
            self._lags = longest_lag(columns.shape[1], "n", maxlag)
        except TooShort:  # each pair says so for itself
            self._whole = np.zeros_like(self._whole)
        self._prepare()

    def _prepare(self) -> None:
        """Free every whole column of the deterministic terms; columns that are nothing else leave the compiled path."""
        n = self._columns.shape[1]
        self._free = np.zeros_like(self._columns)
        self._constants = np.zeros(self._columns.shape[0])
        self._totals = np.ones(self._columns.shape[0])
        basis = terms_basis(n, self._trend)
        for i in np.flatnonzero(self._whole):
            column = self._columns[i]
            self._free[i] = without_terms(column, basis)
            self._constants[i] = constant_of(column, self._trend)
            about = column - column.mean() if self._trend != "n" else column
            self._totals[i] = about @ about
            self._whole[i] = column.min() < column.max() and self._free[i] @ self._free[i] > 1e-20 * (column @ column)

    def test(self, column: int, rows: IntArray) -> None:
        """Fill the rows whose hedge is ``column``: compiled where both legs are whole, one by one otherwise."""
        from pipeline.analytics.kernels.unit_root import UNSURE, screen_column  # noqa: PLC0415 - numba

        compiled = rows[self._whole[self._y[rows]]] if self._whole[column] else rows[:0]
        targets = self._y[compiled]
        statistic, lag, beta, r_squared, phi, flag = screen_column(
            self._free, column, targets, self._totals, self._lags, CRITERIA[self._autolag]
        )
        collinear = r_squared >= COLLINEAR_R_SQUARED
        self._outcome[compiled[collinear]] = PairOutcome.COLLINEAR
        sound = ~collinear & (flag != UNSURE)
        kept = compiled[sound]
        self._used_lag[kept] = lag[sound]
        self._nobs[kept] = self._columns.shape[1] - 1 - self._used_lag[kept]
        self._values[0, kept], self._values[2, kept] = statistic[sound], beta[sound]
        self._values[1, kept] = [p_value(value, self._trend, 2) for value in statistic[sound].tolist()]
        self._values[3, kept] = self._constants[self._y[kept]] - beta[sound] * self._constants[column]
        reverts = (phi[sound] > 0) & (phi[sound] < 1)
        self._values[4, kept[reverts]] = -math.log(2.0) / np.log(phi[sound][reverts])
        for row in np.setdiff1d(rows, np.concatenate((kept, compiled[collinear])), assume_unique=True):
            self._test_one(int(row))

    def _test_one(self, row: int) -> None:
        y, x = self._columns[self._y[row]], self._columns[self._x[row]]
        both = ~(np.isnan(y) | np.isnan(x))
        try:
            result = engle_granger(y[both], x[both], trend=self._trend, maxlag=self._maxlag, autolag=self._autolag)
            reversion = half_life(first_step(y[both], x[both], self._trend)[1])
        except Collinear:
            self._outcome[row] = PairOutcome.COLLINEAR
        except Constant:
            self._outcome[row] = PairOutcome.CONSTANT
        except TooShort:
            self._outcome[row] = PairOutcome.TOO_SHORT
        else:
            self._used_lag[row], self._nobs[row] = result.used_lag, result.nobs
            bars = reversion.bars if reversion else math.nan
            self._values[:, row] = result.statistic, result.p_value, result.beta, result.alpha, bars

    def screen(self) -> Screen:
        """The finished table."""
        statistic, p, beta, alpha, bars = self._values
        return Screen(self._y, self._x, statistic, p, benjamini_hochberg(p), self._used_lag, self._nobs, beta, alpha, bars, self._outcome)
