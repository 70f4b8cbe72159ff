"""Intervals for means and for paired differences, that cover what they claim also where little was seen.

Two methods, chosen by how much there is to resample:

- the **symmetric bootstrap-t** over whole clusters (Hall 1988; Davison and Hinkley 1997, section 5.2): the
  estimate ± the resampled quantile of |t|, t studentised by the clustered standard error. It corrects for
  few samples, for skew and for unequal clusters, where the percentile interval is too short and BCa worse.
- a **score interval** where fewer than ten clusters differ from the commonest, so that resampling could
  only repeat what was seen: Tango (1998) for differences, Wilson (1927) for means, with every change counted
  as a whole one. 817 questions without a single flip give ±0.0047, not [0, 0]. Single binary scores always
  have Wilson's.

Coverage of 95 % intervals, per cent of 4,000 simulated experiments each (sampling error ± 0.7). In brackets
what the percentile bootstrap covered (500 to 1,000 experiments, ± 1.9); an s marks where the score interval
stood in for the bootstrap in more than half of the experiments:

    n samples or clusters                         30              100              500
    binary pairs, 1 % won, 1 % lost         100.0 s (100)    98.6 s (98)      96.0 (96)
    binary pairs, 3.5 % won, 1.5 % lost      99.6 s  (66)    93.9 s (95)      94.8 (93)
    binary pairs, 12 % won, 8 % lost         95.4 s  (91)    95.0   (95)      94.8 (95)
    binary pairs, 30 % won, 20 % lost        94.9    (95)    94.9   (96)      95.9 (94)
    numbers, normal                          95.4    (93)    95.2   (95)      95.0 (96)
    numbers, exponential                     94.0    (92)    94.8   (94)      95.5 (92)
    numbers, 70 % unchanged, Laplace         99.7 s  (91)    96.2   (93)      94.2 (94)
    numbers, 95 % unchanged, skewed         100.0 s  (57)    99.9 s (85)      95.3 (93)
    25 binary draws per prompt               96.7    (92)    95.5   (94)      94.7 (95)
    1 to 3 binary scores per prompt          95.3    (92)    94.1   (95)      95.0 (94)
    one mean, binary 0.95 (Wilson)           94.0            96.7             94.9
    one mean, 25 binary draws per prompt     94.8            95.7             95.0
    one mean, numbers piled up at 0 and 1    95.3            95.5             95.0
"""

import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.records.comparisons import Interval
from harness.stats.clusters import Clusters, Codes, Floats, as_flips, by_cluster, few_differ, value_range
from harness.stats.plan import DEFAULT_RESAMPLING, Resampling
from harness.stats.resampling import Random, resamplings_of_kinds

MANY_ALIKE = 8
"""With so many clusters of a kind on average, drawing how often each kind comes is the faster way."""
HALVINGS = 60
"""Of [-1, 1], to the last bit of a float."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A paired difference, its interval, and in words how the interval came about."""

    value: float
    interval: Interval
    method: str


def normal_quantile(level: float) -> float:
    """How many standard errors a two-sided normal interval of this level reaches: 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: float, n: float, level: float) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927). `n` > 0; fractions are welcome."""
    z2 = normal_quantile(level) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return Interval(low=max(centre - half, 0.0), high=min(centre + half, 1.0), level=level)


def tango(won: float, lost: float, n: float, level: float) -> Interval:
    """Tango's score interval for the difference (won - lost) / n of paired proportions (Tango 1998).

    All differences that McNemar's test, centred at them, would not reject. With nothing won or lost it is
    ± z² / (n + z²). Fractions are welcome.
    """
    z = normal_quantile(level)
    return Interval(low=_tango_low(won, lost, n, z), high=-_tango_low(lost, won, n, z), level=level)


def difference_interval(
    differences: Clusters, range_width: float, *, level: float, resamples: int, rng: Random
) -> Estimate:
    """The mean of paired differences, clustered. `range_width` is how wide the range of scores is.

    Exchanging the two sides mirrors the interval exactly, and the order of the clusters changes nothing.
    """
    mean = differences.mean
    if few_differ(differences, range_width):
        flips = as_flips(differences, range_width)
        unit = tango(flips.won, flips.lost, flips.n, level)
        scaled = Interval(low=unit.low * range_width, high=unit.high * range_width, level=level)
        return Estimate(mean, scaled, "Tango score interval")
    half = _half_width(differences, level, resamples, rng)
    interval = Interval(low=max(mean - half, -range_width), high=min(mean + half, range_width), level=level)
    units = "samples" if differences.singles else "clusters"
    return Estimate(mean, interval, f"bootstrap-t over {differences.count} {units}, {resamples} resamples")


