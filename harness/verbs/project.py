"""A project: its configuration, and what the names in it stand for on this machine."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, TypedDict, Unpack

from harness.engine.hub import GGUF, HUB_ID
from harness.engine.lazy import LazyEngine
from harness.engine.opening import check_model, identify_model, open_engine
from harness.errors import UnknownName, UsageError
from harness.protocols import Engine, Suite
from harness.recorded import recorded
from harness.records.answers import Run
from harness.records.models import Json, Local, Model
from harness.registry import JUDGES, Placement, Registry, labelled, load
from harness.stats.plan import AnalysisPlan
from harness.store import Store
from harness.store.network_shares import network_share
from harness.toyworld import settings_file
from harness.verbs.checkpoint_selection import score_part, selection_metric
from harness.verbs.evaluation_prompts import EvaluationPrompts
from harness.verbs.progress import Progress
from harness.verbs.spending import PaidEngine, check_prices
from suites.catalogue import (
    FAMILIES,
    OWN,
    known_suites,
    open_suite,
    settings_of,
    suite_settings,
    whole_settings,
)
from suites.judge.costs import Budget
from suites.judge.settings import JudgeSettings
from trainers.checkpoints import stopped
from trainers.contamination import Index
from trainers.forecast import forecast
from trainers.job import SuiteScore
from trainers.launcher import Launch
from trainers.mix_cache import cached_mix
from trainers.pipeline import produce
from trainers.planning import PlanContext, PlannedStage, plan
from trainers.reading import Source
from trainers.settings import CheckpointSelection, Conversational
from trainers.stage_settings import STAGE_SETTINGS
from trainers.stages import stage_kind
from trainers.trl_names import in_our_names

if TYPE_CHECKING:
    from harness.engine.replicas import ReplicatedEngine
    from harness.verbs.placement import Allotment
    from trainers.doctor.examination import KnownAccuracies
    from trainers.doctor.inspected_stage import Check

CONFIGURATION = "harness.toml"
SQLITE = "sqlite:///"
DEFAULT_SUITES = ("truthfulqa", "ifeval", "realtoxicityprompts")
"""What is asked where neither the command nor `[compare] suites` names any."""


@dataclass(frozen=True)
class Project:
    """A read configuration, and what its names stand for."""

    registry: Registry
    is_toy: bool
    """Whether it is the embedded toy world, because there was no harness.toml."""
    limit: int | None = None
    """Ask only the first rows of every suite."""
    max_tokens: int | None = None
    """The length of an answer to every suite that has such a setting, instead of the suite's."""
    device: str | None = None
    """Where local models run; None: a GPU where there is one."""
    on: str | None = None
    """Where local models are asked, instead of where `[run]` says."""
    replicas: int | None = None
    """How many processes ask each of them, the same."""
    allotment: "Allotment | None" = None
    """What of the cluster each model is asked with; None: all of it."""
    training_allotment: "Allotment | None" = None
    """What of the cluster each pipeline is trained with; None: all of it."""
    budget: Budget | None = None
    """What services may cost that are asked or score; None: any amount."""
    ask_refused: bool = False
    """Whether what a service refused to answer is asked again."""
    strict: bool = False
    """Whether a stage is not trained in which the doctor finds an error or a warning."""
    launch: Launch | None = None
    """How stages are trained in several processes; None: in this one."""

    @cached_property
    def data_root(self) -> Path | None:
        """The folder of official data that HARNESS_DATA names."""
        named = os.environ.get("HARNESS_DATA")
        if named and not Path(named).is_dir():
            raise UsageError(
                f"HARNESS_DATA names {named!r}, which is not a folder; name the folder of official data, or "
                "unset it to read them from the hub"
            )
        return Path(named) if named else None

    def analysis_plan(self, *, force: bool = False) -> AnalysisPlan:
        """How results are analysed, by `[compare]` and the project's seed."""
        settings = self.registry.compare
        return AnalysisPlan(
            level=settings.level,
            resamples=settings.resamples,
            seed=self.registry.project.seed,
            force=force,
        )

    def label_of(self, runs: Iterable[Run]) -> str | None:
        """What a reader of these runs must know first. The toy world's is of its own models and suites."""
        registry = self.registry
        own = {*registry.models, *registry.pipelines, *registry.suites, *self.default_suites}
        if self.is_toy and all(own.isdisjoint((run.model, run.suite)) for run in runs):
            return None
        return registry.project.label

    def store(self, *, reading: bool = False) -> Store:
        """Open the results store. `reading`: it may be one that only others may write to."""
        return Store.open(self.registry.project.store, reading=reading)

    def existing_store(self, maker: str = "harness eval", *, reading: bool = False) -> Store:
        """Open the results store where there is one; `maker` is what makes one.

        Raises UsageError where there is none yet.
        """
        store = self.store_if_any(reading=reading)
        if store is None:
            url = self.registry.project.store
            raise UsageError(f"{url}: there is no results store here yet; `{maker}` makes one")
        return store

    def store_if_any(self, *, reading: bool = False) -> Store | None:
        """Open the results store; None where there is none yet, for looking makes none."""
        return self.store(reading=reading) if Store.exists(self.registry.project.store) else None

    @property
    def store_note(self) -> str | None:
        """What to know of where the store lies; None: nothing."""
        url = self.registry.project.store
        share = network_share(Path(url.removeprefix(SQLITE))) if url.startswith(SQLITE) else None
        return share and (
            f"{url} lies on a network share ({share}), where SQLite is safe for one machine at a time; for "
            "several, name a PostgreSQL database as [project] store"
        )

    @property
    def default_suites(self) -> tuple[str, ...]:
        """What is asked where a command names no suite."""
        return self.registry.compare.suites or DEFAULT_SUITES

    def suite(self, name: str, progress: Progress, store: Callable[[], Store]) -> Suite:
        """Open a suite with its settings. A classifier or judge that is a pipeline is trained when needed.

        What a judge says is kept in the store, which is opened when a judge is.
        """
        return self.suite_with(name, self._asked_with(name), progress, store)

    def asked_settings(self, name: str) -> Mapping[str, Json]:
        """What a suite is asked with, defaults included; paths within the project start from its folder."""
        inside = f"{self.registry.project.root}/"
        return {
            key: value.removeprefix(inside) if isinstance(value, str) else value
            for key, value in whole_settings(name, self._asked_with(name)).items()
        }

    def scorers(self, name: str) -> list[str]:
        """The pipelines whose candidates score a suite: classifiers and judges."""
        return [
            value
            for value in self.asked_settings(name).values()
            if isinstance(value, str) and value in self.registry.pipelines
        ]

    def rows_without_limit(self, name: str, progress: Progress, store: Callable[[], Store]) -> int | None:
        """How many rows a suite has of which `limit` leaves some out; None where there is no limit."""
        given = self._asked_with(name)
        if given.get("limit") is None:
            return None
        if name not in self._sizes:
            self._sizes[name] = self.suite_with(name, {**given, "limit": None}, progress, store).size
        return self._sizes[name]

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """The sizes of suites so far, since every model asks for them and would read the data again."""
        return {}

    def _asked_with(self, name: str) -> dict[str, Json]:
        """The settings of a suite, and what the command line says besides."""
        settings = dict(self.registry.suites.get(name, {}))
        if not settings and labelled(name, suite_settings()):
            raise UnknownName("suite with settings of its own", name, self.registry.suites)
        if self.limit is not None:
            settings["limit"] = self.limit
        if self.max_tokens is not None and self.takes_max_tokens(name):
            settings["max_tokens"] = self.max_tokens
        return settings

    def suite_with(
        self, name: str, settings: Mapping[str, Json], progress: Progress, store: Callable[[], Store]
    ) -> Suite:
        """Open a suite with these settings, whatever the file says of it."""
        self.check([str(settings[key]) for key in JUDGES if settings.get(key) is not None])

        def folder(of: str) -> Path | None:
            if of in self.registry.pipelines:
                return self.train(of, progress)
            beside = self.registry.project.root / of
            return beside if beside.is_dir() else None

        def judge(of: str) -> Engine:
            opened = LazyEngine(identify_model(self.model(of, progress)), partial(self._load, of, progress))
            watched = partial(progress.asking, of, name)
            return recorded(opened, store(), on_answer=watched, ask_refused=self.ask_refused)

        return open_suite(
            name,
            settings,
            data_root=self.data_root,
            resolve=folder,
            judge=judge,
            root=self.registry.project.root,
            own=self.registry.suites.keys() - known_suites().keys(),
        )

    def takes_max_tokens(self, name: str) -> bool:
        """Whether the length of a suite's answers can be set; where nothing is generated it cannot."""
        return "max_tokens" in settings_of(name).model_fields

    def usual_max_tokens(self, name: str) -> str:
        """The length of a suite's answers if the project sets none, in words."""
        usual = settings_of(name).model_fields["max_tokens"].default
        set_here = self.registry.suites.get(name, {}).get("max_tokens")
        return str(set_here or usual or "each task's own")

    def knows_suite(self, name: str) -> bool:
        """Whether `suite` would find one of this name."""
        beginning = name.partition(":")[0]
        return name in self.registry.suites or name in known_suites() or beginning in FAMILIES

    def model(self, name: str, progress: Progress) -> Model:
        """The model of this name. A pipeline is trained first; a folder or GGUF file needs no name."""
        if name in self.registry.pipelines:
            return self.trained(name, self.train(name, progress))
        if name in self.registry.models:
            return self.registry.models[name]
        if Path(name).is_dir() or (name.endswith(GGUF) and Path(name).is_file()):
            return Model(name=name, source=Local(path=name))
        if self._has_runs(name):
            raise UsageError(
                f"{name!r} is in the store only, and can answer nothing: `harness report {quote(name)}` "
                "shows its runs; to ask it, name it in harness.toml"
            )
        raise _no_model(name, [*self.registry.models, *self.registry.pipelines])

    def _has_runs(self, name: str) -> bool:
        """Whether the store has runs of this name: imported, or of a model that harness.toml once named."""
        store = self.store_if_any(reading=True)
        if store is None:
            return False
        with store:
            return bool(store.runs.find(model=name))

    def trained(self, name: str, folder: Path) -> Model:
        """What a pipeline ended in. What writes answers is asked like the model that its chain began with."""
        pipeline = self.registry.pipelines[name]
        source = Local(path=str(folder), dtype=pipeline.dtype)
        if not stage_kind(pipeline.stages[-1].kind).can_follow:
            return Model(name=name, source=source)
        return self._plan_context.first_model(name).trained(name, source)

    def chat_settings(self, name: str) -> Mapping[str, Json]:
        """How a model of this name is asked, as far as a section says; nothing is opened or trained."""
        if name in self.registry.pipelines:
            return self.trained(name, Path()).chat_settings
        return self.registry.models[name].chat_settings if name in self.registry.models else {}

    @property
    def placement(self) -> Placement:
        """Where local models are asked and trained: as `[run]` says, or this command."""
        run = self.registry.run
        return replace(run, on=self.on or run.on, replicas=self.replicas or run.replicas)

    def open(self, model: Model, *, looks: bool = True) -> Engine:
        """The engine of a model: in this process, or replicas of a local one where Ray is to run them.

        `looks` as in `open_engine`.
        """
        placement = self.placement
        if placement.on is None or not isinstance(model.source, Local):
            return self._within_budget(model, open_engine(model, device=self.device, looks=looks))
        # imported here because an evaluation in this process needs none of it
        from harness.engine.replicas import ReplicatedEngine  # noqa: PLC0415
        from harness.verbs.placement import allotment_of, cluster_of  # noqa: PLC0415

        allotment = self.allotment or allotment_of(cluster_of(placement), 1, placement.replicas)
        engine = ReplicatedEngine(
            model,
            on=placement.on,
            replicas=allotment.replicas,
            cpus=allotment.cpus,
            gpus=allotment.gpus,
            device=self.device,
        )
        self._replicated.append(engine)
        return engine

    @cached_property
    def _replicated(self) -> "list[ReplicatedEngine]":
        """The engines that this process has had in replicas; each may hold all the room there is."""
        return []

    def _load(self, name: str, progress: Progress) -> Engine:
        """A suite's judge. It is asked after the model that it judges, whose replicas make room for it."""
        progress.loading(name)
        model = self.model(name, progress)
        if isinstance(model.source, Local):
            for engine in self._replicated:
                engine.rest()
        return self.open(model)

    def _within_budget(self, model: Model, engine: Engine) -> Engine:
        price = self.registry.prices.of.get(model.name)
        if self.budget is None or price is None:
            return engine
        return PaidEngine(engine, model.name, price, self.budget)

    def check_prices(self, names: Sequence[str], suites: Sequence[str]) -> None:
        """Raise UsageError for a budget, where a service that is asked or scores has no price."""
        if self.budget is None:
            return
        judges = [
            settings[key]
            for settings in map(self.asked_settings, suites)
            for key in JUDGES
            if settings.get(key)
        ]
        models = (self.registry.models.get(str(name)) for name in (*names, *judges))
        check_prices(self.registry, filter(None, models))

    def check(self, names: Sequence[str]) -> None:
        """Raise what is wrong with these names, before anything is trained or asked for the others.

        UnknownName for a name nothing defines; for a pipeline what `plan` raises; for a model what
        `open_engine` raises, as far as that shows without loading it.
        """
        for name in names:
            if name in self.registry.pipelines:
                self.plan(name)
            else:
                check_model(self.model(name, Progress()))

    def plan(self, name: str) -> list[PlannedStage]:
        """The stages of a pipeline, each with whether it is there already."""
        return plan(self._plan_context, name)

    def has_candidate(self, name: str) -> bool:
        """Whether a model can be asked without training: a pipeline once all its stages are there."""
        return name not in self.registry.pipelines or all(stage.done for stage in self.plan(name))

    @property
    def _plan_context(self) -> PlanContext:
        registry = self.registry
        return PlanContext(
            pipelines=registry.pipelines,
            models=registry.models,
            output=registry.project.output,
            seed=registry.project.seed,
            root=registry.project.root,
            data_root=self.data_root,
            mix=self.mix,
        )

    @property
    def data_folders(self) -> Sequence[Path]:
        """Where files of training rows are looked for: the project's folder, then the official data's."""
        return self._plan_context.data_folders

    def mix(self, name: str) -> Source:
        """The rows of a mix, which is made where it is not kept yet. Raises as `cached_mix` does."""
        if name not in self.registry.mixes:
            raise UnknownName("mix", name, self.registry.mixes)
        if name not in self._mixes:
            mix, settings = self.registry.mixes[name], self.registry.project
            against = EvaluationPrompts(self.registry, self.data_root, mix.decontaminate)
            self._mixes[name] = cached_mix(
                mix,
                folders=self.data_folders,
                output=settings.output,
                known=against.known,
                prompts=lambda: against.asked,
            ).source
        return self._mixes[name]

    @cached_property
    def _mixes(self) -> dict[str, Source]:
        """Those that were asked for: every plan asks again, and their sources would be read again."""
        return {}

    def train(self, name: str, progress: Progress) -> Path:
        """Train what is missing of a pipeline, here or where Ray has room; return its candidate's folder."""
        placement = self.placement
        if placement.on is None or self.has_candidate(name):
            return self._train_here(name, progress)
        # imported here because training in this process needs none of it
        from harness.verbs.placement import cluster_of, training_allotment  # noqa: PLC0415
        from harness.verbs.training_on_ray import train_on_ray  # noqa: PLC0415

        processes = 1 if self.launch is None else self.launch.processes
        allotment = self.training_allotment or training_allotment(cluster_of(placement), 1, processes)
        there = replace(self, on=None, registry=replace(self.registry, run=Placement()))
        train = partial(there._train_here, name)
        return train_on_ray(train, name, on=placement.on, allotment=allotment, progress=progress)

    def _train_here(self, name: str, progress: Progress) -> Path:
        def planned(stages: Sequence[PlannedStage]) -> None:
            progress.planned(forecast({name: stages}, self.registry.project.output))

        return produce(
            self._plan_context,
            name,
            on_plan=planned,
            on_resume=lambda stage: progress.resuming(stage.pipeline, stage.kind, stopped(stage.partial)),
            on_progress=progress.training,
            before=partial(self._examine, progress),
            score=partial(self._score, progress),
            launch=self.launch,
        )

    @cached_property
    def accuracies(self) -> "KnownAccuracies":
        """What reward models were found to have learned: each is run once, for all stages that use it."""
        return {}

    @cached_property
    def checks(self) -> "tuple[Check, ...]":
        """The doctor's check against what the compared suites ask; none where their data cannot be read."""
        # imported here because TRL takes seconds to load, and what is trained already needs none of it
        from trainers.doctor.contaminated import contamination_check  # noqa: PLC0415

        try:
            asked = EvaluationPrompts(self.registry, self.data_root, self.default_suites).asked
        except UsageError:  # an evaluation reports it; a training alone need not have the data
            return ()
        return (contamination_check(Index(asked.by_suite)),)

    def _score(self, progress: Progress, candidate: Model, select: CheckpointSelection) -> SuiteScore:
        """What a checkpoint scores on the part of a suite that selects. Its answers are kept."""
        with self.store() as store:
            suite = self._selection_suite(progress, select, store)
            with closing(open_engine(candidate, device=self.device)) as engine:
                watched = partial(progress.asking, candidate.name, suite.name)
                return score_part(suite, recorded(engine, store, on_answer=watched), select)

    def _selection_suite(self, progress: Progress, select: CheckpointSelection, store: Store) -> Suite:
        """Whole: limits of what is asked now are no part of what the stage is."""
        assert select.suite is not None
        return replace(self, limit=None, max_tokens=None).suite(select.suite, progress, lambda: store)

    def _check_selection(self, progress: Progress, stage: PlannedStage) -> None:
        """Raise what is wrong with the suite that a stage selects by, before it is trained."""
        settings = stage.settings
        if isinstance(settings, Conversational) and settings.select and settings.select.suite:
            with self.store() as store:
                suite = self._selection_suite(progress, settings.select, store)
                _ = suite.data_hash
                selection_metric(suite, settings.select)

    def _examine(self, progress: Progress, stage: PlannedStage) -> None:
        """Look at a stage that is about to be trained. Raises UsageError where it is to be strict."""
        # imported here because TRL takes seconds to load, and what is trained already needs none of it
        from trainers.doctor.examination import examine  # noqa: PLC0415
        from trainers.training import quiet  # noqa: PLC0415

        self._check_selection(progress, stage)
        with quiet():
            examination = examine(stage, extra=self.checks, accuracies=self.accuracies)
        progress.examined(examination)
        grave = [finding.check for finding in examination.findings if finding.severity != "note"]
        if self.strict and grave:
            raise UsageError(
                f"{stage.key} was not trained: `--strict` stops at what the doctor found in it "
                f"({', '.join(grave)}); fix it, or leave --strict out"
            )


