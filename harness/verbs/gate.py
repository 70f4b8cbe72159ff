"""The verb `gate`: whether candidates keep the rules of `[gate]`, by what the store holds.

Nobody is asked and nothing is trained: `harness compare` comes first, and then the gate.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote

from harness.preferences.results import Analysis, RaterWinRate
from harness.records.comparisons import Comparison
from harness.registry import AgreementRule, MetricRule
from harness.rulings import (
    UNSCORED_KEY,
    Demand,
    GateResult,
    JudgedRule,
    missing_agreement,
    missing_suite,
    must_agree,
    must_be_better,
    must_be_scored,
    must_not_be_worse,
    subjects,
)
from harness.verbs.gate_evidence import Evidence, gather
from harness.verbs.gate_policy import check_judge, check_rules, defined_names, judged_names
from harness.verbs.project import Project
from reports import junit, step_summary
from reports.gate import demand, title, why
from reports.whole_files import append_to_file, write_file

Pair = tuple[str, str]
"""The baseline and a candidate."""
KEPT, FAILED, UNKNOWN = 0, 1, 3
"""Exit codes: every rule is kept; one fails; something is missing, so that nothing can be said."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GateOutcome:
    """What a gate found."""

    results: tuple[GateResult, ...]
    """One per candidate."""
    notes: tuple[str, ...]
    """What a reader must know."""

    @property
    def exit_code(self) -> int:
        """What the command ends with. A rule that fails counts more than one of which nothing is known."""
        if any(result.fails for result in self.results):
            return FAILED
        return KEPT if all(result.is_known for result in self.results) else UNKNOWN

    def __repr__(self) -> str:
        """Every rule in a line."""
        lines = [
            f"{title(result)}: {rule.ruling}: {demand(rule)}: {why(rule)}"
            for result in self.results
            for rule in result.rules
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def gate(project: Project, names: Sequence[str] = (), *, baseline: str | None = None) -> GateOutcome:
    """Judge candidates by the rules of `[gate]`, from the store alone.

    `names` as for `compare`, the baseline first; a single one is the candidate, and none are the policy's.
    Raises UsageError for a policy without rules, and for rules about what no run has.
    """
    check_rules(project)
    against, *candidates = judged_names(project, names, baseline)
    store = project.store_if_any(reading=True)
    if store is None:
        evidence = Evidence(defined=defined_names(project))
    else:
        with store:
            evidence = gather(project, store, [against, *candidates])
    return GateOutcome(
        results=tuple(
            GateResult(
                candidate=candidate,
                baseline=against,
                rules=tuple(_rules(project, evidence, (against, candidate))),
            )
            for candidate in candidates
        ),
        notes=evidence.notes,
    )


def write_gate(
    outcome: GateOutcome, *, junit_file: Path | None = None, summary_file: Path | None = None
) -> tuple[Path, ...]:
    """Write JUnit XML, and add Markdown to the end of a step summary; the files that were written.

    Raises as `reports.whole_files.whole_files` does.
    """
    if junit_file is not None:
        write_file(junit_file, junit.render(outcome.results, outcome.notes))
    if summary_file is not None:
        append_to_file(summary_file, step_summary.render(outcome.results, outcome.notes))
    return tuple(file for file in (junit_file, summary_file) if file is not None)


def _rules(project: Project, evidence: Evidence, pair: Pair) -> Iterator[JudgedRule]:
    """Every rule of the policy, one for each metric that it is about."""
    policy = project.registry.gate
    for better in policy.better:
        yield from _of_suite(
            evidence,
            pair,
            better.suite,
            subjects(better, evidence.metrics(better.suite)),
            partial(must_be_better, key=better.key),
            partial(missing_suite, Demand.BETTER, better.key, better.suite, better.metric, None),
        )
    for rule in policy.not_worse:
        yield from _of_suite(
            evidence,
            pair,
            rule.suite,
            subjects(rule, evidence.metrics(rule.suite)),
            partial(must_not_be_worse, key=rule.key, proof=rule.proof),
            partial(missing_suite, Demand.NOT_WORSE, rule.key, rule.suite, rule.metric, rule.margin),
        )
    if policy.unscored is not None:
        yield from _unscored(project, evidence, pair, policy.unscored)
    if policy.agreement is not None:
        yield from _agreements(project, evidence, pair, policy.agreement)


def _of_suite(
    evidence: Evidence,
    pair: Pair,
    suite: str,
    metrics: Set[str],
    judge: Callable[[Comparison], JudgedRule],
    missing: Callable[[str], JudgedRule],
) -> Iterator[JudgedRule]:
    """A rule about these metrics of a suite, at least one; `missing` makes one that is unknown, and why."""
    why_not = evidence.absent(pair, suite)
    compared = {each.metric.name: each for each in evidence.comparisons(pair[1], suite)}
    if why_not is not None:
        yield missing(why_not)
    elif not metrics & compared.keys():
        yield missing(f"no run of {' and '.join(pair)} has {', '.join(sorted(metrics)) or 'any score'}")
    else:
        yield from (judge(each) for name, each in compared.items() if name in metrics)


def _unscored(project: Project, evidence: Evidence, pair: Pair, share: float) -> Iterator[JudgedRule]:
    """Of what the other rules are about, and the headlines beside it; without others, of [compare] suites."""
    rules = project.registry.gate.metric_rules
    for suite in dict.fromkeys(rule.suite for rule in rules) or project.default_suites:
        metrics = evidence.metrics(suite)
        headlines = MetricRule(key=UNSCORED_KEY, suite=suite)
        about = [headlines, *(rule for rule in rules if rule.suite == suite)]
        names = {name for rule in about for name in subjects(rule, metrics)}
        yield from _of_suite(
            evidence,
            pair,
            suite,
            names or {metric.name for metric in metrics},
            partial(must_be_scored, share=share),
            partial(missing_suite, Demand.UNSCORED, UNSCORED_KEY, suite, None, share),
        )


def _agreements(
    project: Project, evidence: Evidence, pair: Pair, rule: AgreementRule
) -> Iterator[JudgedRule]:
    """Of every judge, or of the juries; or of the one that the rule names."""
    check_judge(project, rule, evidence.judges.values())
    said, (baseline, candidate) = evidence.preferences, pair
    judges = [] if said is None else _judges(evidence, said, pair, rule.judge)
    if said is None or not judges:
        judged = f"`harness judge {quote(baseline)} {quote(candidate)}` asks one"
        yield missing_agreement(rule, f"no judge preferred among their newest answers; {judged}")
    elif said.humans(candidate) is None:
        unsealed = "a blind test counts once it is unsealed"
        yield missing_agreement(rule, f"no person preferred among their newest answers; {unsealed}")
    else:
        yield from (must_agree(rule, judge.rater, said.agreement(candidate, judge.rater)) for judge in judges)


def _judges(evidence: Evidence, said: Analysis, pair: Pair, name: str | None) -> list[RaterWinRate]:
    if name is None:
        return list(said.judges(pair[1]))
    return [
        each
        for each in said.win_rates
        if (each.baseline, each.candidate) == pair and evidence.judges.get(each.rater) == name
    ]
