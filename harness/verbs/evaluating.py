"""The verb `eval`: models answer what is missing of the suites, and all answers are scored.

What is already there is neither trained nor asked again, and then no model library is loaded.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from time import monotonic
from typing import TypeGuard

from harness.engine.answers_engine import AnswersEngine
from harness.engine.identity import Identity, LocalIdentity
from harness.engine.model_files import weight_files
from harness.engine.opening import identify_model, without_weights
from harness.errors import UsageError
from harness.evaluation import evaluate as ask
from harness.evaluation import plan_run
from harness.evaluation import rescore as from_kept_answers
from harness.protocols import Engine, Suite
from harness.recorded import RecordedEngine, recalled, recorded
from harness.records.answers import REQUEST, EvaluationRequest, Response, Row, Run
from harness.records.models import Json, Local, Model
from harness.store import Failures, Store
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from harness.verbs.suites_together import one_by_one, plan_together
from harness.verbs.training import keep_stages, needed, training_task, training_tasks
from reports.scorers import CHECKPOINT

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


def evaluate(
    project: Project,
    names: Sequence[str],
    *,
    suites: Sequence[str] = (),
    rescore: bool = False,
    progress: Progress | None = None,
) -> dict[str, list[Run]]:
    """Ask what is missing of these suites (the project's, where none is named) of these models.

    Returns each model's finished runs in the order of the suites. Answers that failed are unscored in them,
    and are asked again the next time; `failed_answers` says which these are.

    `rescore`: score the answers in the store anew, as the suites now are, and ask the candidates nothing:
    none is trained, loaded or reached. A judge is a scorer, and is asked what it has not said yet. Earlier
    runs stay. Raises UsageError where a candidate's answer is missing.
    """
    progress = progress or Progress()
    asked = suites or project.default_suites
    if rescore:
        _need_candidates(project, names)
    else:
        project.check(names)
    project.check_prices(names, asked)
    with ExitStack() as at_the_end:
        opening = cache(lambda: at_the_end.enter_context(project.store()))
        opened = [project.suite(suite, progress, opening) for suite in dict.fromkeys(asked)]
        for suite in opened:
            _ = suite.data_hash  # reads the data: a mistake in them must not show after hours of training
        store = opening()
        # what several processes spend, none of them knows
        if project.placement.on is not None and project.budget is None and not rescore:
            _ask_side_by_side(project, names, opened, store, progress)
        return {name: runs_of(project, name, opened, store, progress, rescored=rescore) for name in names}


def _ask_side_by_side(
    project: Project, names: Sequence[str], suites: Sequence[Suite], store: Store, progress: Progress
) -> None:
    """Train and ask what is missing of several models at the same time, as far as the cluster has room.

    Raises UsageError where there is no cluster. Does nothing where only one of them lacks anything.
    """
    lacking = [name for name in dict.fromkeys(names) if _lacks(project, name, suites, store, progress)]
    if len(lacking) < 2:
        return
    # imported here because an evaluation in one process needs none of it
    from harness.verbs.placement import allotment_of, cluster_of  # noqa: PLC0415
    from harness.verbs.side_by_side import ParallelTask, side_by_side  # noqa: PLC0415

    cluster = cluster_of(project.placement)
    scorers = {name for suite in suites for name in project.scorers(suite.name)}
    trained = training_tasks(project, [*lacking, *scorers], cluster)
    allotment = allotment_of(cluster, len(lacking), project.placement.replicas)
    there = replace(project, on=cluster.address, allotment=allotment)
    asked = tuple(suite.name for suite in suites)
    tasks = [
        ParallelTask(
            name=name,
            work=partial(_runs_alone, there, name, asked),
            after=_trained_for(project, [name, *scorers]) & {task.name for task in trained},
            slots=allotment.slots,
            first=partial(_size, project, name),
        )
        for name in lacking
    ]
    side_by_side([*trained, *tasks], progress, slots=cluster.slots)


def _trained_for(project: Project, names: Iterable[str]) -> set[str]:
    """The names of the trainings that these models need."""
    return {training_task(pipeline) for name in names for pipeline in needed(project, name)}


def _lacks(project: Project, name: str, suites: Sequence[Suite], store: Store, progress: Progress) -> bool:
    """Whether something of these suites is still to be asked of a local model."""
    if not project.has_candidate(name):
        return True
    model = project.model(name, progress)
    return isinstance(model.source, Local) and bool(plan_runs(project, model, suites, store).missing)


def _runs_alone(project: Project, name: str, suites: Sequence[str], progress: Progress) -> None:
    """`runs_of` in a process of its own."""
    with project.store() as store:
        opened = [project.suite(suite, progress, lambda: store) for suite in suites]
        runs_of(project, name, opened, store, progress)


def _size(project: Project, name: str) -> float:
    """The bytes of a model's weights. The largest are asked first: none of them is left at the end."""
    identity = identify_model(project.model(name, Progress()))
    if not isinstance(identity, LocalIdentity):
        return 0.0
    files = weight_files(identity.path) if identity.gguf is None else [identity.gguf]
    return float(sum(file.stat().st_size for file in files))


def length_notes(project: Project, suites: Sequence[str] = ()) -> list[str]:
    """What the project's `max_tokens` changes of each suite that is asked; nothing where it is None.

    Raises UsageError where it changes nothing at all.
    """
    asked = suites or project.default_suites
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


def runs_of(
    project: Project,
    name: str,
    suites: Sequence[Suite],
    store: Store,
    progress: Progress,
    *,
    rescored: bool = False,
) -> list[Run]:
    """The finished runs of these suites, of which one that is whole is taken as it is.

    `rescored`: what is missing comes from the store's answers alone.
    """
    model = project.model(name, progress)
    if name in project.registry.pipelines:
        keep_stages(project, name, store)
    plan = plan_runs(project, model, suites, store)
    whole, missing = dict(plan.whole), plan.missing
    if missing and rescored:
        whole |= _score_again(model, plan.identity, missing, store, progress)
    elif missing:
        progress.loading(name)
        with closing(project.open(model)) as engine:
            whole |= _asked(project, model, engine, missing, store, progress)
    found = (replace(whole[run.id], metrics=run.metrics) for run in plan.runs)
    return [_with_request(project, run, store, progress) for run in found]


def _asked(
    project: Project,
    model: Model,
    engine: Engine,
    missing: Sequence[tuple[Run, Suite]],
    store: Store,
    progress: Progress,
) -> dict[str, Run]:
    """These runs by their ids, asked and scored."""

    def remembering(asked: str) -> RecordedEngine:
        watched = partial(progress.asking, model.name, asked)
        return recorded(engine, store, on_answer=watched, ask_refused=project.ask_refused)

    suites = [suite for _, suite in missing]
    plans_requests = isinstance(model.source, Local)  # a service takes them one by one
    whole = {}
    for group in plan_together(engine, suites) if plans_requests else one_by_one(suites):
        began = monotonic()
        if group.calls:
            together = remembering(" + ".join(suites[place].name for place in group.shares))
            for _ in together.answers(group.calls):
                pass
        took = monotonic() - began if group.calls else 0.0
        for place, share in group.shares.items():
            run, suite = missing[place]
            if isinstance(engine, AnswersEngine):
                engine.begin(suite)
            whole[run.id] = ask(
                run, model, suite, remembering(suite.name), store, seconds_before=took * share
            )
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The runs of some suites and one model."""

    identity: Identity
    runs: tuple[Run, ...]
    """In the order of the suites."""
    whole: Mapping[str, Run]
    """Those that need not be asked, by their ids."""
    missing: tuple[tuple[Run, Suite], ...]


def plan_runs(project: Project, model: Model, suites: Sequence[Suite], store: Store) -> RunPlan:
    """Which runs of these suites the store has, and which are to be asked. Nothing is loaded."""
    identity = identify_model(model)
    planned = [plan_run(model, identity, suite, seed=project.registry.project.seed) for suite in suites]
    whole = {
        run.id: run
        for run in map(store.runs.get, (run.id for run in planned))
        if _is_whole(run, store) and not (project.ask_refused and _refused(store, run))
    }
    missing = [(run, suite) for run, suite in zip(planned, suites, strict=True) if run.id not in whole]
    return RunPlan(identity=identity, runs=tuple(planned), whole=whole, missing=tuple(missing))


def _with_request(project: Project, run: Run, store: Store, progress: Progress) -> Run:
    """The run with the settings that it is asked for with now, by which a report finds it in the store."""
    if not project.knows_suite(run.suite):
        return run
    request = EvaluationRequest(
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        settings=project.asked_settings(run.suite),
        rows=project.rows_without_limit(run.suite, progress, lambda: store),
    )
    store.runs.keep_request(run.id, request, run.metrics)
    _keep_classifier(project, request.settings.get("classifier"), run.settings.get("sha256"), store)
    return replace(run, environment={**run.environment, REQUEST: asdict(request)})


def failed_answers(project: Project, runs: Iterable[Run]) -> tuple[FailedAnswers, ...]:
    """What of these runs never was answered: the same evaluation again asks just that."""
    with project.store() as store:
        return failed_of(store, runs)


def failed_of(store: Store, runs: Iterable[Run]) -> tuple[FailedAnswers, ...]:
    """`failed_answers` in a store that is open."""
    found = ((run, store.runs.failures(run.id)) for run in runs)
    return tuple(FailedAnswers(run=run, failures=failures) for run, failures in found if failures)


def refused_answers(project: Project, runs: Iterable[Run]) -> tuple[RefusedAnswers, ...]:
    """What of these runs a service would not answer."""
    with project.store() as store:
        return refused_of(store, runs)


def refused_of(store: Store, runs: Iterable[Run]) -> tuple[RefusedAnswers, ...]:
    """`refused_answers` in a store that is open."""
    return tuple(refused for run in runs if (refused := _refused(store, run)))


def _need_candidates(project: Project, names: Sequence[str]) -> None:
    """Raise UsageError for a pipeline that has no candidate yet: nobody has answered anything.

    Raises UnknownName too. Keys and extras, without which a model cannot be asked, are not needed.
    """
    for name in names:
        if name not in project.registry.pipelines:
            project.model(name, Progress())
        elif not project.has_candidate(name):
            raise UsageError(
                f"pipeline {name!r} has no candidate yet, and so no answers to score again; "
                f"`harness eval {name}`, without --rescore, trains and asks it"
            )


def _score_again(
    model: Model,
    identity: Identity,
    missing: Sequence[tuple[Run, Suite]],
    store: Store,
    progress: Progress,
) -> dict[str, Run]:
    """These runs by their ids, from the store's answers alone.

    Each records the engine that gave the answers, as far as it is known under the model's name.
    """
    kept = store.models.get(model.name, identity.fingerprint)
    absent = without_weights(model, identity, {} if kept is None else kept.description)
    whole = {}
    for run, suite in missing:
        answers = recalled(absent, store, on_answer=partial(progress.asking, model.name, suite.name))
        whole[run.id] = from_kept_answers(run, model, suite, answers, store)
    return whole


def _is_whole(run: Run | None, store: Store) -> TypeGuard[Run]:
    """Whether nothing is left to ask: everything was asked, and no answer failed."""
    return run is not None and run.finished is not None and store.runs.failures(run.id) is None


def _refused(store: Store, run: Run) -> RefusedAnswers | None:
    """The samples of a run that lack an answer or a score because a service refused; None: there are none."""
    scored = [reason for reasons in store.runs.unscored(run.id).values() for reason in reasons]
    if run.metrics and not any(map(_is_refusal, scored)):
        return None
    reasons = [reason for row in store.runs.rows(run.id) if (reason := _refusal(row))]
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


def _keep_classifier(project: Project, name: Json, checkpoint: Json, store: Store) -> None:
    """Record what was trained for a suite's classifier, with the hash by which runs name it."""
    if not isinstance(name, str) or name not in project.registry.pipelines:
        return
    if all(stage.manifest.get(CHECKPOINT) != checkpoint for stage in store.stages.find(name)):
        keep_stages(project, name, store, {CHECKPOINT: checkpoint})
