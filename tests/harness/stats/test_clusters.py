"""Grouping scores into clusters."""

from math import inf, nan, sqrt

import numpy as np
import pytest

from harness.stats.clusters import Clusters, Flipped, as_flips, by_cluster, few_differ, value_range


def test_scores_of_a_cluster_are_summed_and_counted():
    """Clusters come in the order in which they are first met."""
    grouped = by_cluster([1.0, 0.0, 1.0, 0.5], ["b", "a", "b", "a"])

    assert grouped.sums.tolist() == [2.0, 0.5]
    assert grouped.sizes.tolist() == [2.0, 2.0]
    assert grouped.mean == 0.625


@pytest.mark.parametrize("value", [nan, inf])
def test_a_score_that_is_no_number_is_refused(value: float):
    """NaN would move every mean without a word."""
    with pytest.raises(ValueError, match="NaN or infinite"):
        by_cluster([1.0, value], ["a", "b"])


def test_the_standard_error_of_single_scores_is_the_textbook_one():
    """With one score per cluster it is s / √n."""
    values = [0.1, 0.9, 0.4, 0.4, 0.7]

    assert np.std(values, ddof=1) / sqrt(5) == pytest.approx(by_cluster(values, range(5)).standard_error)


def test_the_standard_error_is_that_of_the_clusters_when_scores_repeat():
    """25 copies of each score hold no more than one of each."""
    values = [0.1, 0.9, 0.4, 0.4, 0.7]
    copied = by_cluster(np.repeat(values, 25), np.repeat(range(5), 25).tolist())

    assert by_cluster(values, range(5)).standard_error == pytest.approx(copied.standard_error)


@pytest.mark.parametrize(("changed", "expected"), [(0, True), (9, True), (10, False)])
def test_ten_clusters_that_differ_are_enough_to_resample(changed: int, expected: bool):
    """The commonest value is what they differ from, be it zero or not."""
    sums = np.array([0.3] * 50 + [0.4] * changed)

    assert expected is few_differ(Clusters(sums, np.ones(len(sums))), 1.0)


def test_the_dust_of_floating_point_makes_no_difference():
    """0.1 + 0.2 and 0.3 are one value."""
    sums = np.array([0.3, 0.1 + 0.2] * 50)

    assert few_differ(Clusters(sums, np.ones(100)), 1.0)


def test_unequal_clusters_count_as_the_largest_ones_they_would_fill():
    """Six scores in clusters of up to three are two units."""
    flips = as_flips(Clusters(np.array([3.0, -1.0, 1.0]), np.array([3.0, 1.0, 2.0])), 1.0)

    assert Flipped(pytest.approx(4 / 3), pytest.approx(1 / 3), 2.0) == flips


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.2, 0.4], (0, 1)), ([0.0, 0.0], (0, 1)), ([5.0, 7.0], (0, 7)), ([-3.0, -2.0], (-3, 0))],
)
def test_the_range_of_scores(values: list[float], expected: tuple[float, float]):
    """0 to 1 where that holds everything; else what was seen, and zero."""
    assert expected == value_range(values)
