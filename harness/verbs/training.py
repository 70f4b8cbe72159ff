"""The verb `train`: train a pipeline's missing stages, and record every stage in the store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

from harness.errors import UnknownName
from harness.movement import training_warnings
from harness.records.models import Json
from harness.store import KeptStage, Store
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from reports.training import NAMED
from trainers.forecast import StageForecast, forecast
from trainers.planning import PlannedStage

if TYPE_CHECKING:
    from harness.verbs.placement import Cluster
    from harness.verbs.side_by_side import ParallelTask


def train(project: Project, names: Sequence[str], *, progress: Progress | None = None) -> dict[str, Path]:
    """Produce what is missing of these pipelines, and return every candidate's folder."""
    progress = progress or Progress()
    progress.planned(plan_training(project, names))
    candidates = {}
    if project.placement.on is not None:
        _train_side_by_side(project, names, progress)
    with project.store() as store:
        for name in names:
            candidates[name] = project.train(name, progress)
            if project.launch is None or project.launch.machine == 0:
                keep_stages(project, name, store)
    return candidates


def _train_side_by_side(project: Project, names: Sequence[str], progress: Progress) -> None:
    """Train pipelines that do not build on each other at the same time, as far as the cluster has room."""
    # imported here because training in this process needs none of it
    from harness.verbs.placement import cluster_of  # noqa: PLC0415
    from harness.verbs.side_by_side import side_by_side  # noqa: PLC0415

    cluster = cluster_of(project.placement)
    tasks = training_tasks(project, names, cluster)
    if len(tasks) > 1:
        side_by_side(tasks, progress, slots=cluster.slots)


def training_tasks(project: Project, names: Sequence[str], cluster: "Cluster") -> "list[ParallelTask]":
    """The trainings that these models or pipelines lack, each a task of its own."""
    # imported here for the same reason
    from harness.verbs.placement import training_allotment, trainings_at_once  # noqa: PLC0415
    from harness.verbs.side_by_side import ParallelTask  # noqa: PLC0415

    lacking = {name: needed(project, name) - {name} for name in _lacking(project, names)}
    processes = 1 if project.launch is None else project.launch.processes
    allotment = training_allotment(cluster, trainings_at_once(lacking), processes)
    there = replace(project, on=cluster.address, training_allotment=allotment)
    return [
        ParallelTask(
            name=training_task(name),
            work=partial(_train_alone, there, name),
            after={training_task(other) for other in others & lacking.keys()},
            slots=allotment.slots,
            first=lambda: inf,  # others wait for it
        )
        for name, others in lacking.items()
    ]


def training_task(name: str) -> str:
    """The name of a pipeline's training, among tasks."""
    return f"train {name}"


def needed(project: Project, name: str) -> frozenset[str]:
    """The pipelines whose stages a model needs, its own among them; none for what is no pipeline."""
    if name not in project.registry.pipelines:
        return frozenset()
    return frozenset(stage.pipeline for stage in project.plan(name))


def _lacking(project: Project, names: Sequence[str]) -> list[str]:
    """The pipelines of which a stage is to be trained, in an order in which that is possible."""
    stages = [stage for name in names if name in project.registry.pipelines for stage in project.plan(name)]
    return list(dict.fromkeys(stage.pipeline for stage in stages if not stage.done))


def _train_alone(project: Project, name: str, progress: Progress) -> None:
    project.train(name, progress)


def training_notes(project: Project, names: Sequence[str]) -> list[str]:
    """What is to be known of the finished stages of these pipelines, each stage once."""
    stages = {stage.folder: stage for name in names for stage in project.plan(name) if stage.done}
    return [
        f"{stage.pipeline} · {stage.kind}: {warning}"
        for stage in stages.values()
        for warning in training_warnings(stage.manifest["metrics"])
    ]


def plan_training(project: Project, names: Sequence[str]) -> list[StageForecast]:
    """What `train` would do for these pipelines, each stage once, in the order of training."""
    for name in names:
        if name not in project.registry.pipelines:
            raise UnknownName("pipeline", name, project.registry.pipelines)
    plans = {name: project.plan(name) for name in names}
    processes = 1 if project.launch is None else project.launch.processes
    return forecast(plans, project.registry.project.output, processes)


def free_space(project: Project) -> int:
    """Free bytes on the disk that candidates are written to."""
    output = project.registry.project.output.absolute()
    return disk_usage(next(folder for folder in (output, *output.parents) if folder.is_dir())).free


def _base_model(project: Project, stage: PlannedStage, trained: Collection[Path]) -> str | None:
    """The name of the model that a stage starts from; None where that is one of `trained`, or nothing."""
    if stage.parent is None or stage.parent.folder in trained:
        return None
    return project.registry.pipelines[stage.pipeline].base


def keep_stages(project: Project, name: str, store: Store, also: Mapping[str, Json] | None = None) -> None:
    """Record what was trained for a pipeline, so that a report knows it from the store alone.

    `also` is to be known of the pipeline's last stage.
    """
    stages, now = project.plan(name), datetime.now(UTC).isoformat()
    trained = {stage.folder for stage in stages}
    for position, stage in enumerate(stages):
        store.stages.keep(
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
