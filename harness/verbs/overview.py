"""The verbs that only read: what is defined, trained and evaluated, and what single runs measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from harness.bounds import observed_bounds
from harness.engine.model_files import has_tokenizer
from harness.observed import NOTHING_OBSERVED, Observed
from harness.records.answers import Metric, Run
from harness.records.models import AnswerFiles, Endpoint, Gemini, Json, Local, Model, Plugin
from harness.stats import mean_interval
from harness.store import CutAnswers
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.project import Project
from reports import scorers
from reports.board import MetricSummary
from reports.scorers import CLASSIFIED, hardly_varies, scorer
from suites.catalogue import known_suites
from trainers import manifest


def summarise_runs(project: Project, runs: Sequence[Run]) -> list[MetricSummary]:
    """Every metric of these runs: its mean over what was scored, with its interval.

    Samples that selected a checkpoint of one of these models are left out for all.
    """
    lines = []
    with project.store(reading=True) as store:
        reserved = left_out(project.registry, store, (run.model for run in runs))
        for run in runs:
            observations = reserved.without(run.suite, store.runs.observations(run.id))
            cut = store.runs.cut_answers(run.id)
            for metric in run.metrics:
                lines.append(_measured(run, metric, observations, None if metric.excerpt else cut, project))
    return lines


def left_out_notes(project: Project, runs: Sequence[Run]) -> list[str]:
    """What a reader of their numbers must know of each suite a part of which selected a checkpoint."""
    with project.store(reading=True) as store:
        reserved = left_out(project.registry, store, (run.model for run in runs))
        clusters: dict[str, dict[str, str]] = {}
        for run in runs:
            clusters.setdefault(run.suite, {}).update(store.runs.clusters(run.id))
    notes = (reserved.note(suite, theirs) for suite, theirs in clusters.items())
    return [note for note in notes if note is not None]


def classifier_notes(project: Project, runs: Sequence[Run]) -> list[str]:
    """What a reader of their numbers must know of classifiers: which they are, and that one hardly varies."""
    notes = []
    with project.store(reading=True) as store:
        for suite in dict.fromkeys(run.suite for run in runs):
            asked = [run for run in runs if run.suite == suite]
            named = dict.fromkeys(name for run in asked if (name := scorer(store, run)))
            if named:
                seen = [store.runs.observations(run.id).get(CLASSIFIED, NOTHING_OBSERVED) for run in asked]
                notes += [
                    f"{suite}: scored by {' or '.join(named)}",
                    *scorers.classifier_notes(store, suite, asked),
                    hardly_varies(suite, seen),
                ]
    return [note for note in notes if note is not None]


def _measured(
    run: Run,
    metric: Metric,
    observations: Mapping[str, Observed],
    cut: CutAnswers | None,
    project: Project,
) -> MetricSummary:
    observed = observations.get(metric.name, NOTHING_OBSERVED)
    scored = observed.scored
    interval = None
    if len(scored):
        interval = mean_interval(
            scored.values, scored.clusters, metric.kind, project.analysis_plan().of_means
        )
    return MetricSummary(
        model=run.model,
        suite=run.suite,
        metric=metric.name,
        value=fmean(scored.values) if len(scored) else None,
        interval=interval,
        n=scored.sample_count,
        scores=len(scored),
        unscored=len(observed) - len(scored),
        bounds=observed_bounds(metric, observations),
        cut=cut,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A registered model."""

    name: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPipeline:
    """A registered pipeline."""

    name: str
    base: str | None
    stages: tuple[str, ...]
    """Kinds of the stages it adds to its base."""
    trained: str | None
    """When its newest candidate was finished; whether the settings have changed since, training finds out."""
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSuite:
    """A suite that can be asked for, with what the project sets for it."""

    name: str
    settings: Mapping[str, Json]
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run in the store."""

    model: str
    suite: str
    size: int
    finished: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is defined, and what is there already."""

    models: tuple[ListedModel, ...]
    pipelines: tuple[ListedPipeline, ...]
    suites: tuple[ListedSuite, ...]
    runs: tuple[ListedRun, ...]


def overview(project: Project) -> Overview:
    """Everything the project defines, and what is trained and evaluated so far. Loads no model."""
    registry = project.registry
    suites = dict.fromkeys([*known_suites(), *registry.suites])
    return Overview(
        models=tuple(ListedModel(name=m.name, source=_source(m)) for m in registry.models.values()),
        pipelines=tuple(_listed(project, name) for name in registry.pipelines),
        suites=tuple(
            ListedSuite(
                name=name,
                settings={k: v for k, v in registry.suites.get(name, {}).items() if v is not None},
                is_default=name in project.default_suites,
            )
            for name in suites
        ),
        runs=tuple(
            ListedRun(model=run.model, suite=run.suite, size=run.size, finished=run.finished)
            for run in _runs(project)
        ),
    )


def _runs(project: Project) -> list[Run]:
    store = project.store_if_any(reading=True)
    if store is None:
        return []
    with store:
        return store.runs.find()


def _listed(project: Project, name: str) -> ListedPipeline:
    pipeline = project.registry.pipelines[name]
    folder = project.registry.project.output / name
    return ListedPipeline(
        name=name,
        base=pipeline.base,
        stages=tuple(stage.kind for stage in pipeline.stages),
        trained=manifest.read(folder)["finished"] if manifest.is_finished(folder) else None,
        folder=str(folder),
    )


def _source(model: Model) -> str:
    match model.source:
        case Local(path=path, adapter=str(adapter)):
            own = " (its tokenizer)" if has_tokenizer(Path(adapter).expanduser()) else ""
            return f"{path} + {adapter}{own}"
        case Local(path=path):
            return path
        case Endpoint(url=url, model=served):
            return f"{served} at {url}"
        case Gemini(model=served):
            return served
        case Plugin(engine=engine):
            return f"engine {engine}"
        case AnswerFiles(files=files):
            return f"answers in {', '.join(files)}"
