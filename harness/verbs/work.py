"""The verbs that do work: train, evaluate, compare, report, sample.

Here the wings meet: a project's names become candidates (trainers), candidates are asked (suites), and the
answers become a verdict and a leaderboard (reports). What is already there is neither trained nor asked
again, and then no model library is loaded.

It does not know how any of it is shown.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TypeGuard

from harness.breakdown import break_down
from harness.checkpoint_selection import LeftOut, cluster_of
from harness.comparison import ScoredRun, compare_all
from harness.engine.identity import Identity
from harness.engine.opening import identify_model, open_engine, without_weights
from harness.equal_answers import equal_answers
from harness.errors import UnknownName, UsageError
from harness.evaluation import evaluate as ask
from harness.evaluation import plan_run
from harness.evaluation import rescore as from_kept_answers
from harness.named_preferences import caveats, named_preferences
from harness.preferences import Analysis, analyse
from harness.price import with_margin
from harness.protocols import Suite
from harness.recorded import recalled, recorded
from harness.records import ASKED, Asked, Json, Model, Prompt, Response, Row, Run, Sampling, Verdict
from harness.store import Failures, KeptStage, Store
from harness.turns import turns_or_text
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.choosing import chosen_runs
from harness.verbs.project import DEFAULT_SUITES, Project, Unwatched, Watcher
from reports.conditions import limits
from reports.html import render_ranked
from reports.leaderboard import Leaderboard, build, latest
from reports.scorers import CHECKPOINT, classifier_stage
from reports.training import NAMED, trained_stages
from reports.writing import write
from trainers.forecast import Forecast, forecast
from trainers.planning import PlannedStage

REFUSED = "refused: "
"""What stands before a service's reason in the reason of a missing score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAnswers:
    """Answers of one run that never came, in spite of retries."""

    run: Run
    failures: Failures

    def __str__(self) -> str:
        failures = self.failures
        return (
            f"{failures.answers} of {self.run.model!r} to {self.run.suite!r}, in {failures.samples} of "
            f"{self.run.size} samples (mostly: {failures.reason})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAnswers:
    """Samples of one run that lack a score because a service would not answer."""

    run: Run
    samples: int
    reason: str
    """The commonest."""

    def __str__(self) -> str:
        return (
            f"{self.samples} of {self.run.size} samples of {self.run.model!r} and {self.run.suite!r} have no "
            f"score because a service would not answer (mostly: {self.reason}); --ask-refused asks again"
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome:
    """What a comparison found, and where it is written."""

    board: Leaderboard
    files: tuple[Path, ...]
    failed: tuple[FailedAnswers, ...] = ()
    """What a command that asks would ask again."""
    refused: tuple[RefusedAnswers, ...] = ()
    """What it would ask again only where that is wanted."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One per candidate."""
        return self.board.verdicts

    def __repr__(self) -> str:
        return "\n".join([repr(self.board), *(f"written: {file}" for file in self.files)])

    def _repr_html_(self) -> str:
        """The ranked table, for notebooks."""
        return render_ranked(self.board)


def train(project: Project, names: Sequence[str], *, watcher: Watcher | None = None) -> dict[str, Path]:
    """Produce what is missing of these pipelines, and return every candidate's folder."""
    for name in names:
        if name not in project.registry.pipelines:
            raise UnknownName("pipeline", name, project.registry.pipelines)
    project.check(names)
    candidates = {}
    with closing(project.store()) as store:
        for name in names:
            candidates[name] = project.train(name, watcher or Unwatched())
            if project.launch is None or project.launch.machine == 0:
                _keep_stages(project, name, store)
    return candidates


def evaluate(
    project: Project,
    names: Sequence[str],
    *,
    suites: Sequence[str] = (),
    rescore: bool = False,
    watcher: Watcher | None = None,
) -> dict[str, list[Run]]:
    """Ask what is missing of these suites (the project's, where none is named) of these models.

    Returns each model's finished runs in the order of the suites. Answers that failed are unscored in them,
    and are asked again the next time; `failed_answers` says which these are.

    `rescore`: score the answers in the store anew, as the suites now are, and ask the candidates nothing:
    none is trained, loaded or reached. A judge is a scorer, and is asked what it has not said yet. Earlier
    runs stay. Raises UsageError where a candidate's answer is missing.
    """
    watcher = watcher or Unwatched()
    asked = asked_suites(project, suites)
    if rescore:
        _need_candidates(project, names)
    else:
        project.check(names)
    with ExitStack() as at_the_end:
        opening = cache(lambda: at_the_end.enter_context(closing(project.store())))
        opened = [project.suite(suite, watcher, opening) for suite in dict.fromkeys(asked)]
        for suite in opened:
            _ = suite.data_hash  # reads the data: a mistake in them must not show after hours of training
        store = opening()
        return {name: runs_of(project, name, opened, store, watcher, rescored=rescore) for name in names}


def asked_suites(project: Project, suites: Sequence[str] = ()) -> list[str]:
    """The suites named, or else the project's."""
    return list(suites or project.registry.compare.suites or DEFAULT_SUITES)


def length_notes(project: Project, suites: Sequence[str] = ()) -> list[str]:
    """What the project's `max_tokens` changes of each suite that is asked; nothing where it is None.

    Raises UsageError where it changes nothing at all.
    """
    asked = asked_suites(project, suites)
    if project.max_tokens is None:
        return []
    if not any(map(project.takes_max_tokens, asked)):
        raise UsageError(
            f"--max-tokens is the length of what a model writes, and {', '.join(asked)} "
            f"{'has' if len(asked) == 1 else 'have'} no such setting; leave it out, or name another suite"
        )
    return [
        f"{suite}: max_tokens = {project.max_tokens} instead of {project.usual_max_tokens(suite)}"
        if project.takes_max_tokens(suite)
        else f"{suite}: has no max_tokens, and is asked as usual"
        for suite in asked
    ]


def plan_training(project: Project, names: Sequence[str]) -> list[Forecast]:
    """What `train` would do for these pipelines, each stage once, in the order of training."""
    for name in names:
        if name not in project.registry.pipelines:
            raise UnknownName("pipeline", name, project.registry.pipelines)
    plans = {name: project.plan(name) for name in names}
    return forecast(plans, project.registry.project.output)


def runs_of(
    project: Project,
    name: str,
    suites: Sequence[Suite],
    store: Store,
    watcher: Watcher,
    *,
    rescored: bool = False,
) -> list[Run]:
    """The finished runs of these suites, of which one that is whole is taken as it is.

    `rescored`: what is missing comes from the store's answers alone.
    """
    model = project.model(name, watcher)
    if name in project.registry.pipelines:
        _keep_stages(project, name, store)
    identity = identify_model(model)
    planned = [plan_run(model, identity, suite, seed=project.registry.project.seed) for suite in suites]
    whole = {
        run.id: run
        for run in map(store.run, (run.id for run in planned))
        if _is_whole(run, store) and not (project.ask_refused and _refused(store, run))
    }
    missing = [(run, suite) for run, suite in zip(planned, suites, strict=True) if run.id not in whole]
    if missing and rescored:
        whole |= _score_again(model, identity, missing, store, watcher)
    elif missing:
        watcher.loading(name)
        with closing(open_engine(model, device=project.device)) as engine:
            for run, suite in missing:
                watched = partial(watcher.asking, name, suite.name)
                remembering = recorded(engine, store, on_answer=watched, ask_refused=project.ask_refused)
                whole[run.id] = ask(run, model, suite, remembering, store)
    return [
        _asked_now(project, replace(whole[run.id], metrics=run.metrics), store, watcher) for run in planned
    ]


def _asked_now(project: Project, run: Run, store: Store, watcher: Watcher) -> Run:
    """The run, of which the store now says as what it was asked for: a report finds it by that."""
    if not project.knows_suite(run.suite):
        return run
    asked = Asked(
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        settings=project.asked_settings(run.suite),
        rows=project.rows_without_limit(run.suite, watcher, lambda: store),
    )
    store.keep_asked(run.id, asked, run.metrics)
    _keep_classifier(project, asked.settings.get("classifier"), run.settings.get("sha256"), store)
    return replace(run, environment={**run.environment, ASKED: asdict(asked)})


def failed_answers(project: Project, runs: Iterable[Run]) -> tuple[FailedAnswers, ...]:
    """What of these runs never was answered: the same evaluation again asks just that."""
    with closing(project.store()) as store:
        return _failed(store, runs)


def refused_answers(project: Project, runs: Iterable[Run]) -> tuple[RefusedAnswers, ...]:
    """What of these runs a service would not answer."""
    with closing(project.store()) as store:
        return _all_refused(store, runs)


def compare(
    project: Project,
    names: Sequence[str],
    *,
    baseline: str | None = None,
    suites: Sequence[str] = (),
    force: bool = False,
    watcher: Watcher | None = None,
    folder: Path | None = None,
) -> Outcome:
    """Train and evaluate what is missing, compare every name with the baseline, and write the leaderboard.

    The baseline is the first name unless one is given. Runs that are not comparable are refused in the
    verdict unless `force`, which the report then says.
    """
    ordered = _baseline_first(names, baseline)
    runs = evaluate(project, ordered, suites=suites, watcher=watcher)
    with closing(project.store()) as store:
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
    with closing(project.existing_store("harness compare")) as store:
        whole = [run for run in store.runs() if run.finished is not None and run.metrics]
        judged = (name for each in named_preferences(store) for name in (each.left, each.right))
        evaluated = list(dict.fromkeys([*(run.model for run in whole), *judged]))
        if not evaluated:
            raise UsageError(f"{store.name} holds no finished run; `harness compare` makes some")
        for name in names:
            if name not in evaluated:
                raise UnknownName("evaluated model", name, evaluated)
        default = project.registry.compare.baseline if not names else None
        ordered = _baseline_first(names or evaluated, baseline or default)
        chosen = chosen_runs(project, store, ordered, suites or _in_order(project, whole))
        return _outcome(project, store, chosen.runs, notes=chosen.notes, force=force, folder=folder)


def _in_order(project: Project, runs: Iterable[Run]) -> list[str]:
    """The suites of these runs as a comparison orders them, and others behind."""
    found = dict.fromkeys(run.suite for run in runs)
    first = [suite for suite in project.registry.compare.suites or DEFAULT_SUITES if suite in found]
    return list(dict.fromkeys([*first, *found]))


def sample(
    project: Project,
    names: Sequence[str],
    prompt: str,
    sampling: Sampling,
    *,
    chat: bool | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Response]:
    """Every model's answer to one prompt, as a user's turn where the model has a chat template.

    `chat` False continues the bare text instead; True insists on a template.
    """
    watcher = watcher or Unwatched()
    project.check(names)
    answers = {}
    with closing(project.store()) as store:
        for name in names:
            model = project.model(name, watcher)
            in_turns = chat if chat is not None else identify_model(model).chat_template is not None
            content = turns_or_text(prompt, chat=in_turns)
            with closing(open_engine(model, device=project.device)) as engine:
                [(_, answers[name])] = recorded(engine, store).generate([Prompt(content=content)], sampling)
    return answers


def _need_candidates(project: Project, names: Sequence[str]) -> None:
    """Raise UsageError for a pipeline that has no candidate yet: nobody has answered anything.

    Raises UnknownName too. Keys and extras, without which a model cannot be asked, are not needed.
    """
    for name in names:
        if name not in project.registry.pipelines:
            project.model(name, Unwatched())
        elif not all(stage.done for stage in project.plan(name)):
            raise UsageError(
                f"pipeline {name!r} has no candidate yet, and so no answers to score again; "
                f"`harness eval {name}`, without --rescore, trains and asks it"
            )


def _score_again(
    model: Model,
    identity: Identity,
    missing: Sequence[tuple[Run, Suite]],
    store: Store,
    watcher: Watcher,
) -> dict[str, Run]:
    """These runs by their ids, from the store's answers alone.

    Each records the engine that gave the answers, as far as it is known under the model's name.
    """
    kept = store.model(model.name, identity.fingerprint)
    absent = without_weights(model, identity, {} if kept is None else kept.description)
    whole = {}
    for run, suite in missing:
        answers = recalled(absent, store, on_answer=partial(watcher.asking, model.name, suite.name))
        whole[run.id] = from_kept_answers(run, model, suite, answers, store)
    return whole


def _is_whole(run: Run | None, store: Store) -> TypeGuard[Run]:
    """Whether nothing is left to ask: everything was asked, and no answer failed."""
    return run is not None and run.finished is not None and store.failures(run.id) is None


def _failed(store: Store, runs: Iterable[Run]) -> tuple[FailedAnswers, ...]:
    found = ((run, store.failures(run.id)) for run in runs)
    return tuple(FailedAnswers(run=run, failures=failures) for run, failures in found if failures)


def _all_refused(store: Store, runs: Iterable[Run]) -> tuple[RefusedAnswers, ...]:
    found = (_refused(store, run) for run in runs)
    return tuple(refused for refused in found if refused)


def _refused(store: Store, run: Run) -> RefusedAnswers | None:
    """The samples of a run that lack an answer or a score because a service refused; None: there are none."""
    scored = [reason for reasons in store.unscored(run.id).values() for reason in reasons]
    if run.metrics and not any(map(_is_refusal, scored)):
        return None
    reasons = [reason for row in store.rows(run.id) if (reason := _refusal(row))]
    if not reasons:
        return None
    return RefusedAnswers(run=run, samples=len(reasons), reason=Counter(reasons).most_common(1)[0][0])


def _refusal(row: Row) -> str | None:
    """Why a row has an answer or a score too few: a service refused."""
    answers = [answer.unanswered for answer in row.responses if isinstance(answer, Response)]
    said = [*answers, *(score.reason for score in row.scores if score.value is None)]
    found = next(filter(None, filter(_is_refusal, said)), None)
    return found and found.partition(REFUSED)[2].removesuffix(")")


def _is_refusal(reason: str | None) -> bool:
    return reason is not None and REFUSED in reason


def _outcome(
    project: Project,
    store: Store,
    runs: Mapping[str, Sequence[Run]],
    *,
    force: bool,
    folder: Path | None,
    notes: Sequence[str] = (),
) -> Outcome:
    plan = project.analysis_plan(force=force)
    runs = {name: [_with_margin(project, run) for run in theirs] for name, theirs in runs.items()}
    reserved = left_out(project.registry, store, runs)
    scored = {name: [_scored(store, run, reserved) for run in theirs] for name, theirs in runs.items()}
    baseline = next(iter(runs))
    candidates = {
        name: [_with_alike(store, each, scored[baseline], reserved) for each in theirs]
        for name, theirs in scored.items()
        if name != baseline
    }
    said, known = _preferences(project, store, runs)
    board = build(
        store,
        _with_judged(store, runs) if said else runs,
        baseline=baseline,
        verdicts=compare_all(scored[baseline], candidates, plan) if scored[baseline] else [],
        breakdowns=break_down(scored[baseline], candidates, plan),
        preferences=said,
        notes=[*notes, *limits(run for theirs in runs.values() for run in theirs), *known],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label=project.registry.project.label,
        level=plan.level,
        left_out=reserved,
    )
    return Outcome(
        board=board,
        files=write(
            board,
            folder or project.registry.project.reports,
            trained=trained_stages(store, list(runs), _classifiers(store, runs)),
        ),
        failed=_failed(store, (run for theirs in runs.values() for run in theirs)),
        refused=_all_refused(store, (run for theirs in runs.values() for run in theirs)),
    )


def _classifiers(store: Store, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    """The suites by the identity of the stage that trained their classifier."""
    found: dict[str, list[str]] = {}
    for run in (run for theirs in runs.values() for run in theirs):
        stage = classifier_stage(store, run)
        if stage is not None and run.suite not in found.setdefault(stage.identity, []):
            found[stage.identity].append(run.suite)
    return found


def _with_judged(store: Store, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    """The runs, and with each model's the newest whole ones that nobody scores: what was preferred among."""
    unscored = dict.fromkeys(run.suite for run in store.runs() if not run.metrics)
    judged = latest(store, list(runs), list(unscored))
    return {name: [*theirs, *judged[name]] for name, theirs in runs.items()}


def _preferences(
    project: Project, store: Store, runs: Mapping[str, Sequence[Run]]
) -> tuple[Analysis | None, list[str]]:
    """What is said of these models' newest answers, None for nothing; and notes of what to know of it."""
    now = {name: {run.fingerprint for run in theirs} for name, theirs in runs.items() if theirs}
    found = named_preferences(store, list(runs), fingerprints=now)
    analysis = analyse(found, project.analysis_plan(), baseline=next(iter(runs))) if found else None
    return analysis, caveats(store, list(runs), fingerprints=now)


def _with_margin(project: Project, run: Run) -> Run:
    """The run, read against the margin that the project sets for its suite now."""
    margin = project.registry.suites.get(run.suite, {}).get("margin")
    return replace(run, metrics=with_margin(run.metrics, margin if isinstance(margin, float) else None))


def _scored(store: Store, run: Run, reserved: LeftOut) -> ScoredRun:
    is_split = any(metric.splits for metric in run.metrics)
    return ScoredRun(
        run=run,
        observations={
            metric: reserved.without(run.suite, observed)
            for metric, observed in store.observations(run.id).items()
        },
        tags=store.tags(run.id) if is_split else {},
    )


def _with_alike(
    store: Store, scored: ScoredRun, baseline: Sequence[ScoredRun], reserved: LeftOut
) -> ScoredRun:
    """A candidate's run that knows whether its answers are nearly those of the baseline."""

    def is_left_out(row: Row) -> bool:
        return reserved.holds(scored.run.suite, cluster_of(row.sample))

    other = next((each.run for each in baseline if each.run.suite == scored.run.suite), None)
    if other is None:
        return scored
    return replace(scored, alike=equal_answers(store, other, scored.run, left_out=is_left_out))


def _baseline_first(names: Sequence[str], baseline: str | None) -> list[str]:
    return list(dict.fromkeys([baseline, *names] if baseline else names))


def _keep_classifier(project: Project, name: Json, checkpoint: Json, store: Store) -> None:
    """Record what was trained for a suite's classifier, with the hash by which runs name it."""
    if not isinstance(name, str) or name not in project.registry.pipelines:
        return
    if all(stage.manifest.get(CHECKPOINT) != checkpoint for stage in store.stages(name)):
        _keep_stages(project, name, store, {CHECKPOINT: checkpoint})


def _base_model(project: Project, stage: PlannedStage, trained: Collection[Path]) -> str | None:
    """The name of the model that a stage starts from; None where that is one of `trained`, or nothing."""
    if stage.parent is None or stage.parent.folder in trained:
        return None
    return project.registry.pipelines[stage.pipeline].base


def _keep_stages(project: Project, name: str, store: Store, also: Mapping[str, Json] | None = None) -> None:
    """Record what was trained for a pipeline, so that a report knows it from the store alone.

    `also` is to be known of the pipeline's last stage.
    """
    stages, now = project.plan(name), datetime.now(UTC).isoformat()
    trained = {stage.folder for stage in stages}
    for position, stage in enumerate(stages):
        store.keep_stage(
            KeptStage(
                pipeline=name,
                identity=stage.identity,
                position=position,
                kind=stage.kind,
                folder=str(stage.folder),
                manifest={
                    **stage.manifest,
                    "pipeline": stage.pipeline,
                    "base": _base_model(project, stage, trained),
                    NAMED: now,
                    "history": stage.history,
                    "completions": stage.completions,
                    "selection": stage.checkpoint_metrics,
                    **(also or {} if stage.last else {}),
                },
                started=stage.manifest["started"],
                finished=stage.manifest["finished"],
            )
        )
