"""Non-inferiority: whether a model's loss on a metric is smaller than a margin set beforehand.

For some metrics the question is not "is it better?" but "how much was lost?": the price of alignment. A
metric with a margin is compared like every other, and decided a second time, by the interval of the
difference and two corrected tests:

- **NOT WORSE** (non-inferior): the interval ends above -margin, and the one-sided p of a loss as large as the
  margin, after Holm's correction over all comparisons with a margin, is below (1 - level) / 2.
- **WORSE**: a loss is shown (the interval lies below zero, and the two-sided test survives its own family's
  correction), and it is not shown to be smaller than the margin.
- **UNDECIDED**: neither. The number of samples that would decide is reported.

Each kind of claim has its own error rate: with a true loss of the margin or more anywhere, the chance of any
false NOT WORSE is at most (1 - level) / 2; with no true loss anywhere, that of any false WORSE at most
1 - level. A loss that is shown and smaller than the margin is NOT WORSE, and its size is reported.

CONSORT (Piaggio et al. 2012, "Reporting of noninferiority and equivalence randomized trials", JAMA 308) calls
inferior only what lies below -margin as a whole, and inconclusive a shown loss that crosses it. Here the
latter is WORSE too, since the loss is shown, and the wording says which of the two it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.records.answers import Metric
from harness.records.comparisons import Comparison, Decision, MarginDecision, NonInferiority
from harness.stats.clusters import Clusters
from harness.stats.decisions import decide_non_inferiority
from harness.stats.intervals import one_sided_p
from harness.stats.multiplicity import holm
from harness.stats.plan import AnalysisPlan
from harness.stats.power import sample_size_for_margin

MARGIN_ONLY = "price"
"""The family of comparisons that are made for their margin alone."""


def measured(
    differences: Clusters,
    range_width: float,
    metric: Metric,
    plan: AnalysisPlan,
    *,
    rng: np.random.Generator,
) -> NonInferiority | None:
    """What these differences say against the metric's margin, before anything is corrected and decided.

    None where it has no margin. `rng` is in the state in which the interval of the difference was made.
    """
    if metric.margin is None:
        return None
    gains = differences if metric.higher_is_better else Clusters(-differences.sums, differences.sizes)
    p = one_sided_p(gains, range_width, -metric.margin, resamples=plan.resamples, rng=rng)
    return NonInferiority(
        margin=metric.margin,
        decision=MarginDecision.UNDECIDED,
        p=p,
        adjusted_p=p,
        needed=sample_size_for_margin(gains, range_width, metric.margin, level=plan.level),
    )


def with_margin(metrics: Sequence[Metric], margin: float | None) -> tuple[Metric, ...]:
    """Metrics with the margin that a user sets: those that have one from their suite, or else the headlines.

    None sets nothing.
    """
    if margin is None:
        return tuple(metrics)
    chosen = priced(metrics)
    return tuple(replace(each, margin=margin) if each.name in chosen else each for each in metrics)


def priced(metrics: Sequence[Metric]) -> frozenset[str]:
    """The names of the metrics that a suite's margin is about: those that have one, or else the headlines."""
    have = frozenset(metric.name for metric in metrics if metric.margin is not None)
    return have or frozenset(metric.name for metric in metrics if metric.headline)


def decided(comparisons: Sequence[Comparison], alpha: float) -> list[Comparison]:
    """The same comparisons, those with a margin decided on it as one family.

    They must have been tested for a difference before: WORSE rests on that.
    """
    tested = [each.non_inferiority for each in comparisons if each.non_inferiority is not None]
    adjusted = iter(holm([result.p for result in tested]))
    return [_with_decision(each, adjusted, alpha) for each in comparisons]


def at_best(comparison: Comparison) -> float:
    """The end of the difference's interval where least is lost, as a gain."""
    interval = comparison.interval
    assert interval is not None
    return interval.high if comparison.metric.higher_is_better else -interval.low


def overall(comparisons: Sequence[Comparison]) -> Decision:
    """One decision where only the price was asked for: all must be NOT WORSE, and one WORSE decides.

    A metric that cannot be compared leaves the whole open, as among headlines.
    """
    results = [each.non_inferiority for each in comparisons if each.metric.margin is not None]
    decisions = {result.decision for result in results if result is not None}
    if not results or None in results:
        return Decision.NOT_COMPARABLE
    if MarginDecision.WORSE in decisions:
        return Decision.WORSE
    return Decision.UNDECIDED if MarginDecision.UNDECIDED in decisions else Decision.NOT_WORSE


def clauses(comparisons: Sequence[Comparison]) -> list[str]:
    """The price in words, what is paid for sure first; nothing where no metric has a margin."""
    found: dict[str, list[Comparison]] = {}
    for each in comparisons:
        if each.non_inferiority is not None:
            found.setdefault(_opening(each, each.non_inferiority), []).append(each)
    shown = [opening for opening in LOSS_SHOWN if opening in found]
    not_shown = [opening for opening in NO_LOSS_SHOWN if opening in found]
    return [
        *(f"{opening} {', '.join(map(_in_words, found[opening]))}" for opening in shown),
        *(f"{opening} {_names(found[opening])}" for opening in not_shown),
    ]


LOSS_SHOWN = ("at a price on", "at a price within the margin on")
"""How a clause begins that says how much was lost."""
NO_LOSS_SHOWN = ("price undecided on", "no loss beyond the margin on")
"""How a clause begins that only names metrics."""


def _opening(comparison: Comparison, result: NonInferiority) -> str:
    if result.decision is MarginDecision.WORSE:
        return LOSS_SHOWN[0]
    if result.decision is MarginDecision.UNDECIDED:
        return NO_LOSS_SHOWN[0]
    return LOSS_SHOWN[1] if comparison.decision is Decision.WORSE else NO_LOSS_SHOWN[1]


def _in_words(comparison: Comparison) -> str:
    interval, result = comparison.interval, comparison.non_inferiority
    assert interval is not None
    assert result is not None
    beyond = ", beyond the margin of" if at_best(comparison) < -result.margin else ", margin"
    size = f"{comparison.difference:+z.3f} {interval:+z.3f}"
    return f"{comparison.suite} ({comparison.metric.name} {size}{beyond} {result.margin:g})"


def _names(comparisons: Sequence[Comparison]) -> str:
    metrics: dict[str, list[str]] = {}
    for each in comparisons:
        metrics.setdefault(each.suite, []).append(each.metric.name)
    return ", ".join(f"{suite} ({', '.join(names)})" for suite, names in metrics.items())


def _with_decision(comparison: Comparison, adjusted: Iterator[float], alpha: float) -> Comparison:
    """The next adjusted p is this comparison's, where it has a margin."""
    result = comparison.non_inferiority
    if result is None:
        return comparison
    assert comparison.interval is not None
    adjusted_p = next(adjusted)
    decision = decide_non_inferiority(
        comparison.interval,
        adjusted_p,
        alpha,
        margin=result.margin,
        difference=comparison.decision,
        higher_is_better=comparison.metric.higher_is_better,
    )
    return replace(comparison, non_inferiority=replace(result, adjusted_p=adjusted_p, decision=decision))
