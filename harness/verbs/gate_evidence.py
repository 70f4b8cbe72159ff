"""What the store holds of a baseline and its candidates, as a gate judges it.

Runs, margins, corrections and preferences are those of `harness compare` with these names, over the suites of
`[compare]` and of the rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from harness.comparison.verdicts import compare_all
from harness.preferences.results import Analysis
from harness.records.answers import Metric, Run
from harness.records.comparisons import Comparison, Verdict
from harness.store import Store
from harness.verbs.comparing import preferences_among, scored_runs
from harness.verbs.evaluating import failed_of
from harness.verbs.gate_policy import (
    check_margins,
    check_metrics,
    check_names,
    check_suites,
    defined_names,
    measured,
)
from harness.verbs.project import Project
from harness.verbs.report_runs import report_runs
from reports.conditions import limits
from reports.leaderboard import notes_on_comparisons


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a baseline and its candidates."""

    defined: frozenset[str]
    """The names that can be evaluated."""
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    """Each model's, one per suite."""
    unfit: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Runs that were asked otherwise than the configuration says now: with what, by the run's id."""
    outdated: frozenset[str] = frozenset()
    """The ids of runs after which another began that is not finished."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    """By candidate."""
    preferences: Analysis | None = None
    judges: Mapping[str, str] = field(default_factory=dict)
    """The names of judges and juries, by the raters' ids."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""

    def comparisons(self, candidate: str, suite: str) -> Iterator[Comparison]:
        """A candidate's on all metrics of a suite."""
        found = self.verdicts.get(candidate)
        return (each for each in (found.comparisons if found else ()) if each.suite == suite)

    def metrics(self, suite: str) -> list[Metric]:
        """Those that any of the runs of a suite has."""
        return measured(self.runs, suite)

    def absent(self, pair: Sequence[str], suite: str) -> str | None:
        """Why nothing can be said of a suite; None where both models have a run that is meant."""
        found = {name: self._run(name, suite) for name in pair}
        command = f"`harness compare {' '.join(map(quote, pair))} -s {quote(suite)}`"
        lacking = [name for name, run in found.items() if run is None]
        if lacking:
            have = "have" if len(lacking) > 1 else "has"
            made = (
                f"; {command} makes {'them' if len(lacking) > 1 else 'it'}"
                if self.defined.issuperset(lacking)
                else ""
            )
            return f"{' and '.join(lacking)} {have} no finished run of {suite}{made}"
        unfit = {name: self.unfit[run.id] for name, run in found.items() if run and run.id in self.unfit}
        if unfit:
            were = "were" if len(unfit) > 1 else "was"
            what = ", ".join(dict.fromkeys(setting for settings in unfit.values() for setting in settings))
            asks = f"{command} asks with what is (--limit and --seed are to be the same here)"
            return f"{' and '.join(unfit)} {were} asked with another {what} than is set now; {asks}"
        began = [name for name, run in found.items() if run and run.id in self.outdated]
        if began:
            return (
                f"an evaluation of {' and '.join(began)} began later and has not finished; {command} goes on"
            )
        return None

    def _run(self, name: str, suite: str) -> Run | None:
        return next((run for run in self.runs.get(name, ()) if run.suite == suite), None)


def gather(project: Project, store: Store, names: Sequence[str]) -> Evidence:
    """What the store holds of these models, the baseline first.

    Raises UsageError for names and rules that are about nothing that is there.
    """
    policy = project.registry.gate
    check_names(project, store, names)
    check_suites(project, store)
    suites = dict.fromkeys([*project.default_suites, *(rule.suite for rule in policy.metric_rules)])
    chosen = report_runs(project, store, names, list(suites))
    check_metrics(project, chosen.runs)
    scored, _ = scored_runs(project, store, chosen.runs)
    runs = {name: [each.run for each in theirs] for name, theirs in scored.items()}
    check_margins(project, chosen.runs, runs)
    baseline, *candidates = (scored[name] for name in names)
    compared = dict(zip(names[1:], candidates, strict=True))
    verdicts = compare_all(baseline, compared, project.analysis_plan()) if baseline else []
    said, caveats = preferences_among(project, store, runs) if policy.agreement else (None, [])
    every = [run for theirs in runs.values() for run in theirs]
    label = project.label_of(every)
    notes = [
        *([label] if label else []),
        *chosen.notes,
        *limits(every),
        *caveats,
        *notes_on_comparisons(verdicts),
        *(f"answers failed: {each}" for each in failed_of(store, every)),
    ]
    return Evidence(
        defined=defined_names(project),
        runs=chosen.runs,
        unfit=chosen.unfit,
        outdated=frozenset(run.id for run in every if store.runs.is_outdated(run)),
        verdicts={verdict.candidate: verdict for verdict in verdicts},
        preferences=said,
        judges={each.id: each.name for each in store.preferences.raters() if each.kind == "judge"},
        notes=tuple(dict.fromkeys(notes)),
    )
