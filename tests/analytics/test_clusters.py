"""An order that shows clusters."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analytics import cluster_order
from pipeline.errors import AnalyticsError


def blocks(sizes: list[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of groups that move together, shuffled, and the group of each."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    common = rng.normal(size=(2_000, len(sizes)))
    moves = common[:, group] + 0.6 * rng.normal(size=(2_000, group.size))
    shuffled = rng.permutation(group.size)
    return np.corrcoef(moves[:, shuffled].T), group[shuffled]


def test_each_cluster_stands_together():
    correlation, group = blocks([5, 3, 7, 2], np.random.default_rng(1))
    found = group[cluster_order(correlation)]
    assert np.count_nonzero(np.diff(found)) == 3


def test_it_is_a_permutation_that_depends_on_the_values_alone():
    correlation, _ = blocks([4, 4], np.random.default_rng(2))
    order = cluster_order(correlation)
    assert sorted(order.tolist()) == list(range(8))
    assert np.array_equal(order, cluster_order(correlation.copy()))
    noisy = correlation.copy()
    np.fill_diagonal(noisy, np.nan)
    assert np.array_equal(order, cluster_order(noisy))


def test_pairs_without_a_figure_count_as_unrelated():
    correlation, group = blocks([3, 3], np.random.default_rng(3))
    first = np.flatnonzero(group == 0)
    correlation[first[0], first[1]] = correlation[first[1], first[0]] = np.nan
    assert np.count_nonzero(np.diff(group[cluster_order(correlation)])) == 1
    assert sorted(cluster_order(np.full((4, 4), np.nan)).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_two_or_fewer_have_nothing_to_order(size):
    assert cluster_order(np.eye(size)).tolist() == list(range(size))


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(AnalyticsError, match="expected a square matrix"):
        cluster_order(np.zeros((3, 2)))
