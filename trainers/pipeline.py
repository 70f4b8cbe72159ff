"""Pipelines: training the planned stages that are missing, one after the other.

OUTPUT/stages/KIND-HASH/           a finished stage: a candidate in hub layout, and manifest.json
OUTPUT/stages/KIND-HASH.partial/   one in training, or interrupted: the same command resumes it
OUTPUT/bases/HASH/                 what a stage starts from, where that is no folder of its own
OUTPUT/PIPELINE                    a link to the pipeline's last stage
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from os import getpid
from pathlib import Path

from harness.errors import TrainingError, UsageError
from harness.records.models import Json
from trainers import manifest
from trainers.checkpoints import REACHED, link_weights
from trainers.disk import FULL, raising_disk_full
from trainers.job import Job, SelectionInputs, StageProgress, SuiteScorer
from trainers.launcher import Launch, check_division, join_workers, run_workers
from trainers.planning import PlanContext, PlannedSelection, PlannedStage, StageOrigin, plan
from trainers.settings import Conversational
from trainers.sizes import model_size
from trainers.stages import run
from trainers.whole_folders import locked

OnStageProgress = Callable[[StageProgress], None]


def produce(
    context: PlanContext,
    name: str,
    *,
    on_plan: Callable[[Sequence[PlannedStage]], None] = lambda stages: None,
    on_resume: Callable[[PlannedStage], None] = lambda stage: None,
    on_progress: OnStageProgress = lambda progress: None,
    before: Callable[[PlannedStage], None] = lambda stage: None,
    score: SuiteScorer | None = None,
    launch: Launch | None = None,
) -> Path:
    """Train what is missing, and return the folder of the pipeline's candidate.

    `on_plan` is called with all stages where any is missing, `on_resume` with one that was stopped part-way.
    `before` is called with each stage before it is trained, once all it depends on exists. `score` runs the
    suites that stages select by. `launch`: train in the processes it describes, instead of in this one.

    Raises as `plan` does; TrainingError and DiskFull, after which the same call resumes; UsageError for a
    stage that selects by a suite where `score` is None.
    """
    stages = plan(context, name)
    for stage in stages:
        if launch is not None and not stage.done:
            _check_launch(stage, launch)
    if not all(stage.done for stage in stages):
        on_plan(stages)
    leads = launch is None or launch.machine == 0
    for stage in stages:
        if launch is not None and not leads:
            _join(stage, launch)
        elif not stage.done:
            _check_scorer(stage, score)
            if stage.parent is not None:
                _write_base(stage.parent)
            before(stage)
            _train(stage, on_resume, on_progress, score, launch)
        if stage.last and leads:
            _link(context.output / stage.pipeline, stage.folder)
    return stages[-1].folder


def _write_base(origin: StageOrigin) -> None:
    """Write what a stage starts from, where that is no folder of its own and is not written yet."""
    if origin.written_from is None or origin.folder.is_dir():
        return
    from trainers.bases import write_base  # noqa: PLC0415 - torch takes seconds to import

    with raising_disk_full(origin.folder), _locked(origin.folder):
        if not origin.folder.is_dir():
            write_base(origin)


def _check_scorer(stage: PlannedStage, score: SuiteScorer | None) -> None:
    settings = stage.settings
    if score is None and isinstance(settings, Conversational) and settings.select and settings.select.suite:
        raise UsageError(
            f"{stage.key}.select.suite: training alone runs no suites; `harness train {stage.pipeline}` does"
        )


def _check_launch(stage: PlannedStage, launch: Launch) -> None:
    """Raise ConfigError for a stage that cannot be trained in several processes as configured."""
    check_division(stage.settings, stage.key, launch.processes)


def _train(
    stage: PlannedStage,
    on_resume: Callable[[PlannedStage], None],
    on_progress: OnStageProgress,
    score: SuiteScorer | None,
    launch: Launch | None,
) -> None:
    """Train one stage, or wait for another process that is training it.

    Raises TrainingError, DiskFull, and UsageError for an output folder that cannot be written.
    """
    with raising_disk_full(stage.folder), _locked(stage.folder):
        if stage.done:  # trained by the process that held the lock
            return
        started = datetime.now(UTC)
        if stage.partial.is_dir():
            on_resume(stage)
        stage.partial.mkdir(exist_ok=True)
        job = _job(stage, on_progress, score)
        metrics = run(job) if launch is None else run_workers(job, launch)
        link_weights(stage.partial)
        (stage.partial / REACHED).unlink(missing_ok=True)
        _write_manifest(stage, started, metrics, 1 if launch is None else launch.processes)
        stage.partial.rename(stage.folder)


def _join(stage: PlannedStage, launch: Launch) -> None:
    """Do this machine's part of a stage that another machine leads. Raises TrainingError."""
    join_workers(stage.partial, launch, lambda: stage.done)
    with _locked(stage.folder):  # until the other has written the candidate, or has given up
        if not stage.done:
            raise TrainingError(
                f"{stage.kind}: the machine that leads did not finish it, and says why; run the same "
                "command on all machines again"
            )


