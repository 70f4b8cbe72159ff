"""A gate's policy beside the names of a command and what the store holds: who is judged, and mistakes.

Names of models, suites and metrics are known from the store, too: what was imported has no section.
"""

from collections.abc import Collection, Mapping, Sequence

from harness.errors import ConfigError, UnknownName, UsageError, nearest
from harness.records.answers import Metric, Run
from harness.registry import AgreementRule, MetricRule
from harness.registry.mistakes import under
from harness.rulings import subjects
from harness.store import Store
from harness.verbs.project import Project

EXAMPLE = """[gate]
candidate = "grpo_dpo"
baseline = "sft"
better = [{ suite = "ifeval" }]
not_worse = [{ suite = "truthfulqa", metric = "mc2", margin = 0.02 }]
unscored = 0.01"""
"""A policy, for people who have none."""


def check_rules(project: Project) -> None:
    """Raise ConfigError where there is no rule to judge by."""
    if project.registry.gate.is_empty:
        raise _mistake(project, "gate", f"there is no rule to judge by; write, for example:\n{EXAMPLE}")


def judged_names(project: Project, names: Sequence[str], baseline: str | None) -> list[str]:
    """The baseline and the candidates: those of the command, as for `compare`, or else of the policy.

    A single name is the candidate's.
    """
    policy, given = project.registry.gate, list(dict.fromkeys(names))
    if baseline is None and len(given) > 1:
        baseline, *given = given
    baseline = baseline or policy.baseline or project.registry.compare.baseline
    candidates = given or [name for name in [policy.candidate] if name]
    if baseline is None or not candidates:
        lacking = "baseline" if baseline is None else "candidate"
        raise _mistake(
            project,
            f"gate.{lacking}",
            f"this key is needed where the command names no {lacking}, as `harness gate sft grpo_dpo` does",
        )
    if candidates == [baseline]:
        raise UsageError(
            f"a gate needs two different names, and both are {baseline!r}: harness gate sft grpo_dpo, the "
            "baseline first"
        )
    return [baseline, *(name for name in candidates if name != baseline)]


def check_names(project: Project, store: Store, names: Sequence[str]) -> None:
    """Raise where the store has no run under a name, and nothing is defined under it."""
    policy = project.registry.gate
    known = {*defined_names(project), *(run.model for run in store.runs.find())}
    for name in names:
        if name not in known:
            error = UnknownName("model or pipeline", name, known)
            keys = [key for key in ("candidate", "baseline") if getattr(policy, key) == name]
            raise _mistake(project, f"gate.{keys[0]}", str(error)) if keys else error


def defined_names(project: Project) -> frozenset[str]:
    """What the configuration can evaluate."""
    return frozenset([*project.registry.models, *project.registry.pipelines])


def check_suites(project: Project, store: Store) -> None:
    """Raise for a rule about a suite that no run is of and no comparison asks, unless nothing was run yet."""
    stored = {run.suite for run in store.runs.find() if run.metrics}
    asked = {*stored, *project.default_suites}
    for rule in project.registry.gate.metric_rules:
        if stored and rule.suite not in asked:
            raise _mistake(
                project,
                under(rule.key, "suite"),
                f"no run in {store.name} is of {rule.suite!r}, and [compare] suites does not name it"
                f"{nearest(rule.suite, asked)}",
            )


def check_metrics(project: Project, runs: Mapping[str, Sequence[Run]]) -> None:
    """Raise for a rule about a metric that none of these runs of its suite has."""
    for rule in project.registry.gate.metric_rules:
        metrics = measured(runs, rule.suite)
        if metrics and not subjects(rule, metrics):
            raise _mistake(project, *_no_metric(rule, [metric.name for metric in metrics]))


def check_margins(
    project: Project, runs: Mapping[str, Sequence[Run]], with_margins: Mapping[str, Sequence[Run]]
) -> None:
    """Raise for a limit of a loss that has no margin, or another one by another rule.

    `runs` have the margins of suites, and `with_margins` those of the policy besides.
    """
    for rule in project.registry.gate.not_worse:
        concerned = subjects(rule, measured(runs, rule.suite))
        for metric in measured(with_margins, rule.suite):
            if metric.name in concerned and metric.margin is None:
                raise _mistake(
                    project,
                    rule.key,
                    f"{metric.name} has no margin; add the loss that is acceptable in its own unit, such as "
                    "`margin = 0.02`",
                )
            if metric.name in concerned and rule.margin not in (None, metric.margin):
                raise _mistake(
                    project, rule.key, f"another rule gives {metric.name} the margin {metric.margin:g}"
                )


def check_judge(project: Project, rule: AgreementRule, judges: Collection[str]) -> None:
    """Raise for the name of a judge that never judged, where others did."""
    if judges and rule.judge is not None and rule.judge not in judges:
        error = UnknownName("judge in the store", rule.judge, set(judges))
        raise _mistake(project, under(rule.key, "judge"), str(error))


def measured(runs: Mapping[str, Sequence[Run]], suite: str) -> list[Metric]:
    """The metrics that any of these runs of a suite has."""
    found = (run.metrics for theirs in runs.values() for run in theirs if run.suite == suite)
    return list({metric.name: metric for metrics in found for metric in metrics}.values())


def _no_metric(rule: MetricRule, known: Collection[str]) -> tuple[str, str]:
    """The key and the message."""
    if rule.metric is None:
        return rule.key, f"{rule.suite} has no headline; name its `metric`{nearest('', known)}"
    error = UnknownName(f"metric of {rule.suite}", rule.metric, known)
    return under(rule.key, "metric"), str(error)


def _mistake(project: Project, key: str, message: str) -> ConfigError:
    return ConfigError(str(project.registry.project.file), key, message)