def one_sided_p(
    differences: Clusters, range_width: float, bound: float, *, resamples: int, rng: Random
) -> float:
    """One-sided p: how surprising these differences are if their true mean is `bound` < 0 or less.

    `difference_interval` turned round: with a generator in the same state, p is below (1 - level) / 2 where
    that interval's lower end is above `bound`. Tango's score where few changed, else bootstrap-t. Never 0.
    """
    if bound <= -range_width:
        return sys.float_info.min  # scores have no room for such a loss
    if few_differ(differences, range_width):
        flips = as_flips(differences, range_width)
        score = _tango_score(flips.won, flips.lost, flips.n, bound / range_width)
        return max(NormalDist().cdf(-score), sys.float_info.min)
    t = (differences.mean - bound) / differences.standard_error
    farther = (np.abs(_resampled_t(differences, resamples, rng)) >= abs(t)).sum()
    half = float(farther + 1) / (resamples + 1) / 2
    return half if t > 0 else 1 - half


def mean_interval(
    values: Sequence[float] | Floats,
    clusters: Sequence[Hashable] | Codes,
    kind: Literal["binary", "number"],
    how: Resampling = DEFAULT_RESAMPLING,
) -> Interval:
    """The mean of one run's scores, for a leaderboard. `kind` is the metric's; at least one value.

    Wilson's interval for single binary scores; else the bootstrap over clusters, within the range that
    scores can have.
    """
    grouped = by_cluster(values, clusters)
    low, high = value_range(values)
    mean, range_width = grouped.mean, high - low
    if (kind == "binary" and grouped.singles) or few_differ(grouped, range_width):
        units = float(grouped.sizes.sum() / grouped.sizes.max())
        unit = wilson((mean - low) / range_width * units, units, how.level)
        return Interval(low=low + unit.low * range_width, high=low + unit.high * range_width, level=how.level)
    half = _half_width(grouped, how.level, how.resamples, how.seed)
    return Interval(low=max(mean - half, low), high=min(mean + half, high), level=how.level)


def critical_t(t: Floats, level: float) -> float:
    """How many standard errors the symmetric bootstrap-t reaches: the resampled quantile of |t|."""
    ordered = np.sort(np.abs(t))
    return float(ordered[min(ceil(level * (len(t) + 1)), len(t)) - 1])


def _tango_low(won: float, lost: float, n: float, z: float) -> float:
    """The smallest difference not rejected: bisection, for the score falls as the difference rises."""
    low, high = -1.0, (won - lost) / n
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _tango_score(won, lost, n, middle) > z:
            low = middle
        else:
            high = middle
    return low


def _tango_score(won: float, lost: float, n: float, difference: float) -> float:
    """Standard errors between what was seen and `difference`, the share lost as likely as it can be."""
    a = 2 * n
    b = (2 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    lost_share = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * lost_share + difference * (1 - difference))
    distance = won - lost - n * difference
    return distance / sqrt(variance) if variance > 0 else distance * np.inf


def _half_width(clusters: Clusters, level: float, resamples: int, random: Random) -> float:
    """The standard error times the resampled quantile of |t|."""
    return critical_t(_resampled_t(clusters, resamples, random), level) * clusters.standard_error


def _resampled_t(clusters: Clusters, resamples: int, random: Random) -> Floats:
    """(mean* - mean) / standard error* of resampled clusters; infinite where a resample has no spread."""
    kinds, repeats = _kinds(clusters)
    if len(kinds) * MANY_ALIKE > clusters.count:
        kinds, repeats = np.repeat(kinds, repeats, axis=0), np.ones(clusters.count, dtype=np.intp)
    residuals, sizes = kinds.T
    columns = np.column_stack([residuals, residuals**2])
    if not clusters.are_equal:
        columns = np.column_stack([columns, sizes, residuals * sizes, sizes**2])
    smallest = 1e-12 * float((residuals**2).max())
    inflation = clusters.count / (clusters.count - 1)
    chunks = []
    for weights in resamplings_of_kinds(repeats, resamples, random):
        excess, squares, *others = (weights @ columns).T
        size, products, sizes_squared = others or _of_equal(excess, float(sizes[0]), clusters.count)
        shift = excess / size
        spread = squares - 2 * shift * products + shift**2 * sizes_squared
        error = np.sqrt(np.maximum(spread, smallest) * inflation)
        chunks.append(np.where(spread > smallest, excess / error, np.inf))
    return np.concatenate(chunks)


def _of_equal(excess: Floats, size: float, count: int) -> tuple[float, Floats, float]:
    """The sums of sizes, of residuals times sizes and of squared sizes, where clusters have one size."""
    return size * count, size * excess, size**2 * count


def _kinds(clusters: Clusters) -> tuple[Floats, NDArray[np.intp]]:
    """Residuals and sizes as two columns, each pair of them once and in order, and how often it comes."""
    residuals = _mirrored(clusters.residuals)
    if clusters.are_equal:
        kinds, repeats = np.unique(residuals, return_counts=True)
        return np.column_stack([kinds, np.full(len(kinds), clusters.sizes[0])]), repeats
    return np.unique(np.column_stack([residuals, clusters.sizes]), axis=0, return_counts=True)


def _mirrored(residuals: Floats) -> Floats:
    """The residuals with the sign that they have for a mirrored difference too."""
    upright, downright = np.sort(residuals), np.sort(-residuals)
    unequal = np.flatnonzero(upright != downright)
    return -residuals if len(unequal) and upright[unequal[0]] < downright[unequal[0]] else residuals