def _no_model(name: str, known: Sequence[str]) -> UsageError:
    """The error for what stands for no model: a misspelt name, a folder that is not there, or a hub id."""
    unknown = UnknownName("model, pipeline or folder", name, known)
    if "/" in name and not HUB_ID.fullmatch(name):
        return UsageError(f"{name}: there is no such folder or GGUF file")
    if not HUB_ID.fullmatch(name) or get_close_matches(name, known):
        return unknown
    own = re.sub(r"\W+", "-", name.rpartition("/")[2]).strip("-").lower()
    return UsageError(f'{unknown}; a hub id belongs in harness.toml: [models.{own}] path = "{name}"')


class Overrides(TypedDict, total=False):
    """What a command can say of a project besides its file: the fields of `Project`."""

    limit: int | None
    max_tokens: int | None
    device: str | None
    on: str | None
    replicas: int | None
    ask_refused: bool
    strict: bool
    launch: Launch | None


def open_project(
    file: Path | None = None,
    *,
    seed: int | None = None,
    store: str | None = None,
    budget: float | None = None,
    **others: Unpack[Overrides],
) -> Project:
    """Read `file`, or the harness.toml of this folder, or else the embedded toy world's.

    `seed` and `store` stand for the ones in the file; `budget` is what services may cost. Raises ConfigError
    with every mistake it has.
    """
    if file is not None and not file.is_file():
        raise UsageError(f"{file}: no such file")
    here = Path(CONFIGURATION)
    is_toy = file is None and not here.is_file()
    chosen = settings_file() if is_toy else file or here
    root = Path.cwd() if is_toy else None
    official = os.environ.get("HARNESS_DATA")
    registry = load(
        chosen,
        STAGE_SETTINGS,
        suite_settings(),
        own_suite=OWN,
        judge=JudgeSettings,
        rename=in_our_names,
        root=root,
        data_root=Path(official) if official else None,
    )
    settings = registry.project
    settings = replace(
        settings,
        seed=settings.seed if seed is None else seed,
        store=settings.store if store is None else store,
    )
    if others.get("replicas") is not None and others.get("on") is None and registry.run.on is None:
        raise UsageError("--replicas says how many processes Ray runs: add --on ray, or leave it out")
    return Project(
        registry=replace(registry, project=settings),
        is_toy=is_toy,
        budget=None if budget is None else Budget(budget),
        **others,
    )
