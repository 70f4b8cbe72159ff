"""Bounds of a mean with missing scores: its value if all of them were as low, and as high, as possible.

A missing score could have been anything from 0 to 1. A score that sums up several parts of a row (a maximum
over continuations) may rest on some of them only: its suite then adds two scores, of the metrics `NAME:least`
and `NAME:most`, for what it could have been with all of them. Such scores belong to no run's metrics, so that
nothing averages or compares them.

Only some metrics have bounds: those that are yes or no, headlines, and those whose values all lie within 0
and 1, the range that also limits their intervals.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from harness.records.answers import Metric, Observation, Score
from harness.stats.clusters import value_range

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


def observed_bounds(
    metric: Metric, observations: Mapping[str, Sequence[Observation]]
) -> tuple[float, float] | None:
    """The lowest and the highest mean that the metric could have had, from a run's scores by metric name.

    None where nothing is unscored, and where the metric's range is not known.
    """
    found = _by_part(metric.name, observations).values()
    return _means(metric, [(each.low, each.high) for each in found], (each.value for each in found))


def bounds(metric: Metric, rows: Iterable[Sequence[Score]]) -> tuple[float, float] | None:
    """`observed_bounds` over the scores of these rows."""
    observations: dict[str, list[Observation]] = defaultdict(list)
    for row, scores in enumerate(rows):
        for part, score in enumerate(scores):
            seen = Observation(sample=str(row), part=part, cluster=str(row), value=score.value)
            observations[score.metric].append(seen)
    return observed_bounds(metric, observations)


def difference_bounds(
    metric: Metric,
    baseline: Mapping[str, Sequence[Observation]],
    candidate: Mapping[str, Sequence[Observation]],
) -> tuple[float, float] | None:
    """The lowest and the highest mean difference, candidate minus baseline, had every pair a score.

    Over the samples of both. None as in `observed_bounds`.
    """
    left, right = _by_part(metric.name, baseline), _by_part(metric.name, candidate)
    samples = {sample for sample, _ in left} & {sample for sample, _ in right}
    pairs = [
        (left.get(key, UNKNOWN), right.get(key, UNKNOWN))
        for key in dict.fromkeys([*left, *right])
        if key[0] in samples
    ]
    ends = [(after.low - before.high, after.high - before.low) for before, after in pairs]
    return _means(metric, ends, (each.value for pair in pairs for each in pair))


@dataclass(frozen=True, slots=True)
class _Extremes:
    """A score, and the lowest and the highest that it could have been."""

    value: float | None
    low: float
    high: float


UNKNOWN = _Extremes(None, 0.0, 1.0)


def _by_part(
    metric: str, observations: Mapping[str, Sequence[Observation]]
) -> dict[tuple[str, int], _Extremes]:
    """Scores by sample and part; a bound belongs to a row's only score."""
    ends = [
        {seen.sample: seen.value for seen in observations.get(metric + end, ())} for end in (_LEAST, _MOST)
    ]
    found = {}
    for seen in observations.get(metric, ()):
        if seen.value is None:
            found[seen.sample, seen.part] = UNKNOWN
        else:
            low, high = (seen.value if (end := each.get(seen.sample)) is None else end for each in ends)
            found[seen.sample, seen.part] = _Extremes(seen.value, low, high)
    return found


def _means(
    metric: Metric, ends: Sequence[tuple[float, float]], values: Iterable[float | None]
) -> tuple[float, float] | None:
    """The means of the lower and of the upper ends, where something could move them."""
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    if lows == highs or not _within_0_and_1(metric, [value for value in values if value is not None]):
        return None
    return fsum(lows) / len(lows), fsum(highs) / len(highs)


def _within_0_and_1(metric: Metric, values: list[float]) -> bool:
    if metric.kind == "binary" or metric.headline:
        return True
    return bool(values) and value_range(values) == (0.0, 1.0)