def _job(stage: PlannedStage, on_progress: OnStageProgress, score: SuiteScorer | None) -> Job:
    def report(
        step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
    ) -> None:
        on_progress(
            StageProgress(
                pipeline=stage.pipeline,
                stage=stage.kind,
                step=step,
                total=total,
                loss=loss,
                tokens=tokens,
                folder=stage.partial,
                without_signal=without_signal,
            )
        )

    return Job(
        kind=stage.kind,
        folder=stage.partial,
        base=None if stage.parent is None else str(stage.parent.folder),
        chat_template=None if stage.parent is None else stage.parent.chat_template,
        data=", ".join(source.name for source in stage.sources),
        rows=[row for source in stage.sources for row in source.rows],
        rewards=tuple(reward.source for reward in stage.rewards),
        settings=stage.settings,
        seed=stage.seed,
        selection=_selection_inputs(stage.selection, score),
        on_progress=report,
    )


def _selection_inputs(planned: PlannedSelection | None, score: SuiteScorer | None) -> SelectionInputs:
    if planned is None:
        return SelectionInputs()
    return SelectionInputs(
        rewards=() if planned.reward is None else (planned.reward.source,),
        prompts=() if planned.prompts is None else planned.prompts.rows,
        score=score,
        base=planned.base,
    )


def _write_manifest(
    stage: PlannedStage, started: datetime, metrics: Mapping[str, Json], processes: int
) -> None:
    made: dict[str, Json] = {
        "identity": stage.identity,
        "inputs": stage.inputs,
        "data": [
            {"source": source.name, "rows": len(source.rows), "hash": source.hash} for source in stage.sources
        ],
        "parent": None if stage.parent is None else stage.parent.folder.name,
        "rewards": [
            {"reward": reward.name, "weight": reward.source.weight, "identity": reward.identity}
            for reward in stage.rewards
        ],
        "metrics": metrics,
        "base_parameters": None if stage.parent is None else model_size(stage.parent).parameters,
        "processes": processes,  # which changes only the order in which numbers are added
    }
    manifest.write(stage.partial, made, started)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time train a stage. Raises UsageError."""
    with ExitStack() as held:
        with _writable_output(folder.parent):
            held.enter_context(locked(folder))
        yield


@contextmanager
def _writable_output(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise
        raise UsageError(
            f"{folder}: candidates cannot be written here ({error.strerror}); make it a folder you may write "
            "to, or name another one under [project] output"
        ) from error


def _link(link: Path, folder: Path) -> None:
    """Link a pipeline's name to its candidate; the link is relative, so the output folder can move."""
    target = folder.relative_to(link.parent)
    if link.is_symlink() and link.readlink() == target:
        return
    new = link.with_name(f"{link.name}.{getpid()}.new")
    with _writable_output(link):
        new.symlink_to(target)
        new.replace(link)
