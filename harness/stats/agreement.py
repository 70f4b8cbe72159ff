"""How far raters agree: as a share, and beyond chance.

All four coefficients are 1 - observed / expected disagreement, over items that two or more rated:

- `raw_agreement`: the share of pairs of ratings that agree; expected disagreement is 1.
- `cohen_kappa` (Cohen 1960): two raters, each with a distribution of labels of their own.
- `fleiss_kappa` (Fleiss 1971): any raters, one distribution; numbers of raters may differ between items
  (Gwet 2014, "Handbook of Inter-Rater Reliability", chapter 2).
- `krippendorff_alpha` (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"), nominal labels.

Intervals resample items: a symmetric bootstrap-t whose standard error is the linearised one. Where fewer
than ten items differ from the commonest, resampling could only repeat what was seen; then the interval of
the observed agreement (Wilson's) is carried over, with chance agreement held as it was.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.records.comparisons import Interval
from harness.stats.clusters import Clusters, Floats, few_differ
from harness.stats.intervals import critical_t, wilson
from harness.stats.plan import DEFAULT_RESAMPLING, Resampling
from harness.stats.resampling import resamplings

Label = Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A coefficient of agreement, at most 1, or the reason why there is none."""

    value: float | None
    interval: Interval | None
    items: int
    """Items that at least two raters rated."""
    reason: str | None = None
    """Why `value` is None."""

    @property
    def shows_something(self) -> bool:
        """Whether there is a coefficient, and of more than one item."""
        return self.value is not None and self.items > 1


@dataclass(frozen=True, slots=True)
class Disagreements:
    """What a coefficient needs of each item: its disagreement, and its part in the labels' distributions."""

    observed: Floats
    """Disagreement times its weight, one number for each item."""
    weight: Floats
    left: Floats
    right: Floats
    """Items × labels: shares of each label, times the item's `mass`."""
    mass: Floats
    by_chance: bool = True
    """Whether expected disagreement is that of two labels drawn at random; else it is 1."""
    without_return: bool = False
    """Whether they are drawn without putting the first one back."""


def raw_agreement(
    ratings: Sequence[Sequence[Label | None]],
    clusters: Sequence[Hashable] | None = None,
    how: Resampling = DEFAULT_RESAMPLING,
) -> Agreement:
    """The share of agreeing pairs of ratings of an item, averaged over items.

    `ratings` holds for each item one label for each rater, None where there is none; `clusters` says which
    items are not independent, None that all are.
    """
    counts = _counts(ratings)
    return _agreement(_raw(counts), _units(clusters, counts, least=0), how)


def cohen_kappa(
    first: Sequence[Label | None],
    second: Sequence[Label | None],
    clusters: Sequence[Hashable] | None = None,
    how: Resampling = DEFAULT_RESAMPLING,
) -> Agreement:
    """Cohen's kappa of two raters' labels of the same items; items that one did not rate are left out."""
    pairs = list(zip(first, second, strict=True))
    both = [pair for pair in pairs if None not in pair]
    units = _units(clusters, _counts(pairs), least=2)
    left, right = _one_hot([[a] for a, _ in both], both), _one_hot([[b] for _, b in both], both)
    ones = np.ones(len(both))
    disagree = 1 - (left * right).sum(axis=1)
    return _agreement(Disagreements(disagree, ones, left, right, ones), units, how)


def fleiss_kappa(
    ratings: Sequence[Sequence[Label | None]],
    clusters: Sequence[Hashable] | None = None,
    how: Resampling = DEFAULT_RESAMPLING,
) -> Agreement:
    """Fleiss' kappa; `ratings` as in `raw_agreement`. Items that one rater rated count for chance only."""
    counts = _counts(ratings)
    return _agreement(_fleiss(counts), _units(clusters, counts, least=1), how)


def krippendorff_alpha(
    ratings: Sequence[Sequence[Label | None]],
    clusters: Sequence[Hashable] | None = None,
    how: Resampling = DEFAULT_RESAMPLING,
) -> Agreement:
    """Krippendorff's alpha for nominal labels; `ratings` as in `raw_agreement`."""
    counts = _counts(ratings)
    return _agreement(_krippendorff(counts), _units(clusters, counts, least=2), how)


def _raw(counts: Floats) -> Disagreements:
    raters = counts.sum(axis=1)
    paired = (raters >= 2).astype(np.float64)
    return Disagreements(_disagreement(counts), paired, counts, counts, raters, by_chance=False)


def _fleiss(counts: Floats) -> Disagreements:
    raters = counts.sum(axis=1)
    rated = counts[raters >= 1]
    shares = rated / rated.sum(axis=1, keepdims=True)
    paired = (rated.sum(axis=1) >= 2).astype(np.float64)
    return Disagreements(_disagreement(rated), paired, shares, shares, np.ones(len(rated)))


def _krippendorff(counts: Floats) -> Disagreements:
    paired = counts[counts.sum(axis=1) >= 2]
    raters = paired.sum(axis=1)
    return Disagreements(_disagreement(paired) * raters, raters, paired, paired, raters, without_return=True)


