"""The verbs `compare` and `report`: runs become verdicts and a leaderboard, with or without asking models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.checkpoint_selection import LeftOut, cluster_of
from harness.comparison.breakdown import break_down
from harness.comparison.non_inferiority import with_margin
from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.equal_answers import equal_answers
from harness.errors import UnknownName, UsageError
from harness.named_preferences import caveats, named_preferences
from harness.preferences.analysis import analyse
from harness.preferences.named import NamedPreference
from harness.preferences.results import Analysis
from harness.records.answers import Run, Sample
from harness.records.comparisons import Verdict
from harness.rulings import with_rules
from harness.store import Store
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.evaluating import FailedAnswers, RefusedAnswers, evaluate, failed_of, refused_of
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from harness.verbs.report_runs import ReportRuns, report_runs
from reports.board import Leaderboard
from reports.conditions import limits
from reports.html import render_ranked
from reports.leaderboard import Compared, Heading, build
from reports.scorers import classifier_stage
from reports.training import TrainedStage, trained_stages
from reports.writing import write


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome:
    """What a comparison found, and where it is written."""

    board: Leaderboard
    files: tuple[Path, ...]
    failed: tuple[FailedAnswers, ...] = ()
    """The answers that the same command would ask again."""
    refused: tuple[RefusedAnswers, ...] = ()
    """The answers that it would ask again only with `--ask-refused`."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One per candidate."""
        return self.board.verdicts

    def __repr__(self) -> str:
        return "\n".join([repr(self.board), *(f"written: {file}" for file in self.files)])

    def _repr_html_(self) -> str:
        """The ranked table, for notebooks."""
        return render_ranked(self.board)


