"""How well scores put things in order: the area under the ROC curve, and Spearman's rank correlation.

The area (AUC) is the chance that a positive case scores above a negative one, a tie counting half (Hanley
and McNeil 1982). Spearman's rho is the correlation of mid-ranks. Each case has an influence on them (for the
AUC the components of DeLong, DeLong and Clarke-Pearson 1988, for rho those of Croux and Dehon 2010, with
ties), and the standard error is that of the mean influence, by cluster.

The interval is Wilson's, of the AUC or of (1 + rho) / 2, for the number of cases with which a share would
have that standard error, as is usual for clustered shares (Korn and Graubard 1998). It is at most twice the
number of clusters of the rarer kind: in a nearly perfect order the few errors say little about the variance.

Coverage of 95 % intervals, per cent of 1,500 simulated experiments each (sampling error ± 1.1):

    n                                                    40      100      500
    AUC 0.5, 30 % positive, normal scores              95.7     96.1     96.0
    AUC 0.8, 30 % positive                             97.0     96.5     97.3
    AUC 0.8, 5 % positive                              98.3     98.3     98.8
    AUC 0.97, 30 % positive                            97.8     98.5     99.6
    AUC 0.97, 5 % positive                             98.3     98.5     99.8
    AUC 0.99, 2 % of the positive look negative        93.3     94.8     95.7
    AUC 0.95, 10 % of the positive look negative       95.8     95.9     94.1
    AUC 0.97, 30 % positive, pairs that go together    98.7     99.5     99.6
    rho 0                                              94.1     93.8     95.3
    rho 0.5                                            94.0     93.3     94.3
    rho 0.9                                            97.7     97.8     98.8

The bootstrap-t of `harness.stats.intervals` covers as well, but gave [0.47, 1.00] around an AUC of 0.995.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.records.comparisons import Interval
from harness.stats.clusters import Floats, by_cluster
from harness.stats.intervals import Estimate, wilson

METHOD = "Wilson score interval for the effective number of cases"


def auc(
    scores: Sequence[float] | Floats,
    positive: Sequence[bool] | NDArray[np.bool_],
    clusters: Sequence[Hashable],
    level: float = 0.95,
) -> Estimate | None:
    """The chance that a positive case scores above a negative one; None where one of the kinds is missing."""
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    among = np.empty(len(scores))
    for kind in (positive, ~positive):
        among[kind] = mid_ranks(scores[kind])
    below = mid_ranks(scores) - among  # of the other kind
    placed = np.where(positive, below / negatives, 1 - below / positives)
    value = float(placed[positive].mean())
    influence = (placed - value) * len(scores) / np.where(positive, positives, negatives)
    kinds = set(zip(clusters, positive.tolist(), strict=True))
    rarer = min(sum(kind for _, kind in kinds), sum(not kind for _, kind in kinds))
    return Estimate(value, _interval(value, influence, clusters, rarer, level), METHOD)


def spearman(
    left: Sequence[float] | Floats,
    right: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    level: float = 0.95,
) -> Estimate | None:
    """The correlation of ranks, from -1 to 1; None where all values of a side are equal."""
    one, other = (_centred_ranks(np.asarray(side, dtype=np.float64)) for side in (left, right))
    width, height = float((one**2).mean()), float((other**2).mean())
    if not width or not height:
        return None
    scale = np.sqrt(width * height)
    value = float((one * other).mean() / scale)
    spread = (one**2 + 2 * _shift(one, one)) / width + (other**2 + 2 * _shift(other, other)) / height
    influence = (one * other + _shift(one, other) + _shift(other, one)) / scale - value / 2 * spread
    unit = _interval((1 + value) / 2, influence / 2, clusters, len(set(clusters)), level)
    return Estimate(value, Interval(low=2 * unit.low - 1, high=2 * unit.high - 1, level=level), METHOD)


def mid_ranks(values: Floats) -> Floats:
    """How many values are lower, a tie and the value itself counting half: 0.5 for the lowest."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - counts / 2)[places]
    return ranks


def _centred_ranks(values: Floats) -> Floats:
    return mid_ranks(values) / len(values) - 0.5


def _shift(ranks: Floats, weights: Floats) -> Floats:
    """The mean weight of the cases ranked above each case, a tie counting half: it moves their ranks up."""
    _, places = np.unique(ranks, return_inverse=True)
    sums = np.bincount(places, weights=weights)
    above: Floats = (np.cumsum(sums[::-1])[::-1] - sums / 2)[places] / len(ranks)
    return above


def _interval(
    share: float, influence: Floats, clusters: Sequence[Hashable], rarer: int, level: float
) -> Interval:
    """A share's interval; so many clusters have a case of the rarer kind."""
    grouped = by_cluster(influence, clusters)
    spread, most = share * (1 - share), 2.0 * rarer
    variance = grouped.standard_error**2 if grouped.count > 1 else 0.0
    cases = min(spread / variance, most) if spread and variance else most
    return wilson(share * cases, cases, level)