def _disagreement(counts: Floats) -> Floats:
    """The share of differing pairs among the ratings of each item; 0 where there is no pair."""
    raters = counts.sum(axis=1)
    pairs = np.maximum(raters * (raters - 1), 1)
    shares: Floats = (raters**2 - (counts**2).sum(axis=1)) / pairs
    return shares


def _agreement(items: Disagreements, units: Sequence[Hashable], how: Resampling) -> Agreement:
    """1 - observed / expected, if there is something to be divided by. `units` are what is resampled."""
    paired = int((items.weight > 0).sum())
    if not paired:
        return _none("no item was rated by two raters", 0)
    grouped = _by_unit(items, units)
    once = np.ones((1, len(grouped.mass)))
    value, error, expected = (float(each[0]) for each in _coefficients(grouped, once))
    if not expected > 0:
        return _none("all ratings are the same label, so that chance alone would agree as well", paired)
    rated = grouped.weight > 0
    observed, weight = grouped.observed[rated], grouped.weight[rated]
    if few_differ(Clusters(observed, weight), 1.0):
        whole = weight.sum() / weight.max()
        seen = wilson(observed.sum() / weight.sum() * whole, whole, how.level)
        low, high = 1 - seen.high / expected, 1 - seen.low / expected
    else:
        half = _half_width(grouped, value, error, how)
        low, high = value - half, value + half
    interval = Interval(low=max(low, -1.0), high=min(high, 1.0), level=how.level)
    return Agreement(value=value, interval=interval, items=paired)


def _units(clusters: Sequence[Hashable] | None, counts: Floats, *, least: int) -> list[Hashable]:
    """The clusters of the items that at least so many rated; by default each is one of its own."""
    enough = counts.sum(axis=1) >= least
    return [unit for unit, kept in zip(clusters or range(len(counts)), enough, strict=True) if kept]


def _by_unit(items: Disagreements, units: Sequence[Hashable]) -> Disagreements:
    """Everything added up within the units: all that is computed from items is computed from sums."""
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(unit, len(numbers)) for unit in units]

    def added(each: Floats) -> Floats:
        sums = np.zeros((len(numbers), *each.shape[1:]))
        np.add.at(sums, codes, each)
        return sums

    return replace(
        items,
        observed=added(items.observed),
        weight=added(items.weight),
        left=added(items.left),
        right=added(items.right),
        mass=added(items.mass),
    )


def _half_width(items: Disagreements, value: float, error: float, how: Resampling) -> float:
    t = []
    for weights in resamplings(len(items.mass), how.resamples, 4 * len(items.mass), how.generator()):
        values, errors, expected = _coefficients(items, weights)
        defined = (errors > 1e-9) & (expected > 1e-9)
        t.append(np.where(defined, (values - value) / np.where(defined, errors, 1.0), np.inf))
    return critical_t(np.concatenate(t), how.level) * error


def _coefficients(items: Disagreements, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each row of item weights: the coefficient, its linearised standard error, expected disagreement."""
    n = weights.shape[1]
    total, mass = weights @ items.weight, weights @ items.mass
    usable = (total > 0) & (mass > (1 if items.without_return else 0))
    total, mass = np.where(usable, total, 1.0), np.where(usable, mass, 2.0)
    observed = weights @ items.observed / total
    deviations = (items.observed - observed[:, None] * items.weight) / total[:, None]
    if not items.by_chance:
        expected = np.where(usable, 1.0, 0.0)
        influence = -deviations
    else:
        left, right = weights @ items.left / mass[:, None], weights @ items.right / mass[:, None]
        scale = mass / (mass - 1) if items.without_return else np.ones(len(mass))
        alike = (left * right).sum(axis=1)
        expected = np.where(usable, scale * (1 - alike), 0.0)
        shift = right @ items.left.T + left @ items.right.T - 2 * alike[:, None] * items.mass
        shift /= mass[:, None]
        divisor = np.where(expected > 0, expected, 1.0)[:, None]
        influence = -deviations / divisor - observed[:, None] * scale[:, None] * shift / divisor**2
    inflation = n / (n - 1) if n > 1 else 1.0
    errors = np.sqrt((weights * influence**2).sum(axis=1) * inflation)
    return 1 - observed / np.where(expected > 0, expected, 1.0), errors, expected


def _counts(ratings: Sequence[Sequence[Label | None]]) -> Floats:
    """Items × labels: how many raters gave each item each label."""
    return _one_hot(ratings, ratings)


def _one_hot(ratings: Sequence[Sequence[Label | None]], among: Sequence[Sequence[Label | None]]) -> Floats:
    """Counts of each label in each item; columns are all labels `among` which they are."""
    labels = {label: None for item in among for label in item if label is not None}
    columns = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(ratings), len(columns)))
    for row, item in zip(counts, ratings, strict=True):
        for label in item:
            if label is not None:
                row[columns[label]] += 1
    return counts


def _none(reason: str, items: int) -> Agreement:
    return Agreement(value=None, interval=None, items=items, reason=reason)
