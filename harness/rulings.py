"""Rules that a candidate must keep, and what a comparison says of each: kept, broken, or not decided.

No number is made here. BETTER and NOT WORSE are a comparison's own, after its corrections; agreement is read
by its interval. What cannot be compared keeps no rule: nothing is known of it, and that is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.comparison.non_inferiority import priced
from harness.preferences.results import RaterAgreement
from harness.records.answers import Metric
from harness.records.comparisons import Comparison, Decision, MarginDecision, Verdict
from harness.registry import AgreementRule, LossRule, MetricRule
from harness.stats.agreement import Agreement


class Demand(StrEnum):
    """What a rule asks for."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    """Less than a margin is lost."""
    NO_LOSS = "no loss shown"
    """What a comparison is judged by where no policy says more: as `--fail-on worse` does."""
    UNSCORED = "unscored"
    """Not more than a share of the scores is missing."""
    AGREEMENT = "agreement"
    """A judge agrees with people."""


class Ruling(StrEnum):
    """What is known of a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"
    """Something is not there, or cannot be compared, so that nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRule:
    """One rule, and what is known of it."""

    demand: Demand
    ruling: Ruling
    key: str | None = None
    """Where the rule stands in harness.toml; None: in no policy."""
    suite: str | None = None
    metric: str | None = None
    """None: of a suite that has no run, and of agreement."""
    limit: float | None = None
    """The margin, the largest share of missing scores, or the least agreement."""
    proof: bool = True
    """Whether what is not decided fails."""
    missing: str | None = None
    """Why nothing can be said."""
    comparison: Comparison | None = None
    rater: str | None = None
    coefficient: str | None = None
    """Of agreement: `share` or `kappa`."""
    agreement: Agreement | None = None

    @property
    def fails(self) -> bool:
        """Whether it stops the candidate."""
        return self.ruling is Ruling.BROKEN or (self.ruling is Ruling.UNDECIDED and self.proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """A candidate against the baseline, rule by rule."""

    candidate: str
    baseline: str
    rules: tuple[JudgedRule, ...]

    @property
    def fails(self) -> bool:
        return any(rule.fails for rule in self.rules)

    @property
    def is_known(self) -> bool:
        """Whether something can be said of every rule."""
        return all(rule.ruling is not Ruling.UNKNOWN for rule in self.rules)


UNSCORED_KEY = "gate.unscored"


def subjects(rule: MetricRule, metrics: Sequence[Metric]) -> frozenset[str]:
    """The names of the metrics that a rule is about, in a suite that has these.

    Without a name it is about the headlines; where a loss is limited, about what has a margin of the suite's
    own, or else the headlines.
    """
    if rule.metric is not None:
        return frozenset(each.name for each in metrics if each.name == rule.metric)
    if isinstance(rule, LossRule):
        return priced(metrics)
    return frozenset(each.name for each in metrics if each.headline)


def with_rules(metrics: Sequence[Metric], suite: str, rules: Sequence[LossRule]) -> tuple[Metric, ...]:
    """Metrics of a suite with the margins of a policy's rules, in the place of its own."""
    margins = {
        name: rule.margin
        for rule in sorted(rules, key=lambda rule: rule.metric is not None)  # what is named counts more
        if rule.suite == suite and rule.margin is not None
        for name in subjects(rule, metrics)
    }
    return tuple(replace(each, margin=margins.get(each.name, each.margin)) for each in metrics)


def must_be_better(comparison: Comparison, key: str) -> JudgedRule:
    """Kept where the comparison says BETTER, broken where it says WORSE."""
    rulings = {Decision.BETTER: Ruling.KEPT, Decision.WORSE: Ruling.BROKEN}
    return _of_comparison(
        Demand.BETTER, comparison, rulings.get(comparison.decision, Ruling.UNDECIDED), key=key
    )


def must_not_be_worse(comparison: Comparison, key: str | None, *, proof: bool = True) -> JudgedRule:
    """As the comparison decides on its margin."""
    result = comparison.non_inferiority
    rulings = {MarginDecision.NOT_WORSE: Ruling.KEPT, MarginDecision.WORSE: Ruling.BROKEN}
    ruling = rulings.get(result.decision, Ruling.UNDECIDED) if result else Ruling.UNKNOWN
    margin = comparison.metric.margin
    return _of_comparison(Demand.NOT_WORSE, comparison, ruling, key=key, limit=margin, proof=proof)


