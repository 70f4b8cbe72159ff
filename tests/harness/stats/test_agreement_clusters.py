"""Agreement with items that belong together: the coefficient stays, and clusters are what is independent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.stats.agreement import Agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.plan import Resampling

RNG = np.random.default_rng(20261124)
FIRST = RNG.integers(0, 3, 120)
SECOND = np.where(RNG.random(120) < 0.6, FIRST, RNG.integers(0, 3, 120))


def of_pairs(coefficient: Callable[..., Agreement]) -> Callable[..., Agreement]:
    """A coefficient of any number of raters, given two raters' labels."""
    return lambda first, second, **how: coefficient(list(zip(first, second, strict=True)), **how)


def kappa(first: Any, second: Any, **how: Any) -> Agreement:
    """Cohen's, of arrays."""
    return cohen_kappa(list(first), list(second), **how)


COEFFICIENTS = [kappa, *map(of_pairs, (raw_agreement, fleiss_kappa, krippendorff_alpha))]


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_clusters_of_one_are_items(coefficient: Callable[..., Agreement]) -> None:
    """Naming every item a cluster of its own changes nothing."""
    how = Resampling(resamples=300)

    assert coefficient(FIRST, SECOND, how=how) == coefficient(FIRST, SECOND, clusters=range(120), how=how)


@pytest.mark.parametrize("coefficient", COEFFICIENTS[:3])
def test_a_copy_of_every_item_adds_no_certainty(coefficient: Callable[..., Agreement]) -> None:
    """Items twice within their clusters have the interval of once; as if independent, a shorter one."""
    how = Resampling(resamples=2000)
    twice = np.tile(FIRST, 2), np.tile(SECOND, 2)

    once = coefficient(FIRST, SECOND, how=how).interval
    together = coefficient(*twice, clusters=[*range(120), *range(120)], how=how).interval
    apart = coefficient(*twice, how=how).interval

    assert once is not None
    assert together is not None
    assert apart is not None
    width = once.high - once.low
    assert pytest.approx(width) == together.high - together.low
    assert pytest.approx(width / 2**0.5, rel=0.1) == apart.high - apart.low


def test_items_that_one_rater_left_out_take_their_cluster_with_them() -> None:
    """Clusters stay with their items where some are dropped."""
    labels = [*FIRST[:60].tolist(), None], [*SECOND[:60].tolist(), 1]

    with_hole = cohen_kappa(*labels, clusters=range(61), how=Resampling(resamples=300))

    assert cohen_kappa(FIRST[:60].tolist(), SECOND[:60].tolist(), how=Resampling(resamples=300)) == with_hole
