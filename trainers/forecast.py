"""What training would do: which stages are reused, which are trained, why, and how much work that is.

Tokens are counted on rows as the stage tokenises them, disk follows from the size of the base, and time from
earlier stages on this machine. Finished stages show what was. What nothing tells is None, and no model
library is loaded.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.records.models import Json
from trainers import manifest
from trainers.checkpoints import stopped
from trainers.disk_needs import bytes_within, disk_needs
from trainers.earlier_stages import EarlierStages, is_resumed
from trainers.planning import PlannedStage
from trainers.settings import Conversational
from trainers.sizes import model_size
from trainers.stage_settings import ToxicityTraining
from trainers.work import Basis, estimate_work

NEW = "new"
"""Why a stage is trained that nothing was trained for before."""


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
    """Read over all epochs, both answers of a pair with their prompt, and written."""
    tokens_basis: Basis
    disk: int | None
    """Bytes of the candidate and of the checkpoints kept; None where what it starts from has no size yet."""
    disk_peak: int | None
    """Bytes while it is trained, optimiser state included, at most; of a finished stage as `disk`."""
    seconds: float | None
    """None where no stage like it was trained on this machine."""
    seconds_basis: Basis | None


def forecast(
    plans: Mapping[str, Sequence[PlannedStage]], output: Path, processes: int = 1
) -> list[StageForecast]:
    """Every stage of these plans once, in the order of training; `plans` is by requested pipeline.

    `processes` is how many train a stage together. Raises DataError and ModelError, as training does.
    """
    stages: dict[Path, PlannedStage] = {}
    sharing: dict[Path, list[str]] = {}
    for name, plan in plans.items():
        for stage in plan:
            stages.setdefault(stage.folder, stage)
            sharing.setdefault(stage.folder, []).append(name)
    earlier = EarlierStages(output)
    return [
        StageForecast(
            pipeline=stage.pipeline,
            needed_by=tuple(dict.fromkeys(sharing[folder])),
            kind=stage.kind,
            folder=folder,
            done=stage.done,
            why=_why(stage, output),
            **(_what_was(stage) if stage.done else _what_will_be(stage, earlier, processes))._asdict(),
        )
        for folder, stage in stages.items()
    ]


class _Amounts(NamedTuple):
    """How much there is to do, under the names of `StageForecast`."""

    rows: int
    steps: int | None
    tokens: int
    tokens_basis: Basis
    disk: int | None
    disk_peak: int | None
    seconds: float | None
    seconds_basis: Basis | None


def _what_was(stage: PlannedStage) -> _Amounts:
    content = stage.manifest
    metrics, size = content["metrics"], bytes_within(stage.folder)
    is_counted = "pace" in metrics  # else it was trained before tokens were counted
    work = None if is_counted else estimate_work(stage, None, None)
    return _Amounts(
        rows=sum(source["rows"] for source in content["data"]),
        steps=metrics.get("steps"),
        tokens=metrics["tokens"] if work is None else work.tokens,
        tokens_basis="measured" if work is None else work.basis,
        disk=size,
        disk_peak=size,
        seconds=content["seconds"],
        seconds_basis="last run" if is_counted and is_resumed(content) else "measured",
    )


def _what_will_be(stage: PlannedStage, earlier: EarlierStages, processes: int) -> _Amounts:
    origin = None if stage.parent is None else stage.parent.known
    size = None if origin is None else model_size(origin)
    parameters = None if size is None else size.parameters
    work = estimate_work(
        stage, earlier.answer_tokens(stage, parameters), earlier.share_paired(stage, parameters)
    )
    seconds = earlier.seconds(stage, parameters, work, processes)
    disk, peak = None, None
    if size is not None and isinstance(stage.settings, Conversational | ToxicityTraining):
        saved_after = stage.settings.save_seconds
        is_long = saved_after is not None and (seconds is None or seconds > saved_after)
        disk, peak = disk_needs(stage.kind, stage.settings, size, work.rows, is_long=is_long)
    return _Amounts(
        rows=sum(len(source.rows) for source in stage.sources),
        steps=work.steps,
        tokens=work.tokens,
        tokens_basis=work.basis,
        disk=disk,
        disk_peak=peak,
        seconds=None if seconds is None else round(seconds, 1),
        seconds_basis=None if seconds is None else "as before",
    )


def _why(stage: PlannedStage, output: Path) -> str:
    if stage.done:
        return "trained already"
    if stage.partial.is_dir():
        return f"interrupted {stopped(stage.partial)}"
    before = next((old for old in _earlier(output / stage.pipeline) if old["kind"] == stage.kind), None)
    if before is None:
        return NEW
    changed = list(_changes(before, stage.inputs))
    return f"changed since it was trained: {', '.join(changed)}" if changed else NEW


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
