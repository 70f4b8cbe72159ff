"""Intervals for means and for paired differences, that cover what they claim also where little was seen.

Two methods, chosen by how much there is to resample:

- the **symmetric bootstrap-t** over whole clusters (Hall 1988; Davison and Hinkley 1997, section 5.2): the
  estimate ± the resampled quantile of |t|, t studentised by the clustered standard error. It corrects for
  few samples, for skew and for unequal clusters, where the percentile interval is too short and BCa worse.
- a **score interval** where fewer than ten clusters differ from the commonest, so that resampling could
  only repeat what was seen: Tango (1998) for differences, Wilson (1927) for means, with every change counted
  as a whole one. 817 questions without a single flip give ±0.0047, not [0, 0]. Single binary scores always
  have Wilson's.

COVERAGE_TABLE

It does not know what a difference decides.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from harness.records import Interval
from harness.stats.clusters import Clusters, Floats, as_flips, by_cluster, few_differ, value_range

CHUNK = 2**20
"""Resampling weights held at once: 8 MiB."""
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
    differences: Clusters, span: float, *, level: float, resamples: int, rng: np.random.Generator
) -> Estimate:
    """The mean of paired differences, clustered. `span` is the width of the range of the scores compared.

    Exchanging the two sides mirrors the interval exactly, and the order of the clusters changes nothing.
    """
    mean = differences.mean
    if few_differ(differences, span):
        flips = as_flips(differences, span)
        unit = tango(flips.won, flips.lost, flips.n, level)
        scaled = Interval(low=unit.low * span, high=unit.high * span, level=level)
        return Estimate(mean, scaled, "Tango score interval")
    half = _half_width(differences, level, resamples, rng)
    interval = Interval(low=max(mean - half, -span), high=min(mean + half, span), level=level)
    units = "samples" if differences.singles else "clusters"
    return Estimate(mean, interval, f"bootstrap-t over {differences.count} {units}, {resamples} resamples")


def mean_interval(
    values: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    kind: Literal["binary", "number"],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """The mean of one run's scores, for a leaderboard. `kind` is the metric's; at least one value.

    Wilson's interval for single binary scores; else the bootstrap over clusters, within the range that
    scores can have.
    """
    grouped = by_cluster(values, clusters)
    low, high = value_range(values)
    mean, span = grouped.mean, high - low
    if (kind == "binary" and grouped.singles) or few_differ(grouped, span):
        units = float(grouped.sizes.sum() / grouped.sizes.max())
        unit = wilson((mean - low) / span * units, units, level)
        return Interval(low=low + unit.low * span, high=low + unit.high * span, level=level)
    half = _half_width(grouped, level, resamples, np.random.default_rng(seed))
    return Interval(low=max(mean - half, low), high=min(mean + half, high), level=level)


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


def _half_width(clusters: Clusters, level: float, resamples: int, rng: np.random.Generator) -> float:
    """The standard error times the resampled quantile of |t|."""
    t = np.sort(np.abs(_resampled_t(clusters, resamples, rng)))
    quantile = t[min(ceil(level * (resamples + 1)), resamples) - 1]
    return float(quantile) * clusters.standard_error


def _resampled_t(clusters: Clusters, resamples: int, rng: np.random.Generator) -> Floats:
    """(mean* - mean) / standard error* of resampled clusters; infinite where a resample has no spread."""
    residuals, sizes = _canonical(clusters)
    count = len(sizes)
    columns = np.column_stack([residuals, sizes, residuals**2, residuals * sizes, sizes**2])
    smallest = 1e-12 * float(columns[:, 2].max())
    chunks = []
    done = 0
    while done < resamples:
        rows = min(resamples - done, CHUNK // count + 1)
        excess, size, squares, products, sizes_squared = (_weights(count, rows, rng) @ columns).T
        shift = excess / size
        spread = squares - 2 * shift * products + shift**2 * sizes_squared
        error = np.sqrt(np.maximum(spread, smallest) * count / (count - 1))
        chunks.append(np.where(spread > smallest, excess / error, np.inf))
        done += rows
    return np.concatenate(chunks)


def _weights(count: int, rows: int, rng: np.random.Generator) -> Floats:
    """How often each of `count` clusters is drawn in each of `rows` resamples."""
    drawn = rng.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def _canonical(clusters: Clusters) -> tuple[Floats, Floats]:
    """Residuals and sizes in an order and with a sign that depend neither on order nor on direction."""
    residuals, sizes = clusters.residuals, clusters.sizes
    upright, mirrored = np.sort(residuals), np.sort(-residuals)
    unequal = np.flatnonzero(upright != mirrored)
    if len(unequal) and upright[unequal[0]] < mirrored[unequal[0]]:
        residuals = -residuals
    order = np.lexsort((sizes, residuals))
    return residuals[order], sizes[order]
