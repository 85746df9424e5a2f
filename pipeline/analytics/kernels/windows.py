"""Centred moments of every window, each a function of the values in its window and of nothing else."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.analytics.arrays import FloatArray

_WINDOWS = 2048  # worked on at once, so that what is in work stays in the cache


@njit(cache=True, nogil=True, error_model="numpy")
def _merge(  # noqa: PLR0917 - compiled
    series: FloatArray, start: int, heads: FloatArray, n_head: int, tails: FloatArray, n_tail: int, out: FloatArray, count: int
) -> None:
    """Moments of blocks of ``n_head`` values and the ``n_tail`` values behind each, together.

    Chan, Golub and LeVeque, The American Statistician 37 (1983), with every sum taken about its block's first value.
    """
    weight, head_share, tail_share = n_head * n_tail / (n_head + n_tail), 1.0 / n_head, 1.0 / n_tail
    a, a_behind = series[0, start:], series[0, start + n_head :]
    if series.shape[0] == 1:
        sums, squares = heads[0], heads[1]
        next_sums, next_squares = tails[0, n_head:], tails[1, n_head:]
        all_sums, all_squares = out[0], out[1]
        for i in range(count):
            moved = next_sums[i] + n_tail * (a_behind[i] - a[i])
            apart = moved * tail_share - sums[i] * head_share
            all_sums[i] = sums[i] + moved
            all_squares[i] = squares[i] + next_squares[i] + apart * apart * weight
        return
    b, b_behind = series[1, start:], series[1, start + n_head :]
    a_sums, b_sums, aa, bb, ab = heads
    next_a, next_b, next_aa, next_bb, next_ab = tails[:, n_head:]
    all_a, all_b, all_aa, all_bb, all_ab = out
    for i in range(count):
        a_moved = next_a[i] + n_tail * (a_behind[i] - a[i])
        b_moved = next_b[i] + n_tail * (b_behind[i] - b[i])
        a_apart = a_moved * tail_share - a_sums[i] * head_share
        b_apart = b_moved * tail_share - b_sums[i] * head_share
        all_a[i] = a_sums[i] + a_moved
        all_b[i] = b_sums[i] + b_moved
        all_aa[i] = aa[i] + next_aa[i] + a_apart * a_apart * weight
        all_bb[i] = bb[i] + next_bb[i] + b_apart * b_apart * weight
        all_ab[i] = ab[i] + next_ab[i] + a_apart * b_apart * weight


@njit(cache=True, nogil=True, error_model="numpy")
def window_moments(series: FloatArray, window: int) -> FloatArray:
    """Means, centred squares and centred products of the ``window`` values that end at each position.

    Blocks of 1, 2, 4 ... values are merged pairwise, and a window is put together from the blocks that its length is
    the sum of, always the same way: results are the same to the last bit however the input is cut into batches, and
    the cost grows with the logarithm of the window. Everything is taken relative to a block's first value, so that
    the level costs no precision and a constant window has squares of exactly 0.

    Args:
        series: one or two series, shape (1, n) or (2, n). A NaN or an infinity makes the windows that hold it NaN.
        window: at least 1.

    Returns:
        Rows of length n, NaN before the first full window. For one series: mean minus the window's first value, sum of
        squares. For two: both means minus first values, both sums of squares, sum of products.
    """
    legs, n = series.shape
    rows = 2 * legs + (legs == 2)
    out = np.full((rows, n), np.nan)
    size = min(n, _WINDOWS + window - 1)
    blocks, next_blocks, heads, next_heads = np.empty((rows, size)), np.empty((rows, size)), np.empty((rows, size)), np.empty((rows, size))
    for start in range(0, n - window + 1, _WINDOWS):
        count = min(_WINDOWS, n - window + 1 - start)
        values = count + window - 1
        for leg in range(legs):  # a block of one value: no deviation, but NaN stays NaN
            blocks[leg, :values] = series[leg, start : start + values] - series[leg, start : start + values]
        blocks[legs:, :values] = 0.0
        covered, length, rest = 0, 1, window
        while True:
            if rest & 1:
                if covered == 0:
                    heads[:, :values] = blocks[:, :values]
                else:
                    _merge(series, start, heads, covered, blocks, length, next_heads, values - covered - length + 1)
                    heads, next_heads = next_heads, heads
                covered += length
            rest >>= 1
            if rest == 0:
                break
            _merge(series, start, blocks, length, blocks, length, next_blocks, values - 2 * length + 1)
            blocks, next_blocks = next_blocks, blocks
            length *= 2
        at = start + window - 1
        for row in range(rows):
            out[row, at : at + count] = heads[row, :count]
        out[:legs, at : at + count] /= window
    return out
