"""What a candidate is made of: every stage it needs, what each depends on, and whether it is trained yet.

A stage's folder is named by the hash of everything its outcome depends on: kind and version, settings, the
content of its rows, its parent, its rewards, the seed. So pipelines that begin alike share their first
stages, a changed setting retrains only what depends on it, and nothing is trained twice.

Planning imports no model library.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.engine.identity import identify
from harness.errors import ModelError, UnknownName
from harness.records.models import Json, Local, Model, Pipeline, Stage
from harness.registry import MIX
from harness.user_modules import make_importable, module_file
from trainers import checkpoint_metrics, completions, history, manifest
from trainers.job import RewardSource
from trainers.mix_cache import no_mix
from trainers.reading import Source, read
from trainers.settings import Conversational, Rewarded, Training, wrong_setting
from trainers.stage_settings import STAGE_SETTINGS, ToxicityTraining, learned_shapes
from trainers.stages import stage_kind

BASES = "bases"
"""In the output folder: models that stages start from and that had to be written as folders first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOrigin:
    """A model or a finished stage that another stage depends on."""

    folder: Path
    identity: str
    chat_template: str | None = None
    """Replaces the folder's own."""
    written_from: Model | None = None
    """What the folder is made from when it is first needed (`trainers.bases`); None: it exists."""
    before: "StageOrigin | None" = None
    """What a stage starts from, where this is the stage's candidate."""

    @property
    def known(self) -> "StageOrigin | None":
        """This one if it exists, or the nearest one before it that does; None: the chain begins with nothing.

        Stages keep the tokenizer, the chat template and the size of what they start from.
        """
        if self.written_from is not None or (self.folder / "config.json").is_file():
            return self
        return None if self.before is None else self.before.known


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReward:
    """A reward and what identifies it."""

    name: str
    """The name as written in the configuration."""
    source: RewardSource
    identity: str
    stage: "PlannedStage | None" = None
    """The stage that makes the reward model; None where that is not trained here, or is a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSelection:
    """What a stage's `select` names, and what identifies it."""

    reward: PlannedReward | None
    prompts: Source | None
    base: Model | None
    """The model whose way of being prompted candidates share; None where no suite selects."""

    @property
    def inputs(self) -> dict[str, Json]:
        """What the choice depends on besides the settings."""
        chat_settings = {} if self.base is None else dict(self.base.chat_settings)
        return {
            "reward": None if self.reward is None else self.reward.identity,
            "prompts": None if self.prompts is None else self.prompts.hash,
            **({"manner": chat_settings} if chat_settings else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage with all it depends on, and its folder, whether trained yet or not."""

    pipeline: str
    """The pipeline it was planned for; others may share it."""
    key: str
    """Where it stands in the configuration: `pipelines.NAME.stages[0]`."""
    stage: Stage
    number: int
    """The place among its pipeline's stages, from 1."""
    settings: Training
    parent: StageOrigin | None
    sources: tuple[Source, ...]
    rewards: tuple[PlannedReward, ...]
    selection: PlannedSelection | None
    """None: the last checkpoint is the candidate."""
    inputs: Mapping[str, Json] = field(repr=False)
    """Everything the outcome depends on."""
    identity: str
    folder: Path
    seed: int
    last: bool
    """Whether it is the pipeline's last, which the pipeline's name stands for."""

    @property
    def kind(self) -> str:
        return self.stage.kind

    @property
    def name(self) -> str:
        """`PIPELINE · KIND`, with the stage's number where the pipeline has several."""
        is_only = self.last and self.number == 1
        return f"{self.pipeline} · {self.kind}{'' if is_only else f' (stage {self.number})'}"

    @property
    def origin(self) -> StageOrigin:
        """What a stage that follows starts from."""
        return StageOrigin(folder=self.folder, identity=self.identity, before=self.parent)

    @property
    def manifest(self) -> Mapping[str, Any]:
        return manifest.read(self.folder)

    @property
    def history(self) -> Sequence[Mapping[str, Json]]:
        return history.read(self.folder)

    @property
    def completions(self) -> Sequence[Mapping[str, Json]]:
        return completions.read(self.folder)

    @property
    def checkpoint_metrics(self) -> Sequence[Mapping[str, Json]]:
        return checkpoint_metrics.curve(self.folder)

    @property
    def done(self) -> bool:
        return manifest.is_finished(self.folder)

    @property
    def partial(self) -> Path:
        """The folder while it is in training."""
        return self.folder.with_name(f"{self.folder.name}.partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """What a project's pipelines are planned and trained with."""

    pipelines: Mapping[str, Pipeline]
    models: Mapping[str, Model]
    output: Path
    seed: int
    root: Path
    """Where data files and reward functions are."""
    data_root: Path | None = None
    """The folder of official data, where files that `root` lacks are looked for."""
    mix: Callable[[str], Source] = no_mix
    """Gives the rows of a mix by its name."""

    @property
    def data_folders(self) -> Sequence[Path]:
        """Where files of rows are looked for, in this order."""
        return (self.root,) if self.data_root is None else (self.root, self.data_root)

    def first_model(self, name: str) -> Model:
        """The model that a pipeline's chain begins with; an empty one where the chain begins with nothing.

        The chain is one that `plan` plans.
        """
        while name in self.pipelines:
            base = self.pipelines[name].base
            if base is None:
                return Model(name=name, source=Local(path=""))
            name = base
        return self.models[name]


def plan(context: PlanContext, name: str) -> list[PlannedStage]:
    """All stages that a pipeline needs, in the order of training, each once; the last is its candidate.

    Raises UnknownName, ConfigError, DataError, ModelError, DownloadNeeded.
    """
    make_importable(context.root)  # reward functions may be in the project's own modules
    planner = _Planner(context=context)
    planner.pipeline(name, ())
    return list(planner.stages.values())


@dataclass(kw_only=True)
class _Planner:
    """A plan under construction: stages by folder, in the order in which they must be trained."""

    context: PlanContext
    stages: dict[tuple[str, Path], PlannedStage] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def pipeline(self, name: str, within: tuple[str, ...]) -> PlannedStage:
        """Plan a pipeline's stages, after all they depend on. Returns the last."""
        if name not in self.context.pipelines:
            raise UnknownName("pipeline", name, self.context.pipelines)
        if name in within:
            raise wrong_setting(f"pipelines.{name}", f"depends on itself: {' → '.join((*within, name))}")
        pipeline = self.context.pipelines[name]
        origin = None if pipeline.base is None else self.base(pipeline.base, name, (*within, name))
        last: PlannedStage | None = None
        for number, stage in enumerate(pipeline.stages):
            last = self.stage(pipeline, stage, origin, number, (*within, name))
            origin = last.origin
        if last is None:
            raise wrong_setting(f"pipelines.{name}.stages", "a pipeline needs at least one stage")
        return last

    def base(self, name: str, pipeline: str, within: tuple[str, ...]) -> StageOrigin:
        if name in self.context.pipelines:
            last = self.pipeline(name, within)
            if not stage_kind(last.kind).can_follow:
                raise wrong_setting(
                    f"pipelines.{pipeline}.base",
                    f"{name!r} ends in a {last.kind} stage, which no stage can start from",
                )
            return last.origin
        return self.model(name)

    def model(self, name: str) -> StageOrigin:
        if name not in self.context.models:
            raise UnknownName("model or pipeline", name, [*self.context.models, *self.context.pipelines])
        model = self.context.models[name]
        identity = identify(model)
        fingerprint, template = identity.fingerprint, model.chat_template
        if identity.gguf is None and identity.adapter is None:
            return StageOrigin(folder=identity.path, identity=fingerprint, chat_template=template)
        folder = self.context.output / BASES / fingerprint.rpartition(":")[2][:12]
        return StageOrigin(folder=folder, identity=fingerprint, chat_template=template, written_from=model)

    def stage(
        self,
        pipeline: Pipeline,
        stage: Stage,
        parent: StageOrigin | None,
        number: int,
        within: tuple[str, ...],
    ) -> PlannedStage:
        key = f"pipelines.{pipeline.name}.stages[{number}]"
        _check_base(stage, parent, key)
        seed = self.context.seed if pipeline.seed is None else pipeline.seed
        settings = _with_defaults(STAGE_SETTINGS[stage.kind].model_validate(stage.settings), parent, key)
        rewards = self.rewards(stage, settings, key, within)
        sources = tuple(self.source(name) for name in stage.data)
        if not sources:
            raise wrong_setting(f"{key}.data", f"a {stage.kind} stage needs data")
        for source in sources:
            _check_shape(stage.kind, settings, source, f"{key}.data")
        selection = self.selection(pipeline.name, settings, key, within)
        inputs: dict[str, Json] = {
            "kind": stage.kind,
            "version": stage_kind(stage.kind).version,
            "settings": settings.identifying(),
            "data": [source.hash for source in sources],
            "parent": parent.identity if parent else None,
            "chat_template": parent.chat_template if parent else None,
            "rewards": [{"identity": reward.identity, "weight": reward.source.weight} for reward in rewards],
            "seed": seed,
        }
        if selection is not None:
            inputs["selecting"] = selection.inputs
        identity = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        planned = PlannedStage(
            pipeline=pipeline.name,
            key=key,
            stage=stage,
            number=number + 1,
            settings=settings,
            parent=parent,
            sources=sources,
            rewards=rewards,
            selection=selection,
            inputs=inputs,
            identity=identity,
            folder=self.context.output / "stages" / f"{stage.kind}-{identity[:12]}",
            seed=seed,
            last=number == len(pipeline.stages) - 1,
        )
        return self.stages.setdefault((pipeline.name, planned.folder), planned)

    def source(self, name: str) -> Source:
        if name not in self.sources:
            is_mix = name.startswith(MIX)
            self.sources[name] = (
                self.context.mix(name.removeprefix(MIX)) if is_mix else read(name, *self.context.data_folders)
            )
        return self.sources[name]

    def rewards(
        self, stage: Stage, settings: Training, key: str, within: tuple[str, ...]
    ) -> tuple[PlannedReward, ...]:
        named = [(stage.reward, 1.0)] if stage.reward is not None else []
        if isinstance(settings, Rewarded):
            named += [(reward.name, reward.weight) for reward in settings.rewards]
            if stage.reward is not None and settings.rewards:
                raise wrong_setting(f"{key}.rewards", "stands beside `reward`; use one of the two")
        if settings.needs_rewards and not named:
            raise wrong_setting(f"{key}.reward", "this stage needs a reward")
        if named and not settings.needs_rewards:
            raise wrong_setting(f"{key}.reward", "this stage has no use for a reward")
        return tuple(self.reward(name, weight, key, within) for name, weight in named)

    def selection(
        self, pipeline: str, settings: Training, key: str, within: tuple[str, ...]
    ) -> PlannedSelection | None:
        if not isinstance(settings, Conversational) or settings.select is None:
            return None
        select, key = settings.select, f"{key}.select"
        return PlannedSelection(
            reward=None if select.reward is None else self.reward(select.reward, 1.0, key, within),
            prompts=None if select.prompts is None else self.source(select.prompts),
            base=None if select.suite is None else self.context.first_model(pipeline),
        )

    def reward(self, name: str, weight: float, key: str, within: tuple[str, ...]) -> PlannedReward:
        if ":" in name:
            source = RewardSource(source=name, weight=weight, is_function=True)
            return PlannedReward(
                name=name, source=source, identity=_function_identity(name, self.context.root)
            )
        if name not in self.context.pipelines and name not in self.context.models:
            known = [*self.context.pipelines, *self.context.models]
            raise UnknownName("reward (a pipeline, a model or module:function)", name, known)
        made = None
        if name in self.context.pipelines:
            made = self.pipeline(name, within)
            if made.kind != "reward":
                found = f"{name!r} ends in a {made.kind} stage, not in a reward stage"
                raise wrong_setting(f"{key}.reward", found)
            origin = made.origin
        else:
            origin = self.model(name)
            if origin.written_from is not None:
                raise ModelError(
                    f"model {name!r}: a reward model is read from a folder of its own; merge its adapter "
                    "into its base, or take its weights as safetensors, and name that folder"
                )
        source = RewardSource(source=str(origin.folder), weight=weight)
        return PlannedReward(name=name, source=source, identity=origin.identity, stage=made)


def _check_base(stage: Stage, parent: StageOrigin | None, key: str) -> None:
    """Raise ConfigError for a stage that lacks a base to start from, or has one that it cannot use."""
    kind = stage_kind(stage.kind)
    if kind.needs_base and parent is None:
        raise wrong_setting(key, f"a {stage.kind} stage needs a base to start from")
    if not kind.takes_base and parent is not None:
        raise wrong_setting(key, f"a {stage.kind} stage starts from nothing, and must come first")


def _with_defaults(settings: Training, parent: StageOrigin | None, key: str) -> Training:
    """The settings with defaults that depend on what the stage starts from.

    Raises ConfigError for the size of a classifier whose base has its own.
    """
    if not isinstance(settings, ToxicityTraining):
        return settings
    if parent is not None and settings.sizes:
        raise wrong_setting(f"{key}.{next(iter(settings.sizes))}", "the base has its own; leave it out")
    return settings.starting(from_base=parent is not None)


def _check_shape(kind: str, settings: Training, source: Source, key: str) -> None:
    """Raise ConfigError for a mix whose rows have a shape that the stage cannot learn from."""
    learned = learned_shapes(kind, settings)
    if source.shape is not None and source.shape not in learned:
        raise wrong_setting(
            key,
            f'{source.name} has rows = "{source.shape}", and this {kind} stage learns from '
            f"{' or '.join(learned)}",
        )


def _function_identity(source: str, root: Path) -> str:
    """The hash of a reward function's module and its name; what the module imports does not count.

    Raises UsageError where there is no such module.
    """
    module, _, function = source.partition(":")
    file = module_file(module, root, f"reward {source!r}")
    return sha256(file.read_bytes() + function.encode()).hexdigest()