def compare(
    project: Project,
    names: Sequence[str],
    *,
    baseline: str | None = None,
    suites: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> Outcome:
    """Train and evaluate what is missing, compare every name with the baseline, and write the leaderboard.

    The baseline is the first name unless one is given. Runs that are not comparable are refused in the
    verdict unless `force`, which the report then says.
    """
    ordered = _baseline_first(names, baseline)
    runs = evaluate(project, ordered, suites=suites, progress=progress)
    with project.store() as store:
        return _outcome(project, store, runs, force=force, folder=folder)


def report(
    project: Project,
    names: Sequence[str] = (),
    *,
    baseline: str | None = None,
    suites: Sequence[str] = (),
    force: bool = False,
    folder: Path | None = None,
) -> Outcome:
    """Write the leaderboard again from the store alone: of each model and suite the run that is meant now.

    Without names, every model that has a run; without suites, every suite that has one.
    """
    with project.existing_store("harness compare", reading=True) as store:
        chosen = chosen_runs(project, store, names, baseline=baseline, suites=suites)
        return _outcome(project, store, chosen.runs, notes=chosen.notes, force=force, folder=folder)


def chosen_runs(
    project: Project, store: Store, names: Sequence[str], *, baseline: str | None, suites: Sequence[str]
) -> ReportRuns:
    """The runs that a report of these models shows, the baseline's first.

    Raises UsageError where nothing is evaluated yet, and UnknownName for a model that is not.
    """
    whole = [run for run in store.runs.find() if run.finished is not None and run.metrics]
    judged = (name for each in named_preferences(store) for name in (each.left, each.right))
    evaluated = list(dict.fromkeys([*(run.model for run in whole), *judged]))
    if not evaluated:
        raise UsageError(f"{store.name} holds no finished run; `harness compare` makes some")
    for name in names:
        if name not in evaluated:
            raise UnknownName("evaluated model", name, evaluated)
    default = project.registry.compare.baseline if not names else None
    ordered = _baseline_first(names or evaluated, baseline or default)
    return report_runs(project, store, ordered, suites or _in_order(project, whole))


def _in_order(project: Project, runs: Iterable[Run]) -> list[str]:
    """The suites of these runs as a comparison orders them, and others behind."""
    found = dict.fromkeys(run.suite for run in runs)
    first = [suite for suite in project.default_suites if suite in found]
    return list(dict.fromkeys([*first, *found]))


def _outcome(
    project: Project,
    store: Store,
    runs: Mapping[str, Sequence[Run]],
    *,
    force: bool,
    folder: Path | None,
    notes: Sequence[str] = (),
) -> Outcome:
    board, trained = leaderboard(project, store, runs, force=force, notes=notes)
    every = [run for theirs in runs.values() for run in theirs]
    return Outcome(
        board=board,
        files=write(
            board,
            folder or project.registry.project.reports,
            trained=trained,
        ),
        failed=failed_of(store, every),
        refused=refused_of(store, every),
    )


def leaderboard(
    project: Project,
    store: Store,
    runs: Mapping[str, Sequence[Run]],
    *,
    force: bool,
    notes: Sequence[str] = (),
) -> tuple[Leaderboard, tuple[TrainedStage, ...]]:
    """What a report says of these runs (model -> its runs, the baseline first), and how they were made."""
    plan = project.analysis_plan(force=force)
    scored, reserved = scored_runs(project, store, runs)
    runs = {name: [each.run for each in theirs] for name, theirs in scored.items()}
    baseline, candidates = _sides(store, scored, reserved)
    said, known = preferences_among(project, store, runs)
    trained = trained_stages(store, list(runs), _classifiers(store, runs))
    board = build(
        store,
        with_judged(store, runs) if said else runs,
        Compared(
            baseline=next(iter(runs)),
            scored=scored,
            verdicts=compare_all(baseline, candidates, plan) if baseline else [],
            breakdowns=break_down(baseline, candidates, plan),
            preferences=said,
            plan=plan,
            left_out=reserved,
        ),
        Heading(
            notes=[
                *notes,
                *limits(run for theirs in runs.values() for run in theirs),
                *known,
                *(f"{stage.name}: {warning}" for stage in trained for warning in stage.warnings),
            ],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            label=project.label_of(run for theirs in runs.values() for run in theirs),
        ),
    )
    return board, trained


def verdicts_on(
    project: Project, store: Store, runs: Mapping[str, Sequence[Run]], *, force: bool
) -> list[Verdict]:
    """The verdicts of that leaderboard alone: no answer need be held for them."""
    baseline, candidates = _sides(store, *scored_runs(project, store, runs))
    return compare_all(baseline, candidates, project.analysis_plan(force=force)) if baseline else []


def _sides(
    store: Store, scored: Mapping[str, Sequence[ScoredRun]], reserved: LeftOut
) -> tuple[Sequence[ScoredRun], dict[str, list[ScoredRun]]]:
    """The baseline's runs, and every candidate's."""
    baseline, *others = scored
    candidates = {
        name: [_with_equal_answers(store, each, scored[baseline], reserved) for each in scored[name]]
        for name in others
    }
    return scored[baseline], candidates


def _classifiers(store: Store, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    """The suites by the identity of the stage that trained their classifier."""
    found: dict[str, list[str]] = {}
    for run in (run for theirs in runs.values() for run in theirs):
        stage = classifier_stage(store, run)
        if stage is not None and run.suite not in found.setdefault(stage.identity, []):
            found[stage.identity].append(run.suite)
    return found


def with_judged(store: Store, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """The runs, and with each model's the newest whole ones that nobody scores: what was preferred among."""
    unscored = dict.fromkeys(run.suite for run in store.runs.find() if not run.metrics)
    newest = {name: [store.runs.latest(name, suite) for suite in unscored] for name in runs}
    return {
        name: [*theirs, *(run for run in newest[name] if run is not None)] for name, theirs in runs.items()
    }


def preferences_among(
    project: Project, store: Store, runs: Mapping[str, Sequence[Run]]
) -> tuple[Analysis | None, list[str]]:
    """What is said of these models' newest answers, None for nothing; and notes of what to know of it."""
    found = named_among(store, runs)
    analysis = analyse(found, project.analysis_plan(), baseline=next(iter(runs))) if found else None
    return analysis, caveats(store, list(runs), fingerprints=_fingerprints(runs))


def named_among(store: Store, runs: Mapping[str, Sequence[Run]]) -> list[NamedPreference]:
    """The same preferences one by one, before they are analysed."""
    return named_preferences(store, list(runs), fingerprints=_fingerprints(runs))


def _fingerprints(runs: Mapping[str, Sequence[Run]]) -> dict[str, set[str]]:
    """Those of what each name stands for now."""
    return {name: {run.fingerprint for run in theirs} for name, theirs in runs.items() if theirs}


def scored_runs(
    project: Project, store: Store, runs: Mapping[str, Sequence[Run]]
) -> tuple[dict[str, list[ScoredRun]], LeftOut]:
    """The runs with their scores, as everything is compared: read against the project's margins of now.

    Without the samples by which a checkpoint of one of the models was chosen, which are the second.
    """
    reserved = left_out(project.registry, store, runs)
    return {
        name: [_scored(store, _with_margins(project, run), reserved) for run in theirs]
        for name, theirs in runs.items()
    }, reserved


def _with_margins(project: Project, run: Run) -> Run:
    """The run, read against the margins that the project sets for its suite now."""
    margin = project.registry.suites.get(run.suite, {}).get("margin")
    metrics = with_margin(run.metrics, margin if isinstance(margin, float) else None)
    return replace(run, metrics=with_rules(metrics, run.suite, project.registry.gate.not_worse))


def _scored(store: Store, run: Run, reserved: LeftOut) -> ScoredRun:
    is_split = any(metric.splits for metric in run.metrics)
    return ScoredRun(
        run=run,
        observations=reserved.without(run.suite, store.runs.observations(run.id)),
        tags=store.runs.tags(run.id) if is_split else {},
    )


def _with_equal_answers(
    store: Store, scored: ScoredRun, baseline: Sequence[ScoredRun], reserved: LeftOut
) -> ScoredRun:
    """A candidate's run, with how many of its answers equal the baseline's, if nearly all do."""

    def is_left_out(sample: Sample) -> bool:
        return reserved.holds(scored.run.suite, cluster_of(sample))

    other = next((each.run for each in baseline if each.run.suite == scored.run.suite), None)
    if other is None:
        return scored
    return replace(scored, equal_answers=equal_answers(store, other, scored.run, left_out=is_left_out))


def _baseline_first(names: Sequence[str], baseline: str | None) -> list[str]:
    return list(dict.fromkeys([baseline, *names] if baseline else names))
