"""A human win rate from few human labels and many of a judge's: prediction-powered inference.

The judge's mean over all items is corrected by how much people differ from the judge where both have judged:

    corrected = mean(human) + w · (mean(judge, others) - mean(judge, shared))

(Angelopoulos et al. 2023, "Prediction-powered inference", Science 382.) The weight w is the one that makes
the result least uncertain (PPI++, arXiv:2311.01453, section 6), within 0, where the judge says nothing of
people and only their labels count, and 1. So a biased judge does no harm, and a useless one hardly any.

Items are prompts: labels of one prompt belong together. Shared items must be drawn at random from all.

Coverage of 95 % intervals, per cent of 1,000 simulated experiments each (± 1.4), 1,000 items, true human win
rate 0.60; a judge that gives one side 15 % of all cases whatever they are. In brackets the width, as a share
of the width from human labels alone (with 20 of them the latter is Wilson's, which is narrower):

    items that people judged              20            50            200
    agrees in 80 % of the rest            95.5 (1.22)   94.6 (0.76)   95.0 (0.79)
    agrees in 55 % of the rest            97.5 (1.22)   94.8 (0.91)   95.8 (0.91)
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from harness.records.comparisons import Interval
from harness.stats.clusters import Clusters, Floats, by_cluster
from harness.stats.intervals import critical_t, mean_interval
from harness.stats.plan import REFIT_RESAMPLING, Resampling
from harness.stats.preferences import as_shares
from harness.stats.resampling import resamplings

FEWEST = 10
"""Items that people must have judged; fewer say too little of how they differ from the judge."""

ROUNDING = 1e-9
"""A standard error below it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedWinRate:
    """A win rate by human labels with a judge's help, or why there is none."""

    value: float | None
    interval: Interval | None
    human: Interval | None
    """What the human labels alone allow one to say."""
    weight: float | None
    """How far the judge was followed: 0 not at all, 1 wholly."""
    shared: int
    """Items that both have judged."""
    judged: int
    """Further items that only the judge has."""
    reason: str | None = None


def corrected_win_rate(
    human: Sequence[float | None],
    judge: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    how: Resampling = REFIT_RESAMPLING,
) -> CorrectedWinRate:
    """People's and the judge's shares of the same items; people's are None where they have not judged.

    All are the candidate's shares of the win, in [0, 1]. Where there is no spread to weigh the judge by, its
    weight is 0, and people's labels alone say everything. Raises ValueError for one outside.
    """
    rng = how.generator()
    labels = [label for label in human if label is not None]
    both = np.array([label is not None for label in human], dtype=bool)
    shares, shared_clusters = as_shares(judge), list(compress(clusters, both))
    people = by_cluster(as_shares(labels), shared_clusters)
    machine = by_cluster(shares[both], shared_clusters)
    shared = people.count
    if shared < FEWEST:
        return _none(f"people judged {shared} of the judge's items, and at least {FEWEST} are needed", shared)
    if both.all():
        return _none("the judge has judged nothing but what people have", shared)
    further = by_cluster(shares[~both], list(compress(clusters, ~both)))
    if further.count < FEWEST:
        return _none(f"only {further.count} items were judged by the judge alone: too few to help", shared)
    alone = mean_interval(labels, shared_clusters, "number", replace(how, seed=rng))
    sample = _Shared(people, machine)
    far, far_error = further.mean, further.standard_error
    value, error, weight = (float(each[0]) for each in sample.corrected(np.ones((1, shared)), far, far_error))
    if error < ROUNDING:  # people all say the same, or the judge repeats them: its worth cannot be estimated
        return _corrected(people.mean, alone, alone, 0.0, shared, further.count)
    t = []
    for weights in resamplings(shared, how.resamples, 8 * shared, rng):
        drawn = far + far_error * rng.standard_normal(len(weights))
        values, errors, _ = sample.corrected(weights, drawn, far_error)
        t.append(np.where(errors > ROUNDING, (values - value) / np.maximum(errors, ROUNDING), np.inf))
    half = critical_t(np.concatenate(t), how.level) * error
    interval = Interval(low=max(value - half, 0.0), high=min(value + half, 1.0), level=how.level)
    return _corrected(min(max(value, 0.0), 1.0), interval, alone, weight, shared, further.count)


class _Shared:
    """The items that both have judged, to be summed with any weights."""

    def __init__(self, people: Clusters, machine: Clusters) -> None:
        y, f, m = people.sums, machine.sums, people.sizes
        self._columns = np.column_stack([y, f, m, y * y, f * f, y * f, y * m, f * m, m * m])
        self._inflation = people.count / (people.count - 1)

    def corrected(
        self, weights: Floats, far: Floats | float, far_error: float
    ) -> tuple[Floats, Floats, Floats]:
        """For each row of weights: the corrected mean, its standard error, the judge's weight."""
        y, f, m, yy, ff, yf, ym, fm, mm = (weights @ self._columns).T
        of_people, of_machine = y / m, f / m
        scale = self._inflation / m**2
        var_people = scale * np.maximum(yy - 2 * of_people * ym + of_people**2 * mm, 0)
        var_machine = scale * np.maximum(ff - 2 * of_machine * fm + of_machine**2 * mm, 0)
        both = scale * (yf - of_people * fm - of_machine * ym + of_people * of_machine * mm)
        spread = var_machine + far_error**2
        weight = np.clip(both / np.maximum(spread, 1e-12), 0.0, 1.0)
        variance = var_people - 2 * weight * both + weight**2 * spread
        return of_people + weight * (far - of_machine), np.sqrt(np.maximum(variance, 0.0)), weight


def _corrected(
    value: float, interval: Interval, human: Interval, weight: float, shared: int, judged: int
) -> CorrectedWinRate:
    return CorrectedWinRate(
        value=value, interval=interval, human=human, weight=weight, shared=shared, judged=judged
    )


def _none(reason: str, shared: int) -> CorrectedWinRate:
    return CorrectedWinRate(
        value=None, interval=None, human=None, weight=None, shared=shared, judged=0, reason=reason
    )
