"""Scores that belong together, reduced to what every clustered statistic needs: sums and sizes.

Scores of one prompt are not independent, so the prompt is what is resampled and permuted. With s the sum
and m the number of scores in a cluster, the mean over all scores is the ratio sum(s) / sum(m), and its
linearised standard error is that of Miller (2024, "Adding Error Bars to Evals", equation 4) and of cluster
sampling in general (Cochran 1977, chapter 9).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import fsum, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
"""Numbers in the place of names, from 0 on."""

FEW = 10
"""Fewer clusters than this that differ from the commonest one are too few to resample."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The sum and the number of scores of each cluster: two arrays of the same length, at least 1."""

    sums: Floats
    sizes: Floats

    @property
    def count(self) -> int:
        """Independent units."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """The mean over scores, a cluster weighing as much as it has scores."""
        return fsum(self.sums) / fsum(self.sizes)

    @property
    def residuals(self) -> Floats:
        """What each cluster's sum has above what the overall mean gives it."""
        return self.sums - self.mean * self.sizes

    @property
    def standard_error(self) -> float:
        """The standard error of the mean, with clusters as the independent units; at least two of them."""
        spread = fsum(self.residuals**2) * self.count / (self.count - 1)
        return sqrt(spread) / fsum(self.sizes)

    @property
    def are_equal(self) -> bool:
        """Whether all clusters hold as many scores."""
        return bool((self.sizes == self.sizes[0]).all())

    @property
    def singles(self) -> bool:
        """Whether every cluster holds exactly one score."""
        return bool((self.sizes == 1).all())


@dataclass(frozen=True, slots=True)
class Flipped:
    """Differences as whole wins and losses among `n` units; a fraction where they were not whole."""

    won: float
    lost: float
    n: float


def numbered(names: Sequence[Hashable]) -> Codes:
    """Each name as a number: equal ones have one, from 0 on in the order in which they are first met."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)


def by_cluster(values: Sequence[float] | Floats, clusters: Sequence[Hashable] | Codes) -> Clusters:
    """Group scores, given as two sequences of the same length. NaN is a mistake of the caller's.

    Clusters come in the order in which they are first met; those that are codes, in the order of these.
    """
    scores = np.asarray(values, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("a score is NaN or infinite; an unscored sample must be left out instead")
    codes = clusters if isinstance(clusters, np.ndarray) else numbered(clusters)
    sums, sizes = np.bincount(codes, weights=scores).astype(np.float64), np.bincount(codes).astype(np.float64)
    return Clusters(sums[sizes > 0], sizes[sizes > 0])


def few_differ(clusters: Clusters, range_width: float) -> bool:
    """Whether fewer than `FEW` clusters differ from the commonest one.

    Resampling so few repeats what was seen and cannot imagine what was not: where all differences are zero
    it gives [0, 0], which claims certainty. `range_width` is how wide the range of scores is; means nearer
    than 1e-12 of it are the same.
    """
    means = np.round(clusters.sums / clusters.sizes / range_width, 12)
    return clusters.count - int(np.unique(means, return_counts=True)[1].max()) < FEW


def as_flips(differences: Clusters, range_width: float) -> Flipped:
    """Differences as if every change had been a whole one, from one end of the range to the other.

    Among variables within [-1, 1] of a given mean and mean absolute value, one with whole changes varies
    most, so what holds for it is on the safe side for others. Clusters of unequal size count as the number
    of largest ones that they would fill.
    """
    largest = float(differences.sizes.max())
    whole = differences.sums / (largest * range_width)
    return Flipped(fsum(whole[whole > 0]), -fsum(whole[whole < 0]), fsum(differences.sizes) / largest)


def value_range(values: Sequence[float] | Floats) -> tuple[float, float]:
    """The range that scores can have: 0 to 1 where all are in it, else what was seen, and zero."""
    low, high = float(np.min(values)), float(np.max(values))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return min(low, 0.0), max(high, 0.0)