def must_be_scored(comparison: Comparison, share: float) -> JudgedRule:
    """Kept where no larger share of the pairs lacks a score; broken where none has one."""
    asked = comparison.scores + comparison.unscored
    if not asked:
        return _of_comparison(Demand.UNSCORED, comparison, Ruling.UNKNOWN, key=UNSCORED_KEY, limit=share)
    return JudgedRule(
        demand=Demand.UNSCORED,
        ruling=Ruling.KEPT if comparison.unscored / asked <= share else Ruling.BROKEN,
        key=UNSCORED_KEY,
        suite=comparison.suite,
        metric=comparison.metric.name,
        limit=share,
        comparison=comparison,
    )


def missing_suite(
    demand: Demand, key: str, suite: str, metric: str | None, limit: float | None, why: str
) -> JudgedRule:
    """A rule about a suite of which nothing is there."""
    return JudgedRule(
        demand=demand,
        ruling=Ruling.UNKNOWN,
        key=key,
        suite=suite,
        metric=metric,
        limit=limit,
        missing=why,
    )


def must_agree(rule: AgreementRule, rater: str, found: RaterAgreement | None) -> JudgedRule:
    """Kept where the whole interval lies at the limit or above, broken where all of it lies below."""
    if found is None:
        return missing_agreement(rule, "no person judged a pair that it judged, too", rater=rater)
    agreement = found.kappa if rule.coefficient == "kappa" else found.raw
    if agreement.value is None or agreement.interval is None:
        return missing_agreement(rule, agreement.reason or "it is undefined", rater=rater)
    ruling = Ruling.UNDECIDED
    if agreement.shows_something and agreement.interval.low >= rule.at_least:
        ruling = Ruling.KEPT
    elif agreement.shows_something and agreement.interval.high < rule.at_least:
        ruling = Ruling.BROKEN
    return JudgedRule(
        demand=Demand.AGREEMENT,
        ruling=ruling,
        key=rule.key,
        limit=rule.at_least,
        proof=rule.proof,
        rater=rater,
        coefficient=rule.coefficient,
        agreement=agreement,
    )


def missing_agreement(rule: AgreementRule, why: str, *, rater: str | None = None) -> JudgedRule:
    """The rule about judges, where nothing can be said of it."""
    return JudgedRule(
        demand=Demand.AGREEMENT,
        ruling=Ruling.UNKNOWN,
        key=rule.key,
        limit=rule.at_least,
        proof=rule.proof,
        missing=why,
        rater=rater or rule.judge,
        coefficient=rule.coefficient,
    )


def without_policy(verdict: Verdict) -> GateResult:
    """A comparison as rules: no headline is worse, and no loss goes beyond its margin.

    What is not decided breaks none of them.
    """
    return GateResult(
        candidate=verdict.candidate,
        baseline=verdict.baseline,
        rules=tuple(_no_losses(verdict.comparisons)),
    )


def _no_losses(comparisons: Sequence[Comparison]) -> Iterator[JudgedRule]:
    for each in comparisons:
        if each.metric.headline:
            ruling = Ruling.BROKEN if each.decision is Decision.WORSE else Ruling.KEPT
            yield _of_comparison(Demand.NO_LOSS, each, ruling, key=None)
        if each.metric.margin is not None:
            yield must_not_be_worse(each, None, proof=False)


def _of_comparison(
    demand: Demand,
    comparison: Comparison,
    ruling: Ruling,
    *,
    key: str | None,
    limit: float | None = None,
    proof: bool = True,
) -> JudgedRule:
    """What is not comparable is missing, whatever was asked."""
    is_known = comparison.decision is not Decision.NOT_COMPARABLE
    return JudgedRule(
        demand=demand,
        ruling=ruling if is_known else Ruling.UNKNOWN,
        key=key,
        suite=comparison.suite,
        metric=comparison.metric.name,
        limit=limit,
        proof=proof,
        missing=None if is_known else f"not comparable: {'; '.join(comparison.notes)}",
        comparison=comparison,
    )
