"""One metric of two runs, paired by sample and part: the difference, its interval and its test.

A score that is missing on either side is counted and left out, never averaged in. Adjusted p and decision
need the whole family and come later (`verdicts`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.bounds import difference_bounds
from harness.comparison import non_inferiority
from harness.observed import NOTHING_OBSERVED, Observed, count_distinct, paired
from harness.records.answers import Metric, Run
from harness.records.comparisons import Comparison, Decision, EqualAnswers, Flips
from harness.records.models import Json
from harness.stats.clusters import Clusters, Codes, Floats, by_cluster, value_range
from harness.stats.intervals import difference_interval
from harness.stats.paired import PairedTest, mcnemar, sign_flip
from harness.stats.plan import AnalysisPlan
from harness.stats.power import detectable_difference

HEADLINE, EXPLORATORY = "headline", "exploratory"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """A run and its scores by metric name, unscored ones (value None) included."""

    run: Run
    observations: Mapping[str, Observed]
    tags: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """Each sample's tags, by its id; only results by group need them."""
    equal_answers: EqualAnswers | None = None
    """How many of a candidate's answers equal the baseline's, if nearly all do."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Scores of both sides, by sample and part, with the count of what could not be paired."""

    baseline: Floats
    candidate: Floats
    clusters: Codes
    """The baseline's."""
    samples: int
    unscored: int
    unpaired: int


def not_compared(
    baseline: str, candidate: str, suite: str, metric: Metric, notes: Sequence[str]
) -> Comparison:
    """A comparison that has no numbers, and says why."""
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        suite=suite,
        metric=metric,
        decision=Decision.NOT_COMPARABLE,
        n=0,
        scores=0,
        clusters=0,
        unscored=0,
        unpaired=0,
        baseline_mean=None,
        candidate_mean=None,
        difference=None,
        interval=None,
        p=None,
        adjusted_p=None,
        family=_family(metric),
        flips=None,
        detectable_difference=None,
        method="not compared",
        notes=tuple(notes),
    )


def _family(metric: Metric) -> str:
    if metric.headline:
        return HEADLINE
    return EXPLORATORY if metric.margin is None else non_inferiority.MARGIN_ONLY


def compare_metric(
    baseline: ScoredRun, candidate: ScoredRun, metric: Metric, notes: Sequence[str], plan: AnalysisPlan
) -> Comparison:
    """One metric's numbers; adjusted p and decision are still to come, for they need the family."""
    pairs = _paired(*(each.observations.get(metric.name, NOTHING_OBSERVED) for each in (baseline, candidate)))
    names, suite = (baseline.run.model, candidate.run.model), baseline.run.suite
    if not len(pairs.clusters):
        empty = not_compared(*names, suite, metric, ["no sample has a score in both runs", *notes])
        return replace(empty, unscored=pairs.unscored, unpaired=pairs.unpaired)
    differences = by_cluster(pairs.candidate - pairs.baseline, pairs.clusters)
    low, high = value_range(np.concatenate([pairs.baseline, pairs.candidate]))
    rng = _generator(plan.seed, suite, metric.name, names)
    estimate = difference_interval(
        differences, high - low, level=plan.level, resamples=plan.resamples, rng=rng
    )
    flips = _flips(pairs) if metric.kind == "binary" and pairs.samples == len(pairs.clusters) else None
    test = _tested(differences, flips, plan, rng)
    return replace(
        not_compared(*names, suite, metric, notes),
        n=pairs.samples,
        scores=len(pairs.clusters),
        clusters=differences.count,
        unscored=pairs.unscored,
        unpaired=pairs.unpaired,
        baseline_mean=float(pairs.baseline.mean()),
        candidate_mean=float(pairs.candidate.mean()),
        difference=estimate.value,
        interval=estimate.interval,
        p=test.p,
        flips=flips,
        detectable_difference=detectable_difference(
            differences, high - low, binary=metric.kind == "binary", level=plan.level
        ),
        method=f"{test.method}; {estimate.method}",
        difference_bounds=difference_bounds(metric, baseline.observations, candidate.observations),
        non_inferiority=non_inferiority.measured(
            differences, high - low, metric, plan, rng=_generator(plan.seed, suite, metric.name, names)
        ),
        equal_answers=candidate.equal_answers,
    )


def _paired(baseline: Observed, candidate: Observed) -> _Pairs:
    pairs = paired(baseline, candidate)
    met = (pairs.left >= 0) & (pairs.right >= 0)
    left, right = pairs.left[met], pairs.right[met]
    scored = baseline.is_scored[left] & candidate.is_scored[right]
    left, right = left[scored], right[scored]
    return _Pairs(
        baseline=baseline.values[left],
        candidate=candidate.values[right],
        clusters=baseline.clusters[left],
        samples=count_distinct(baseline.rows[left]),
        unscored=len(met) - len(left),
        unpaired=pairs.unpaired,
    )


def _flips(pairs: _Pairs) -> Flips:
    before, after = pairs.baseline == 1, pairs.candidate == 1
    return Flips(
        won=int((~before & after).sum()),
        lost=int((before & ~after).sum()),
        both_right=int((before & after).sum()),
        both_wrong=int((~before & ~after).sum()),
    )


def _tested(
    differences: Clusters, flips: Flips | None, plan: AnalysisPlan, rng: np.random.Generator
) -> PairedTest:
    """McNemar where every cluster holds one binary score, else a permutation of whole clusters."""
    if flips and differences.singles:
        return PairedTest(mcnemar(flips.won, flips.lost), "exact McNemar test")
    return sign_flip(differences.sums, resamples=plan.resamples, rng=rng)


def _generator(seed: int, suite: str, metric: str, names: tuple[str, str]) -> np.random.Generator:
    """A generator of a comparison's own, the same in whatever company and direction it is compared."""
    what = json.dumps([seed, suite, metric, sorted(names)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(what.encode()).digest()[:16]))
