"""Pipelines: which stages a candidate needs, which of them are there already, and training the rest.

A stage's folder is named by the hash of everything its outcome depends on: kind and version, settings, the
content of its rows, its parent, its rewards, the seed. So pipelines that begin alike share what they share,
a changed setting trains anew just what depends on it, and nothing that is there is trained twice.

    OUTPUT/stages/KIND-HASH/           a finished stage: a candidate in hub layout, and manifest.json
    OUTPUT/stages/KIND-HASH.partial/   one in training, or interrupted: the same command goes on with it
    OUTPUT/PIPELINE                    a link to the pipeline's last stage

It does not know how a stage trains; making a plan imports no model library.
"""

import fcntl
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.util import find_spec
from os import getpid
from pathlib import Path
from typing import Any

from harness.engine.identity import identify
from harness.errors import ConfigError, ModelError, TrainingError, UnknownName, UsageError
from harness.records import Json, Local, Model, Pipeline, Stage
from harness.registry import MIX
from trainers import completions, history, manifest, measured
from trainers.disk import FULL, disk_full_by_name
from trainers.launching import Launch, check_division, join_launched, run_launched
from trainers.mixes import no_mix
from trainers.reading import Source, read
from trainers.settings import STAGE_SETTINGS, Conversational, Rewarded, Training, learned_shapes
from trainers.stage import Job, RewardSource, Selecting, StageProgress, SuiteScorer, run, stage_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A model or a finished stage that another stage depends on."""

    folder: Path
    identity: str
    chat_template: str | None = None
    """Replaces the folder's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReward:
    """A reward with what it depends on."""

    name: str
    """As written in the configuration."""
    source: RewardSource
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSelection:
    """What a stage's `select` names, with what it depends on."""

    reward: PlannedReward | None
    prompts: Source | None

    @property
    def inputs(self) -> dict[str, Json]:
        """What the choice depends on, the settings apart."""
        return {
            "reward": None if self.reward is None else self.reward.identity,
            "prompts": None if self.prompts is None else self.prompts.hash,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage with all it depends on, and where it is or will be."""

    pipeline: str
    """The pipeline it was planned for; others may share it."""
    key: str
    """Where it stands in the configuration: `pipelines.NAME.stages[0]`."""
    stage: Stage
    settings: Training
    parent: Origin | None
    sources: tuple[Source, ...]
    rewards: tuple[PlannedReward, ...]
    selecting: PlannedSelection | None
    """None: the last checkpoint is the candidate."""
    inputs: Mapping[str, Json] = field(repr=False)
    """Everything the outcome depends on."""
    identity: str
    folder: Path
    seed: int
    last: bool
    """Whether it is the pipeline's last, and so what its name stands for."""

    @property
    def kind(self) -> str:
        """A name of the stage table."""
        return self.stage.kind

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What a finished stage says about itself."""
        return manifest.read(self.folder)

    @property
    def history(self) -> Sequence[Mapping[str, Json]]:
        """What a finished stage logged, step by step."""
        return history.read(self.folder)

    @property
    def completions(self) -> Sequence[Mapping[str, Json]]:
        """What a policy wrote while it was trained."""
        return completions.read(self.folder)

    @property
    def selection(self) -> Sequence[Mapping[str, Json]]:
        """What a finished stage's checkpoints were worth, by step."""
        return measured.read(self.folder)

    @property
    def done(self) -> bool:
        """Whether it is trained."""
        return manifest.is_finished(self.folder)

    @property
    def partial(self) -> Path:
        """Where it is in training."""
        return self.folder.with_name(f"{self.folder.name}.partial")


def plan(
    pipelines: Mapping[str, Pipeline],
    models: Mapping[str, Model],
    name: str,
    *,
    output: Path,
    seed: int,
    root: Path,
    mix: Callable[[str], Source] = no_mix,
) -> list[PlannedStage]:
    """All stages that a pipeline needs, in the order of training, each once; the last is its candidate.

    `mix` gives the rows of a mix by its name.

    Raises UnknownName, ConfigError, DataError, ModelError, DownloadNeeded.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))  # reward functions may come from the project's own modules
    planner = _Planner(pipelines=pipelines, models=models, output=output, seed=seed, root=root, mix=mix)
    planner.pipeline(name, ())
    return list(planner.stages.values())


def produce(
    pipelines: Mapping[str, Pipeline],
    models: Mapping[str, Model],
    name: str,
    *,
    output: Path,
    seed: int,
    root: Path,
    mix: Callable[[str], Source] = no_mix,
    on_progress: Callable[[StageProgress], None] | None = None,
    before: Callable[[PlannedStage], None] = lambda stage: None,
    score: SuiteScorer | None = None,
    launch: Launch | None = None,
) -> Path:
    """Train what is missing, and return the folder of the pipeline's candidate.

    `before` is called with each stage before it is trained, when all that it depends on is there. `score`
    asks the suites that stages select by. `launch`: train in the processes that it asks for, instead of in
    this one.

    Raises what `plan` does; TrainingError and DiskFull, after which the same call goes on where it stopped;
    UsageError for a stage that selects by a suite where nothing can ask one.
    """
    stages = plan(pipelines, models, name, output=output, seed=seed, root=root, mix=mix)
    for stage in stages:
        if launch is not None and not stage.done:
            _check_launched(stage, launch)
    leads = launch is None or launch.machine == 0
    for stage in stages:
        if launch is not None and not leads:
            _join(stage, launch)
        elif not stage.done:
            _check_scorer(stage, score)
            before(stage)
            _train(stage, on_progress, score, launch)
        if stage.last and leads:
            _link(output / stage.pipeline, stage.folder)
    return stages[-1].folder


# ---------------------------------------------------------------- planning


@dataclass(kw_only=True)
class _Planner:
    """One plan in the making. Stages are collected by folder, in the order they must be trained in."""

    pipelines: Mapping[str, Pipeline]
    models: Mapping[str, Model]
    output: Path
    seed: int
    root: Path
    mix: Callable[[str], Source]
    stages: dict[tuple[str, Path], PlannedStage] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def pipeline(self, name: str, within: tuple[str, ...]) -> PlannedStage:
        """Plan a pipeline's stages, after all they depend on. Returns the last."""
        if name not in self.pipelines:
            raise UnknownName("pipeline", name, self.pipelines)
        if name in within:
            raise ConfigError(
                "harness.toml", f"pipelines.{name}", f"depends on itself: {' → '.join((*within, name))}"
            )
        pipeline = self.pipelines[name]
        origin = None if pipeline.base is None else self.base(pipeline.base, name, (*within, name))
        last: PlannedStage | None = None
        for number, stage in enumerate(pipeline.stages):
            key = f"pipelines.{name}.stages[{number}]"
            last = self.stage(
                pipeline, stage, origin, key, number == len(pipeline.stages) - 1, (*within, name)
            )
            origin = Origin(folder=last.folder, identity=last.identity)
        if last is None:
            raise ConfigError(
                "harness.toml", f"pipelines.{name}.stages", "a pipeline needs at least one stage"
            )
        return last

    def base(self, name: str, pipeline: str, within: tuple[str, ...]) -> Origin:
        if name in self.pipelines:
            last = self.pipeline(name, within)
            if not stage_kind(last.kind).can_follow:
                raise ConfigError(
                    "harness.toml",
                    f"pipelines.{pipeline}.base",
                    f"{name!r} ends in a {last.kind} stage, which no stage can start from",
                )
            return Origin(folder=last.folder, identity=last.identity)
        return self.model(name)

    def model(self, name: str) -> Origin:
        if name not in self.models:
            raise UnknownName("model or pipeline", name, [*self.models, *self.pipelines])
        model = self.models[name]
        if isinstance(model.source, Local) and model.source.adapter is not None:
            raise ModelError(f"model {name!r} has an adapter; merge it into its base to train on")
        identity = identify(model)
        return Origin(folder=identity.path, identity=identity.fingerprint, chat_template=model.chat_template)

    def stage(
        self,
        pipeline: Pipeline,
        stage: Stage,
        parent: Origin | None,
        key: str,
        last: bool,
        within: tuple[str, ...],
    ) -> PlannedStage:
        kind = stage_kind(stage.kind)
        if kind.needs_base and parent is None:
            raise ConfigError("harness.toml", key, f"a {stage.kind} stage needs a base to start from")
        if not kind.needs_base and parent is not None:
            raise ConfigError(
                "harness.toml", key, f"a {stage.kind} stage starts from nothing, and must come first"
            )
        settings = STAGE_SETTINGS[stage.kind].model_validate(stage.settings)
        rewards = self.rewards(stage, settings, key, within)
        sources = tuple(self.source(name) for name in stage.data)
        if not sources:
            raise ConfigError("harness.toml", f"{key}.data", f"a {stage.kind} stage needs data")
        for source in sources:
            _check_shape(stage.kind, settings, source, f"{key}.data")
        selecting = self.selecting(settings, key, within)
        inputs: dict[str, Json] = {
            "kind": stage.kind,
            "version": kind.version,
            "settings": settings.identifying(),
            "data": [source.hash for source in sources],
            "parent": parent.identity if parent else None,
            "chat_template": parent.chat_template if parent else None,
            "rewards": [{"identity": reward.identity, "weight": reward.source.weight} for reward in rewards],
            "seed": self.seed,
        }
        if selecting is not None:
            inputs["selecting"] = selecting.inputs
        identity = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        planned = PlannedStage(
            pipeline=pipeline.name,
            key=key,
            stage=stage,
            settings=settings,
            parent=parent,
            sources=sources,
            rewards=rewards,
            selecting=selecting,
            inputs=inputs,
            identity=identity,
            folder=self.output / "stages" / f"{stage.kind}-{identity[:12]}",
            seed=self.seed,
            last=last,
        )
        return self.stages.setdefault((pipeline.name, planned.folder), planned)

    def source(self, name: str) -> Source:
        if name not in self.sources:
            is_mix = name.startswith(MIX)
            self.sources[name] = self.mix(name.removeprefix(MIX)) if is_mix else read(name, self.root)
        return self.sources[name]

    def rewards(
        self, stage: Stage, settings: Training, key: str, within: tuple[str, ...]
    ) -> tuple[PlannedReward, ...]:
        named = [(stage.reward, 1.0)] if stage.reward is not None else []
        if isinstance(settings, Rewarded):
            named += [(reward.name, reward.weight) for reward in settings.rewards]
            if stage.reward is not None and settings.rewards:
                raise ConfigError(
                    "harness.toml", f"{key}.rewards", "stands beside `reward`; use one of the two"
                )
        if settings.asks_for_rewards and not named:
            raise ConfigError("harness.toml", f"{key}.reward", "this stage needs a reward")
        if named and not settings.asks_for_rewards:
            raise ConfigError("harness.toml", f"{key}.reward", "this stage has no use for a reward")
        return tuple(self.reward(name, weight, key, within) for name, weight in named)

    def selecting(self, settings: Training, key: str, within: tuple[str, ...]) -> PlannedSelection | None:
        if not isinstance(settings, Conversational) or settings.select is None:
            return None
        select, key = settings.select, f"{key}.select"
        return PlannedSelection(
            reward=None if select.reward is None else self.reward(select.reward, 1.0, key, within),
            prompts=None if select.prompts is None else self.source(select.prompts),
        )

    def reward(self, name: str, weight: float, key: str, within: tuple[str, ...]) -> PlannedReward:
        if ":" in name:
            source = RewardSource(source=name, weight=weight, is_function=True)
            return PlannedReward(name=name, source=source, identity=_function_identity(name, self.root))
        if name not in self.pipelines and name not in self.models:
            known = [*self.pipelines, *self.models]
            raise UnknownName("reward (a pipeline, a model or module:function)", name, known)
        if name in self.pipelines:
            last = self.pipeline(name, within)
            if last.kind != "reward":
                found = f"{name!r} ends in a {last.kind} stage, not in a reward stage"
                raise ConfigError("harness.toml", f"{key}.reward", found)
            origin = Origin(folder=last.folder, identity=last.identity)
        else:
            origin = self.model(name)
        source = RewardSource(source=str(origin.folder), weight=weight)
        return PlannedReward(name=name, source=source, identity=origin.identity)


def _check_shape(kind: str, settings: Training, source: Source, key: str) -> None:
    """Raise ConfigError for a mix whose rows are not what the stage learns from."""
    learned = learned_shapes(kind, settings)
    if source.shape is not None and source.shape not in learned:
        raise ConfigError(
            "harness.toml",
            key,
            f'{source.name} has rows = "{source.shape}", and this {kind} stage learns from '
            f"{' or '.join(learned)}",
        )


def _function_identity(source: str, root: Path) -> str:
    """The hash of a reward function's module and its name; what the module imports is not looked into.

    Raises UsageError where there is no such module.
    """
    module, _, function = source.partition(":")
    with suppress(ModuleNotFoundError, ValueError):
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            return sha256(Path(spec.origin).read_bytes() + function.encode()).hexdigest()
    raise UsageError(f"reward {source!r}: there is no module {module!r}, neither installed nor in {root}")


# ---------------------------------------------------------------- training


def _check_scorer(stage: PlannedStage, score: SuiteScorer | None) -> None:
    settings = stage.settings
    if score is None and isinstance(settings, Conversational) and settings.select and settings.select.suite:
        raise UsageError(
            f"{stage.key}.select.suite: training alone asks no suites; `harness train {stage.pipeline}` does"
        )


def _check_launched(stage: PlannedStage, launch: Launch) -> None:
    """Raise ConfigError for what cannot be trained in several processes as it stands."""
    check_division(stage.settings, stage.key, launch.processes)
    if isinstance(stage.settings, Conversational) and stage.settings.select:
        raise ConfigError(
            "harness.toml",
            f"{stage.key}.select",
            "checkpoints are chosen in one process: leave --launch out for this stage, or `select`",
        )


def _train(
    stage: PlannedStage,
    on_progress: Callable[[StageProgress], None] | None,
    score: SuiteScorer | None,
    launch: Launch | None,
) -> None:
    """Train one stage, or wait for another process that is at it.

    Raises TrainingError, DiskFull, and UsageError for an output folder that cannot be written.
    """
    with disk_full_by_name(stage.folder), _locked(stage.folder):
        if stage.done:  # by the process that held the lock
            return
        started = datetime.now(UTC)
        stage.partial.mkdir(exist_ok=True)
        job = _job(stage, on_progress, score)
        metrics = run(job) if launch is None else run_launched(job, launch)
        _write_manifest(stage, started, metrics, 1 if launch is None else launch.processes)
        stage.partial.rename(stage.folder)


def _join(stage: PlannedStage, launch: Launch) -> None:
    """Do this machine's part of a stage that another one leads. Raises TrainingError."""
    join_launched(stage.partial, launch, lambda: stage.done)
    with _locked(stage.folder):  # until the other has written the candidate, or has given up
        if not stage.done:
            raise TrainingError(
                f"{stage.kind}: the machine that leads did not finish it, and says why; give the same "
                "command on all machines again"
            )


def _job(
    stage: PlannedStage, on_progress: Callable[[StageProgress], None] | None, score: SuiteScorer | None
) -> Job:
    def report(step: int, total: int, loss: float | None) -> None:
        if on_progress is not None:
            on_progress(
                StageProgress(pipeline=stage.pipeline, stage=stage.kind, step=step, total=total, loss=loss)
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
        selecting=_selecting(stage.selecting, score),
        on_progress=report,
    )


def _selecting(planned: PlannedSelection | None, score: SuiteScorer | None) -> Selecting:
    if planned is None:
        return Selecting()
    return Selecting(
        rewards=() if planned.reward is None else (planned.reward.source,),
        prompts=() if planned.prompts is None else planned.prompts.rows,
        score=score,
    )


def _write_manifest(
    stage: PlannedStage, started: datetime, metrics: Mapping[str, Json], processes: int
) -> None:
    manifest.write(
        stage.partial,
        identity=stage.identity,
        inputs=stage.inputs,
        sources=[
            {"source": source.name, "rows": len(source.rows), "hash": source.hash} for source in stage.sources
        ],
        parent=None if stage.parent is None else stage.parent.folder.name,
        rewards=[
            {"reward": reward.name, "weight": reward.source.weight, "identity": reward.identity}
            for reward in stage.rewards
        ],
        started=started,
        metrics=metrics,
        processes=processes,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time trains a stage; the lock goes with the process."""
    with _writable_output(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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
    """Let a pipeline's name lead to its candidate, by a relative link that moves with the folder above."""
    target = folder.relative_to(link.parent)
    if link.is_symlink() and link.readlink() == target:
        return
    new = link.with_name(f"{link.name}.{getpid()}.new")
    with _writable_output(link):
        new.symlink_to(target)
        new.replace(link)
