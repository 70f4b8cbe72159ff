"""What takes up disk space and is no longer needed: interrupted stages, bases and mixes, stages that nothing
uses, and unused space in the store.

A partial stage is needed while a pipeline of today's file would go on with it. A finished one is needed while
a pipeline consists of it, or a model of the file lies in it; others were trained with another seed, other
settings or from another file, and go only where that is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.records.models import Local
from harness.registry.names import STAGES_FOLDER
from harness.verbs.project import Project
from trainers.mix_cache import FOLDER as MIXES
from trainers.planning import BASES
from trainers.pruning import StageFolder, links_to, remove_folder, stage_folders, unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsideredStage:
    """A folder of a stage, base or mix, and why it goes or stays."""

    folder: StageFolder
    goes: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What there is to remove, and what is kept."""

    stages: Sequence[ConsideredStage]
    store: str
    store_size: int
    """Unused bytes in the store's file."""

    @property
    def going(self) -> list[ConsideredStage]:
        """The folders that go."""
        return [stage for stage in self.stages if stage.goes]

    @property
    def size(self) -> int:
        """Bytes that are freed."""
        return sum(stage.folder.size for stage in self.going) + self.store_size


def plan_pruning(project: Project, *, unused: bool = False) -> Pruning:
    """What can be removed, and why. Nothing is.

    `unused`: also finished stages that nothing of the file needs. Raises UsageError where a pipeline cannot
    be planned: which stages it needs is then not known.
    """
    needed, lying = dict(_needed(project)), dict(_lying(project))
    output = project.registry.project.output
    stages = stage_folders(output / STAGES_FOLDER)
    size, name = 0, project.registry.project.store
    if store := project.store_if_any():
        with store:
            size, name = store.database.unused_bytes(), store.name
    return Pruning(
        stages=[
            *(_considered(stage, needed, lying, unused=unused) for stage in stages),
            *(_considered_again(base, "stage") for base in unfinished(output / BASES)),
            *(_considered_again(mix, "plan") for mix in unfinished(output / MIXES)),
        ],
        store=name,
        store_size=size,
    )


def prune(project: Project, pruning: Pruning) -> list[ConsideredStage]:
    """Remove what goes, with the links that lead there; what a process has taken up meanwhile stays.

    Returns the folders that are gone. Raises UsageError for one that cannot be removed, DiskFull where the
    store has no room to be rewritten.
    """
    links = links_to(project.registry.project.output, [each.folder.folder for each in pruning.going])
    gone = [each for each in pruning.going if remove_folder(each.folder)]
    for link in links:
        if not link.exists():
            link.unlink()
    if pruning.store_size:
        with project.store() as store:
            store.database.compact()
    return gone


def _lying(project: Project) -> Iterator[tuple[Path, str]]:
    """The places of the file's models and adapters, each with the reason to keep it."""
    for name, model in project.registry.models.items():
        if isinstance(model.source, Local):
            yield Path(model.source.path).resolve(), f"model {name!r} lies in it"
            if model.source.adapter is not None:
                yield Path(model.source.adapter).resolve(), f"the adapter of model {name!r} lies in it"


def _needed(project: Project) -> Iterator[tuple[Path, str]]:
    """The finished stages' folders that a pipeline of the file needs, each with which that is."""
    registry = project.registry
    for name in registry.pipelines:
        try:
            planned = project.plan(name)
        except HarnessError as error:
            raise UsageError(
                f"pipeline {name!r} cannot be planned, so that it is not known which stages it needs, and "
                f"nothing was removed: {error}"
            ) from error
        for stage in planned:
            yield stage.folder.resolve(), f"pipeline {name!r} needs it"


def _considered_again(each: StageFolder, by: str) -> ConsideredStage:
    """A base or mix that was not written to its end: nothing goes on with it."""
    if each.in_use:
        return ConsideredStage(folder=each, goes=False, why="is being written now")
    return ConsideredStage(
        folder=each, goes=True, why=f"interrupted; a {by} that needs it writes all of it again"
    )


def _considered(
    stage: StageFolder, needed: Mapping[Path, str], lying: Mapping[Path, str], *, unused: bool
) -> ConsideredStage:
    of = stage.folder.with_name(stage.stage).resolve()
    if stage.in_use:
        return ConsideredStage(folder=stage, goes=False, why="is being trained now")
    for place, whose in lying.items():
        if place.is_relative_to(stage.folder.resolve()):
            return ConsideredStage(folder=stage, goes=False, why=whose)
    if stage.finished:
        why = needed.get(of, "trained with another seed, other settings or from another file")
        return ConsideredStage(folder=stage, goes=unused and of not in needed, why=why)
    if of.exists():
        return ConsideredStage(folder=stage, goes=True, why="left over: the stage is finished")
    if of in needed:
        return ConsideredStage(folder=stage, goes=False, why=f"{needed[of]}: training goes on with it")
    return ConsideredStage(folder=stage, goes=True, why="interrupted, and no pipeline would go on with it")
