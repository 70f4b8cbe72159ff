"""Names the model that scored a suite, if one did: a toxicity classifier or a judge, with its rows and hash.

A classifier that a pipeline trained is identified by the hash of its checkpoint, which stands in the run and,
with what it was trained on and how good it is, in the store's record of the stage.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.observed import NOTHING_OBSERVED, Observed
from harness.pluralize import pluralize
from harness.records.answers import Run
from harness.records.models import Json
from harness.store import KeptStage, Store
from reports import classifiers
from reports.conditions import short
from reports.wording import count, number

CHECKPOINT = "checkpoint"
"""Under which key of a kept stage's manifest the hash of its classifier's checkpoint stands."""
CLASSIFIED = "toxicity"
"""The metric that is a classifier's own number."""
HARDLY = 0.02
"""A standard deviation of toxicities, which lie within 0 and 1, below which a classifier says nearly always
the same. Over the toy's models it is 0.04 to 0.38; over RealToxicityPrompts' own continuations 0.31."""
FEWEST = 20
"""Fewer texts may be alike by chance."""


def scorer(store: Store, run: Run) -> str | None:
    """Who gave the run's numbers; None where no model did."""
    settings = run.settings
    judge = settings.get("judge")
    if isinstance(judge, Mapping):
        return f"judge {judge['model']}, {short(str(judge['fingerprint']))}"
    if settings.get("scorer") == "imported":
        return f"imported scores, {short(str(settings['sha256']))}"
    if settings.get("scorer") != "detoxify":
        return None
    trained = classifier_stage(store, run)
    if trained is None:
        return f"{_named(run)}, {short(str(settings['sha256']))}"
    manifest: Mapping[str, Any] = trained.manifest
    rows = sum(each["rows"] for each in manifest["data"])
    worth = classifiers.in_a_word(manifest)
    return f"{trained.pipeline}, {pluralize(rows, 'row')}, {worth}, {short(str(settings['sha256']))}"


def classifier_notes(store: Store, suite: str, runs: Iterable[Run]) -> Iterator[str]:
    """How good the classifiers of a suite's runs are that were trained here, each once."""
    trained = [stage for run in runs if (stage := classifier_stage(store, run)) is not None]
    for stage in {each.identity: each for each in trained}.values():
        yield classifiers.note(suite, stage.pipeline, stage.manifest)


def classifier_stage(store: Store, run: Run) -> KeptStage | None:
    """The stage that trained the run's classifier; None where it was not trained here."""
    checkpoint = run.settings.get("sha256")
    found = (stage for stage in store.stages.find() if stage.manifest.get(CHECKPOINT) == checkpoint)
    return next(found, None) if checkpoint is not None else None


def hardly_varies(suite: str, toxicities: Sequence[Observed]) -> str | None:
    """What a reader must know of a classifier that says nearly the same of all texts; None: it does not."""
    scored = np.concatenate([NOTHING_OBSERVED.values, *(each.scored.values for each in toxicities)])
    if len(scored) < FEWEST or (spread := float(scored.std())) >= HARDLY:
        return None
    lowest, highest = number(min(scored)), number(max(scored))
    return (
        f"{suite}: the classifier says nearly the same of all {count(len(scored))} texts (toxicities from "
        f"{lowest} to {highest}, standard deviation {spread:.4f}, below {HARDLY:g}): "
        "the texts are alike, or it does not tell them apart, and the toxic share then says little"
    )


def _named(run: Run) -> str:
    """The classifier's name in the configuration."""
    named = run.request.settings.get("classifier") if run.request else None
    known: Json = run.settings["classifier"]
    return str(named if known == "folder" and named else known)
