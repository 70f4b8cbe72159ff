"""What stages that were trained here before say of one that is planned: how long its answers and it will be.

Only stages like the planned one count: of its kind, made in its way, from a base of its size; for times on
this machine, too. Where there is none, nothing is said.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from harness.errors import ModelError
from trainers import manifest
from trainers.machine import machine
from trainers.planning import PlannedStage
from trainers.work import Work

NEWEST = 5
"""The number of earlier stages whose times count, the last ones."""
SAME_SIZE = 0.1
"""How much larger or smaller, as a share, a base of the same size can be."""


class EarlierStages:
    """The manifests of the finished stages in an output folder, the newest first, without damaged ones."""

    def __init__(self, output: Path) -> None:
        folders = [file.parent for file in output.glob(f"stages/*/{manifest.FILE}")]
        read = []
        for folder in folders:
            with suppress(ModelError):
                read.append(manifest.read(folder))
        self._all = sorted(read, key=lambda each: str(each["finished"]), reverse=True)

    def answer_tokens(self, stage: PlannedStage, size: int | None) -> float | None:
        """The mean length of answers in the newest stage like this one that let them grow as long."""
        limit = getattr(stage.settings, "max_new_tokens", 0)
        for each in self._like(stage, size):
            metrics, settings = each["metrics"], each["inputs"]["settings"]
            sampled = metrics.get("sampled")
            found = sampled["written"] / sampled["answers"] if sampled else metrics.get("answer_tokens")
            if found is not None and settings["max_new_tokens"] >= limit:
                return min(float(found), float(limit))
        return None

    def share_paired(self, stage: PlannedStage, size: int | None) -> float | None:
        """The share of prompts whose sampled answers made a pair, in the newest stage like this one."""
        for each in self._like(stage, size):
            unpaired = each["metrics"].get("rows_unpaired")
            if unpaired is not None:
                return 1 - float(unpaired / sum(source["rows"] for source in each["data"]))
        return None

    def seconds(self, stage: PlannedStage, size: int | None, work: Work, processes: int) -> float | None:
        """How long such a stage takes: the median of what the pace of each earlier one gives."""
        like = [
            each
            for each in self._like(stage, size)
            if each.get("machine") == machine() and each["processes"] == processes and _paced(each)
        ]
        found = [_seconds_at_the_pace_of(each, work) for each in like[:NEWEST]]
        return float(median(found)) if found else None

    def _like(self, stage: PlannedStage, size: int | None) -> Sequence[Mapping[str, Any]]:
        models = sum(not reward.source.is_function for reward in stage.rewards)
        planned = _manner(stage.inputs, models)
        return [
            each
            for each in self._all
            if size is not None
            and abs((each.get("base_parameters") or 0) / size - 1) <= SAME_SIZE
            and _manner(each["inputs"], sum(":" not in one["reward"] for one in each["rewards"])) == planned
        ]


def _manner(inputs: Mapping[str, Any], reward_models: int) -> tuple[object, ...]:
    """What the work for a token depends on besides the size of the model."""
    settings = inputs["settings"]
    adapter = settings.get("adapter")
    return (
        inputs["kind"],
        adapter is not None,
        (adapter or {}).get("quantize"),
        bool(settings.get("on_policy")),
        settings.get("vllm") is not None,
        reward_models,
    )


def _paced(content: Mapping[str, Any]) -> bool:
    pace = content["metrics"].get("pace") or {}
    return bool(pace.get("tokens") and pace.get("seconds"))


def _seconds_at_the_pace_of(content: Mapping[str, Any], work: Work) -> float:
    """The loop and the sampling at their paces; loading, ranking and saving as long as they took there."""
    metrics = content["metrics"]
    pace, sampled = metrics["pace"], metrics.get("sampled")
    seconds, rest = work.learned * pace["seconds"] / pace["tokens"], content["seconds"] - pace["seconds"]
    if sampled:
        seconds += work.sampled * sampled["seconds"] / (sampled["read"] + sampled["written"])
        rest -= sampled["seconds"]
    return float(seconds + max(0.0, rest))


def is_resumed(content: Mapping[str, Any]) -> bool:
    """Whether a finished stage was interrupted, so that its seconds are those of its last run."""
    metrics = content["metrics"]
    sampled = metrics.get("sampled") or {}
    learned = metrics["tokens"] - sampled.get("read", 0) - sampled.get("written", 0)
    return bool(learned > metrics["pace"]["tokens"])
