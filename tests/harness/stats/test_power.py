"""The smallest detectable difference."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats.clusters import Clusters, by_cluster
from harness.stats.paired import mcnemar
from harness.stats.power import (
    detectable_difference,
    detectable_flip_difference,
    sample_size_for_margin,
)


def power_of_mcnemar(n: int, discordance: float, difference: float) -> float:
    """The exact test's, at level .05, by summing over every number of flips and of wins among them."""
    won = (discordance + difference) / (2 * discordance)
    power = 0.0
    for flips in range(n + 1):
        wins = np.arange(flips + 1)
        rejecting = np.array([mcnemar(int(k), flips - int(k)) < 0.05 for k in wins])
        power += (
            scipy_stats.binom.pmf(flips, n, discordance)
            * scipy_stats.binom.pmf(wins, flips, won)[rejecting].sum()
        )
    return power


@pytest.mark.parametrize(("n", "discordance"), [(100, 0.3), (200, 0.2), (150, 0.6)])
def test_flips_are_shown_with_80_percent_power(n: int, discordance: float):
    """The exact test is somewhat conservative: its power at that difference is between 74 and 82 %."""
    difference = detectable_flip_difference(n, discordance, level=0.95)

    assert difference is not None
    assert 0.74 < power_of_mcnemar(n, discordance, difference) < 0.82


def test_without_a_single_flip_it_is_what_the_exact_test_needs():
    """Six flips one way are needed; a true difference of 7.9 / n brings as many with 80 % chance."""
    difference = detectable_flip_difference(817, 0.0, level=0.95)

    assert pytest.approx(difference, rel=0.01) == 7.9 / 817
    assert pytest.approx(scipy_stats.binom.sf(5, 817, difference)) == 0.8


def test_golden_value():
    """541 prompts of which 15 % flip: 2.8 × √(.15 / 541), a little less for the shrunken variance."""
    assert pytest.approx(detectable_flip_difference(541, 0.15, level=0.95), abs=5e-6) == 0.04655


def test_numbers_are_shown_with_80_percent_power():
    """By simulation: a t-test of 100 clusters with a true difference of that size rejects 80 % of times."""
    rng = np.random.default_rng(7)
    observed = Clusters(rng.normal(0, 1, 100), np.ones(100))
    difference = detectable_difference(observed, 8.0, binary=False, level=0.95)
    assert difference is not None
    spread = observed.standard_error * 10
    samples = rng.normal(difference, spread, (4000, 100))
    shown = np.abs(samples.mean(1) / (samples.std(1, ddof=1) / 10)) > scipy_stats.t.ppf(0.975, 99)

    assert pytest.approx(shown.mean(), abs=0.025) == 0.8


@pytest.mark.parametrize("binary", [True, False])
def test_five_clusters_can_show_nothing(binary: bool):
    """Five flips one way give p = 1/16: no exact test of five clusters can reject."""
    assert None is detectable_difference(Clusters(np.ones(5), np.ones(5)), 1.0, binary=binary, level=0.95)


@given(st.integers(6, 2000), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_it_is_never_zero_and_never_beyond_the_range(n: int, discordance: float, level: float):
    """Nor NaN; None only for fewer pairs than can ever reject."""
    difference = detectable_flip_difference(n, discordance, level=level)

    assert difference is None or 0 < difference <= 1


@given(st.integers(20, 1000), st.floats(0.01, 0.99))
def test_more_samples_show_less(n: int, discordance: float):
    """Twice as many samples show a smaller difference."""
    once, twice = (detectable_flip_difference(size, discordance, level=0.95) for size in (n, 2 * n))

    assert once is not None
    assert twice is not None
    assert twice < once


def test_the_unit_of_numbers_is_kept():
    """No change at all in 100 scores of 0 to 50: a fifth of what would be the whole range."""
    same = Clusters(np.zeros(100), np.ones(100))
    unit = detectable_difference(same, 1.0, binary=False, level=0.95)

    assert unit is not None
    assert 50 * unit == detectable_difference(same, 50.0, binary=False, level=0.95)


def test_what_is_needed_within_a_margin_by_hand() -> None:
    """((1.960 + 0.842) × spread / margin)² where many differ; flips as a share where few do; and where none
    does, what Tango's interval needs."""
    many = np.tile([0.4, -0.4, 0.8, -0.2], 10)
    spread = by_cluster(many, range(40))
    assert ceil(7.84888 * np.var(many, ddof=1) / 0.05**2) == sample_size_for_margin(
        spread, 2.0, 0.05, level=0.95
    )

    few = by_cluster([3.0, 3.0, -3.0] + [0.0] * 97, range(100))
    assert ceil(7.84888 * 0.03 * 9 / 0.1**2) == sample_size_for_margin(few, 3.0, 0.1, level=0.95)

    none = by_cluster([0.0] * 100, range(100))
    assert 73 == sample_size_for_margin(none, 2.0, 0.1, level=0.95)  # 3.8415 × 1.9 / 0.1 = 72.99


def test_few_changes_are_counted_as_flips() -> None:
    """Numbers of which few changed: the share of clusters that did, in units of the scores' range."""
    few = by_cluster([2.0, -2.0, 2.0] + [0.0] * 97, range(100))
    by_flips = detectable_flip_difference(100, 0.03, level=0.95)

    assert by_flips is not None
    assert pytest.approx(2 * by_flips) == detectable_difference(few, 2.0, binary=False, level=0.95)
