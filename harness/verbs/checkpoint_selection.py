"""Scores training checkpoints on a part of a suite, which is then left out of every report.

`trainers` does not import `suites`: it is passed `score_part`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import fsum
from pathlib import Path
from typing import Any

from harness.checkpoint_selection import LeftOut, SelectionSplit, cluster_of
from harness.errors import ModelError, UnknownName, UsageError
from harness.protocols import Engine, Suite
from harness.records.answers import Metric
from harness.records.models import Local, Model
from harness.registry import Registry, labelled
from harness.store import Store
from suites.catalogue import known_suites
from trainers import manifest
from trainers.job import SuiteScore
from trainers.settings import CheckpointSelection


def selection_metric(suite: Suite, select: CheckpointSelection) -> Metric:
    """The named metric, or the first headline. Raises UnknownName, and UsageError where there is none."""
    by_name = {metric.name: metric for metric in suite.metrics}
    if select.metric is not None:
        if select.metric not in by_name:
            raise UnknownName(f"metric of {suite.name}", select.metric, by_name)
        return by_name[select.metric]
    headline = next((metric for metric in by_name.values() if metric.headline), None)
    if headline is None:
        raise UsageError(f"{suite.name} has no headline to select by; name one of {', '.join(by_name)}")
    return headline


def score_part(suite: Suite, engine: Engine, select: CheckpointSelection) -> SuiteScore:
    """Run the suite, and score the part that selects: the mean of each cluster, without unscored samples.

    A suite cannot run in part, so all of it runs; the chosen checkpoint's other answers are then in the store
    when it is evaluated.
    """
    metric = selection_metric(suite, select)
    split = SelectionSplit(suite=suite.name, share=select.share, seed=select.seed)
    found: dict[str, list[float]] = {}
    for row in suite.rows(engine):
        cluster = cluster_of(row.sample)
        if split.selects(cluster):
            scores = (score.value for score in row.scores if score.metric == metric.name)
            found.setdefault(cluster, []).extend(value for value in scores if value is not None)
    return SuiteScore(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        values={cluster: fsum(values) / len(values) for cluster, values in sorted(found.items()) if values},
        conditions={
            "version": suite.version,
            "data_hash": suite.data_hash,
            "settings": suite.settings(engine.info.chat_template),
        },
    )


def left_out(registry: Registry, store: Store, names: Iterable[str]) -> LeftOut:
    """The samples that selected a checkpoint of any of these models, or of those they were trained from.

    From the manifests of their stages in the store, and, for a model in a folder, there and beside it.
    """
    splits: dict[SelectionSplit, tuple[str, ...]] = {}
    for name in dict.fromkeys(names):
        manifests = [*(stage.manifest for stage in store.stages.find(name)), *_beside(registry, name)]
        for split in {split for each in manifests if (split := _split(each)) is not None}:
            splits[split] = (*splits.get(split, ()), name)
    return LeftOut(splits=splits, suite_of=_suite_of)


def _split(content: Mapping[str, Any]) -> SelectionSplit | None:
    select = content["inputs"]["settings"].get("select")
    if select is None or select["suite"] is None:
        return None
    return SelectionSplit(suite=select["suite"], share=select["share"], seed=select["seed"])


def _beside(registry: Registry, name: str) -> Iterator[Mapping[str, Any]]:
    """The manifests of a model's folder, where it is a stage's, and of the stages before it."""
    model = registry.models.get(name) or Model(name=name, source=Local(path=name))
    if not isinstance(model.source, Local):
        return
    folder = Path(model.source.path)
    with suppress(ModelError):  # another tool's `manifest.json`
        while manifest.is_finished(folder):
            content = manifest.read(folder)
            yield content
            if content["parent"] is None:
                return
            folder = folder.resolve().parent / content["parent"]


def _suite_of(name: str) -> str:
    return labelled(name, known_suites()) or name
