"""Bounds of a mean with missing scores: its value if all of them were as low, and as high, as possible.

A missing score could have been anything from 0 to 1. A score that sums up several parts of a row (a maximum
over continuations) may rest on some of them only: its suite then adds two scores, of the metrics `NAME:least`
and `NAME:most`, for what it could have been with all of them. Such scores belong to no run's metrics, so that
nothing averages or compares them.

Only some metrics have bounds: those that are yes or no, headlines, and those whose values all lie within 0
and 1, the range that also limits their intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np

from harness.observed import NOTHING_OBSERVED, Observed, paired
from harness.records.answers import Metric, Score
from harness.stats.clusters import Codes, Floats, value_range

_LEAST, _MOST = ":least", ":most"


def bounded(score: Score, *, least: float, most: float) -> tuple[Score, ...]:
    """A row's only score of its metric, with what it could have been had every part of the row a score."""
    named = ((_LEAST, least), (_MOST, most))
    return (
        score,
        *(Score(metric=score.metric + end, value=could) for end, could in named if could != score.value),
    )


def is_bound(score: Score) -> bool:
    """Whether it only says how far another score could be off."""
    return score.metric.endswith((_LEAST, _MOST))


def observed_bounds(metric: Metric, observations: Mapping[str, Observed]) -> tuple[float, float] | None:
    """The lowest and the highest mean that the metric could have had, from a run's scores by metric name.

    None where nothing is unscored, and where the metric's range is not known.
    """
    return _means(metric, _extremes(metric.name, observations))


def difference_bounds(
    metric: Metric, baseline: Mapping[str, Observed], candidate: Mapping[str, Observed]
) -> tuple[float, float] | None:
    """The lowest and the highest mean difference, candidate minus baseline, had every pair a score.

    Over the samples of both. None as in `observed_bounds`.
    """
    pairs = paired(
        *(observations.get(metric.name, NOTHING_OBSERVED) for observations in (baseline, candidate))
    )
    before = _extremes(metric.name, baseline).at(pairs.left)
    after = _extremes(metric.name, candidate).at(pairs.right)
    return _means(
        metric,
        _Extremes(
            values=np.concatenate([before.values, after.values]),
            lows=after.lows - before.highs,
            highs=after.highs - before.lows,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extremes:
    """Scores, and the lowest and the highest that each could have been."""

    values: Floats
    """NaN where there is none."""
    lows: Floats
    highs: Floats

    def at(self, places: Codes) -> "_Extremes":
        """Those at these places; -1 is one of which nothing is known."""
        return _Extremes(
            values=np.append(self.values, np.nan)[places],
            lows=np.append(self.lows, 0.0)[places],
            highs=np.append(self.highs, 1.0)[places],
        )


def _extremes(metric: str, observations: Mapping[str, Observed]) -> _Extremes:
    """A metric's scores; a bound belongs to a row's only score."""
    observed = observations.get(metric, NOTHING_OBSERVED)
    ends = []
    for unknown, end in ((0.0, _LEAST), (1.0, _MOST)):
        could = observed.values
        if (bound := observations.get(metric + end)) is not None:
            known = _at_samples(observed, bound)
            could = np.where(np.isnan(known), observed.values, known)
        ends.append(np.where(observed.is_scored, could, unknown))
    return _Extremes(values=observed.values, lows=ends[0], highs=ends[1])


def _at_samples(observed: Observed, bound: Observed) -> Floats:
    """The bound of each score's sample; NaN where it has none."""
    by_sample = np.full(len(bound.samples.ids) + 1, np.nan)
    by_sample[bound.rows] = bound.values
    return by_sample[observed.samples.where(bound.samples)[observed.rows]]


def _means(metric: Metric, ends: _Extremes) -> tuple[float, float] | None:
    """The means of the lower and of the upper ends, where something could move them."""
    if (ends.lows == ends.highs).all() or not _within_0_and_1(metric, ends.values[~np.isnan(ends.values)]):
        return None
    return fsum(ends.lows) / len(ends.lows), fsum(ends.highs) / len(ends.highs)


def _within_0_and_1(metric: Metric, values: Floats) -> bool:
    if metric.kind == "binary" or metric.headline:
        return True
    return bool(len(values)) and value_range(values) == (0.0, 1.0)
