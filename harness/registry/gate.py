"""Reads `[gate]`: what a candidate must keep to.

Whether a metric exists, and whether anything was evaluated under a name, only the results store knows: models
and tasks that were imported have no section.
"""

from collections.abc import Sequence

from harness.registry.mistakes import Mistakes, Table, under
from harness.registry.records import AgreementRule, Gate, LossRule, MetricRule
from harness.registry.sections import AgreementSection, GateSection
from harness.registry.suites import Suites

_WITH_MARGIN = 'not_worse = [{ suite = "truthfulqa", metric = "mc2", margin = 0.02 }]'


def read_gate(table: Table, suites: Suites, mistakes: Mistakes) -> Gate:
    """The section, with each rule's place in the file."""
    if "margin" in table:
        mistakes.add("gate.margin", f"belongs to a rule, which says of what: {_WITH_MARGIN}")
        table = {key: value for key, value in table.items() if key != "margin"}
    section = mistakes.read(GateSection, table, "gate") or GateSection()
    better = tuple(
        MetricRule(key=under("gate", "better", place), suite=each.suite, metric=each.metric)
        for place, each in enumerate(section.better)
    )
    not_worse = tuple(
        LossRule(
            key=under("gate", "not_worse", place),
            suite=each.suite,
            metric=each.metric,
            margin=each.margin,
            proof=each.proof,
        )
        for place, each in enumerate(section.not_worse)
    )
    for rule in (*better, *not_worse):
        if ":" not in rule.suite:  # with one, it can be a task of another tool, which was imported
            suites.check(rule.suite, under(rule.key, "suite"))
    for rules in (better, not_worse):
        _check_repeated(rules, mistakes)
    return Gate(
        candidate=section.candidate,
        baseline=section.baseline,
        better=better,
        not_worse=not_worse,
        unscored=section.unscored,
        agreement=None if section.agreement is None else _agreement(section.agreement),
    )


def _check_repeated(rules: Sequence[MetricRule], mistakes: Mistakes) -> None:
    first: dict[tuple[str, str | None], str] = {}
    for rule in rules:
        earlier = first.setdefault((rule.suite, rule.metric), rule.key)
        if earlier != rule.key:
            mistakes.add(rule.key, f"{earlier} is about the same; keep one of them")


def _agreement(section: AgreementSection) -> AgreementRule:
    at_least = section.share or section.kappa
    assert at_least is not None
    return AgreementRule(
        key="gate.agreement",
        coefficient="kappa" if section.share is None else "share",
        at_least=at_least,
        judge=section.judge,
        proof=section.proof,
    )
