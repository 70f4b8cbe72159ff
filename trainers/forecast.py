"""What training would do: which stages are reused, which are trained, why, and how much work that is.

Steps follow from the configuration and the rows; tokens are estimated from a sample of the rows. Rows that
turn out not to fit, or not to make a pair, count too, so both are upper bounds. No model library is loaded.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from harness.records.models import Json
from trainers import manifest
from trainers.checkpoints import stopped
from trainers.planning import PlannedStage
from trainers.settings import Dpo, EpochTraining, Online

SAMPLED = 200
"""Rows whose tokens are counted, spread evenly over all."""
CHARACTERS_PER_TOKEN = 4.0
"""Assumed where there is no tokenizer yet: usual for English and vocabularies of 30,000 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """What training one stage of a plan would take."""

    pipeline: str
    """The pipeline that defines it."""
    needed_by: tuple[str, ...]
    """The requested pipelines that need it; it is trained once for all of them."""
    kind: str
    folder: Path
    done: bool
    why: str
    rows: int
    steps: int | None
    """Optimiser steps, at most; None where they depend on how text is cut into blocks."""
    tokens: int
    """Read over all epochs, and generated; an estimated upper bound."""


def forecast(plans: Mapping[str, Sequence[PlannedStage]], output: Path) -> list[StageForecast]:
    """Every stage of these plans once, in the order of training; `plans` is by requested pipeline."""
    stages: dict[Path, PlannedStage] = {}
    sharing: dict[Path, list[str]] = {}
    for name, plan in plans.items():
        for stage in plan:
            stages.setdefault(stage.folder, stage)
            sharing.setdefault(stage.folder, []).append(name)
    return [
        StageForecast(
            pipeline=stage.pipeline,
            needed_by=tuple(dict.fromkeys(sharing[folder])),
            kind=stage.kind,
            folder=folder,
            done=stage.done,
            why=_why(stage, output),
            rows=_rows(stage),
            steps=_steps(stage),
            tokens=_tokens(stage),
        )
        for folder, stage in stages.items()
    ]


def _why(stage: PlannedStage, output: Path) -> str:
    if stage.done:
        return "trained already"
    if stage.partial.is_dir():
        return f"interrupted {stopped(stage.partial)}"
    before = next((old for old in _earlier(output / stage.pipeline) if old["kind"] == stage.kind), None)
    if before is None:
        return "new"
    changed = list(_changes(before, stage.inputs))
    return f"changed since it was trained: {', '.join(changed)}" if changed else "new"


def _earlier(link: Path) -> Iterator[Mapping[str, Json]]:
    """The inputs of the stages that a pipeline's name links to now, the last one first."""
    folder: Path | None = link.resolve() if link.exists() else None
    while folder is not None and manifest.is_finished(folder):
        content = manifest.read(folder)
        yield content["inputs"]
        folder = folder.parent / str(content["parent"]) if content["parent"] else None


def _changes(before: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    old, new = before.get("settings"), now["settings"]
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                yield f"{name} {_shown(old.get(name))} → {_shown(new.get(name))}"
    words = {
        "version": "the stage's code",
        "data": "its data",
        "parent": "what it starts from",
        "chat_template": "the chat template",
        "rewards": "its rewards",
        "seed": "the seed",
        "selecting": "what its checkpoints are chosen by",
    }
    yield from (word for name, word in words.items() if before.get(name) != now.get(name))


def _shown(value: Json) -> str:
    return "none" if value is None else json.dumps(value)


def _rows(stage: PlannedStage) -> int:
    return sum(len(source.rows) for source in stage.sources)


def _steps(stage: PlannedStage) -> int | None:
    if isinstance(stage.settings, Online):
        return stage.settings.steps
    assert isinstance(stage.settings, EpochTraining)
    if stage.kind == "pretrain":
        return stage.settings.steps
    return stage.settings.steps_over(_rows(stage))


def _tokens(stage: PlannedStage) -> int:
    """Every text is read once an epoch; sampled answers are counted at their maximum length."""
    settings = stage.settings
    each = _tokens_per_row(stage)
    if isinstance(settings, Online):
        return round(settings.steps * settings.rows_per_step * (each + settings.max_new_tokens))
    assert isinstance(settings, EpochTraining)
    epochs = settings.epochs_over(_rows(stage))
    if isinstance(settings, Dpo) and settings.on_policy:
        sampled = settings.on_policy * (each + settings.max_new_tokens)
        return round(_rows(stage) * (sampled + 2 * (each + settings.max_new_tokens) * epochs))
    return round(_rows(stage) * each * epochs)


def _tokens_per_row(stage: PlannedStage) -> float:
    rows = [row for source in stage.sources for row in source.rows]
    some = rows[:: max(1, len(rows) // SAMPLED)]
    texts = [" ".join(_texts(row)) for row in some]
    file = None if stage.parent is None else stage.parent.folder / "tokenizer.json"
    if file is None or not file.is_file():
        return sum(map(len, texts)) / len(texts) / CHARACTERS_PER_TOKEN
    tokenizer = Tokenizer.from_file(str(file))
    return sum(len(encoded.ids) for encoded in tokenizer.encode_batch(texts)) / len(texts)


def _texts(value: object) -> Iterator[str]:
    """Every text in a row except the roles of turns."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for name, part in value.items() if name != "role" for text in _texts(part))
    elif isinstance(value, list | tuple):
        yield from (text for part in value for text in _texts(part))
