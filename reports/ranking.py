"""Ranks models by the mean of their headline metrics, with its difference to the baseline's, and intervals.

A rank follows a mean, and a verdict follows the tests.
"""

import math
from collections.abc import Mapping, Sequence

from harness.records.answers import Metric
from harness.records.comparisons import Interval, Verdict
from reports.board import Section, ShownEstimate, Standing

PLACES = 3
"""Decimals of a mean that reports show."""


def rank(
    models: Sequence[str], baseline: str, sections: Sequence[Section], verdicts: Sequence[Verdict]
) -> tuple[Standing, ...]:
    """The rows of the table, best mean of headlines first."""
    lines = [line for section in sections for line in section.lines if line.metric.headline]
    by_candidate = {verdict.candidate: verdict for verdict in verdicts}
    cells = {model: tuple(line.cells[i] for line in lines) for i, model in enumerate(models)}
    metrics = [line.metric for line in lines]
    scores = {model: [cell.score if cell else None for cell in cells[model]] for model in models}
    against = {model: [cell.difference if cell else None for cell in cells[model]] for model in models}
    means = {model: _mean(metrics, scores[model], around=1.0) for model in models}
    differences = {model: _mean(metrics, against[model], around=0.0) for model in models}
    return tuple(
        Standing(
            rank=_place(means, model),
            model=model,
            cells=cells[model],
            mean=means[model],
            difference=differences[model],
            relative=_share(differences[model], means[baseline]),
            verdict=by_candidate.get(model),
        )
        for model in sorted(models, key=lambda model: -_value(means[model]))
    )


def _value(mean: ShownEstimate | None) -> float:
    return mean.value if mean else -math.inf


def _place(means: Mapping[str, ShownEstimate | None], model: str) -> int | None:
    """One more than the models whose mean is higher as it is shown: what looks equal is not ranked apart."""
    if means[model] is None:
        return None
    shown = round(_value(means[model]), PLACES)
    return 1 + sum(round(_value(other), PLACES) > shown for other in means.values() if other is not None)


def _share(difference: ShownEstimate | None, baseline: ShownEstimate | None) -> float | None:
    return difference.value / baseline.value if difference and baseline and baseline.value else None


def _mean(
    metrics: Sequence[Metric], estimates: Sequence[ShownEstimate | None], *, around: float
) -> ShownEstimate | None:
    pairs = zip(metrics, estimates, strict=True)
    return mean_of([_turned(estimate, metric, around=around) for metric, estimate in pairs])


def _turned(estimate: ShownEstimate | None, metric: Metric, *, around: float) -> ShownEstimate | None:
    """On a scale where higher is better: a score turns to 1 - score, a difference to its negative."""
    if estimate is None or metric.higher_is_better:
        return estimate
    interval = estimate.interval
    turned = interval and Interval(
        low=around - interval.high, high=around - interval.low, level=interval.level
    )
    return ShownEstimate(value=around - estimate.value, interval=turned)


def mean_of(estimates: Sequence[ShownEstimate | None]) -> ShownEstimate | None:
    """The mean of estimates made on different samples; None where there is none, or one is missing.

    Its interval recovers the variance from the parts' limits (MOVER): Zou and Donner, "Construction of
    confidence limits about effect measures", Statistics in Medicine 27 (2008). It holds because suites
    share no samples, and it is None where a part has no interval.
    """
    parts = [estimate for estimate in estimates if estimate is not None]
    if not parts or len(parts) < len(estimates):
        return None
    value = math.fsum(part.value for part in parts) / len(parts)
    limits = [
        (part.value - part.interval.low, part.interval.high - part.value, part.interval.level)
        for part in parts
        if part.interval
    ]
    if len(limits) < len(parts):
        return ShownEstimate(value=value, interval=None)
    below = math.hypot(*(low for low, _, _ in limits)) / len(parts)
    above = math.hypot(*(high for _, high, _ in limits)) / len(parts)
    return ShownEstimate(
        value=value, interval=Interval(low=value - below, high=value + above, level=limits[0][2])
    )
