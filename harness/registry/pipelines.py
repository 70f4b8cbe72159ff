"""Reads `[pipelines.NAME]` and its stages."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, JsonValue

from harness.errors import UnknownName
from harness.records.models import Json, Pipeline, Stage
from harness.registry.mistakes import Table, under
from harness.registry.names import Reference
from harness.registry.paths import PathResolver
from harness.registry.sections import PipelineSection, StageSection

_WITHOUT_BASE = ("pretrain", "toxicity")
"""Kinds of stage that can start from nothing."""
_REMOVED = {"ppo": "TRL has removed PPO; `rloo` and `grpo` take the same rewards"}
"""Kinds of stage that users know from elsewhere and that are no more."""


class Renamed(NamedTuple):
    """A stage's settings under the names that they have here."""

    settings: Table
    written: Mapping[str, str]
    """The key that stands in the file, by ours."""
    mistakes: tuple[tuple[str, str], ...] = ()
    """Keys that stand in the file and mean nothing here, each with what to do."""


Rename = Callable[[str, Table], Renamed]
"""Takes the kind of a stage and its settings as the file has them."""


def as_written(kind: str, table: Table) -> Renamed:
    """The settings as they are."""
    return Renamed(table, {})


class ReadPipeline(NamedTuple):
    """A pipeline, or None where it has mistakes, and what it refers to."""

    pipeline: Pipeline | None
    references: tuple[Reference, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    """The data of its stages, each with its key."""


def read_pipeline(
    name: str,
    table: Table,
    paths: PathResolver,
    stages: Mapping[str, type[BaseModel]],
    rename: Rename,
) -> ReadPipeline:
    """The pipeline, its mistakes noted."""
    key = under("pipelines", name)
    section = paths.mistakes.read(PipelineSection, table, key)
    if section is None:
        return ReadPipeline(None)
    _check_start(section, key, stages, paths)
    places = [under(key, "stages", position) for position in range(len(section.stages))]
    read = [
        (place, _stage(stage, place, stages, rename, paths))
        for place, stage in zip(places, section.stages, strict=True)
    ]
    references = []
    if section.base is not None:
        references.append(Reference(under(key, "base"), name, "base", section.base))
    for place, stage in read:
        rewards = _rewards(stage, place) if stage else []
        references += [Reference(reward_key, name, "reward", reward) for reward_key, reward in rewards]
    whole = tuple(stage for _, stage in read if stage)
    is_whole = len(whole) == len(read) > 0
    pipeline = (
        Pipeline(name=name, base=section.base, stages=whole, seed=section.seed, dtype=section.dtype)
        if is_whole
        else None
    )
    data = [
        (under(place, "data", *([] if len(stage.data) == 1 else [position])), source)
        for place, stage in read
        if stage
        for position, source in enumerate(stage.data)
    ]
    return ReadPipeline(pipeline, tuple(references), tuple(data))


def selecting_suites(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """The suites by which its stages select checkpoints: the key, the pipeline's name and the suite's."""
    for position, stage in enumerate(pipeline.stages):
        match stage.settings.get("select"):
            case {"suite": str(suite)}:
                key = under("pipelines", pipeline.name, "stages", position, "select", "suite")
                yield key, pipeline.name, suite


def _check_start(
    section: PipelineSection, key: str, stages: Mapping[str, type[BaseModel]], paths: PathResolver
) -> None:
    if not section.stages:
        paths.mistakes.add(under(key, "stages"), f"a pipeline needs a stage: [[{key}.stages]]")
        return
    first = section.stages[0].get("kind")
    if section.base is None and first in stages and first not in _WITHOUT_BASE:
        message = f"a pipeline whose first stage is {first!r} needs a model or pipeline as its base"
        paths.mistakes.add(under(key, "base"), message)


def _stage(
    table: Mapping[str, JsonValue],
    key: str,
    stages: Mapping[str, type[BaseModel]],
    rename: Rename,
    paths: PathResolver,
) -> Stage | None:
    own = {field: value for field, value in table.items() if field in StageSection.model_fields}
    section = paths.mistakes.read(StageSection, own, key)
    if section is None:
        return None
    for place, source in _sources(section, key):
        paths.check_rows(source, place)
    if section.kind not in stages:
        unknown = str(UnknownName("kind of stage", section.kind, stages))
        paths.mistakes.add(under(key, "kind"), _REMOVED.get(section.kind, unknown))
        return None
    rest = {field: value for field, value in table.items() if field not in own}
    renamed = rename(section.kind, rest)
    for field, message in renamed.mistakes:
        paths.mistakes.add(under(key, field), message)
    settings = paths.mistakes.read(
        stages[section.kind],
        renamed.settings,
        key,
        also=StageSection.model_fields,
        written=renamed.written,
    )
    if settings is None:
        return None
    for place, source in _prompts(settings.model_dump(mode="json"), key):
        paths.check_rows(source, place)
    return Stage(
        kind=section.kind,
        data=tuple(source for _, source in _sources(section, key)),
        reward=section.reward,
        settings=settings.model_dump(mode="json"),
    )


def _sources(section: StageSection, key: str) -> list[tuple[str, str]]:
    """The stage's data, each with its key."""
    key = under(key, "data")
    if isinstance(section.data, str):
        return [(key, section.data)]
    return [(under(key, position), source) for position, source in enumerate(section.data)]


def _prompts(settings: Mapping[str, Json], key: str) -> list[tuple[str, str]]:
    """The source of prompts by which the stage selects its checkpoint, with its key."""
    match settings.get("select"):
        case {"prompts": str(source)}:
            return [(under(key, "select", "prompts"), source)]
    return []


def _rewards(stage: Stage, key: str) -> list[tuple[str, str]]:
    """What the stage names as a reward, in `reward`, `rewards` or `select`, each with its key."""
    found = [] if stage.reward is None else [(under(key, "reward"), stage.reward)]
    several = stage.settings.get("rewards")
    for position, entry in enumerate(several if isinstance(several, list) else ()):
        match entry:
            case {"name": str(name)}:
                found.append((under(key, "rewards", position, "name"), name))
    match stage.settings.get("select"):
        case {"reward": str(name)}:
            found.append((under(key, "select", "reward"), name))
    return found
