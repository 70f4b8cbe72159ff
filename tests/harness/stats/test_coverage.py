"""Intervals claim 95 %: by seeded simulation they hold the truth as often, within sampling error.

The larger simulation whose table stands in `harness.stats.intervals` was made with the same populations.
"""

from collections.abc import Callable

import numpy as np
import pytest

from harness.stats import mean_interval
from harness.stats.clusters import Clusters
from harness.stats.intervals import difference_interval
from harness.stats.plan import Resampling

EXPERIMENTS = 400
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / EXPERIMENTS)
"""Three standard errors of the simulation below the claim: 91.7 %."""

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def flips(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Binary pairs: 12 % won, 8 % lost."""
    return rng.choice([1.0, -1.0, 0.0], n, p=[0.12, 0.08, 0.8]), np.ones(n)


def rare_flips(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Binary pairs: 1 % won, 1 % lost."""
    return rng.choice([1.0, -1.0, 0.0], n, p=[0.01, 0.01, 0.98]), np.ones(n)


def skewed(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with a long tail to one side, of mean 0."""
    return rng.exponential(0.1, n) - 0.1, np.ones(n)


def peaked(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of which 70 % did not change."""
    return np.where(rng.random(n) < 0.3, rng.laplace(0.02, 0.1, n), 0.0), np.ones(n)


def clustered(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """1 to 3 binary scores per prompt whose chances go together; 1.5 times as large prompts are easier."""
    sizes = rng.choice([1.0, 2.0, 3.0], n, p=[0.5, 0.3, 0.2])
    easy = rng.beta(1, 1, n)
    won = rng.binomial(sizes.astype(int), easy * 0.9 + 0.1) - rng.binomial(sizes.astype(int), easy)
    return won.astype(float), sizes


@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize(
    ("draw", "truth"), [(flips, 0.04), (rare_flips, 0.0), (skewed, 0.0), (peaked, 0.006), (clustered, 0.05)]
)
def test_intervals_of_differences_cover(draw: Draw, truth: float, n: int):
    """For binary pairs with many or few flips, for numbers, and for clusters of unequal size."""
    rng = np.random.default_rng(20261122)
    held = 0
    for _ in range(EXPERIMENTS):
        found = difference_interval(Clusters(*draw(rng, n)), 1.0, level=0.95, resamples=199, rng=rng).interval
        held += found.low <= truth <= found.high

    assert held / EXPERIMENTS >= LEAST


def test_intervals_of_clustered_means_cover():
    """The non-toxic share of 60 prompts with 25 draws each, most prompts harmless."""
    rng = np.random.default_rng(20261122)
    clusters = np.repeat(np.arange(60), 25).tolist()
    held = 0
    for _ in range(EXPERIMENTS):
        toxic = rng.binomial(1, np.repeat(rng.beta(0.5, 4.5, 60), 25))
        found = mean_interval(1.0 - toxic, clusters, "binary", Resampling(resamples=199, seed=rng))
        held += found.low <= 0.9 <= found.high

    assert held / EXPERIMENTS >= LEAST
