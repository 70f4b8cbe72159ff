"""The table of stages: which function trains each kind.

A stage's module, with its heavy libraries, is imported only when the stage runs, so that planning is quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from os import environ
from typing import NamedTuple

from harness.errors import UnknownName
from harness.records.models import Json
from trainers.job import Job
from trainers.settings import Conversational


class StageKind(NamedTuple):
    """A row of the table."""

    run: str
    """`module:function`. Takes a Job, writes the candidate into its folder and returns the metrics."""
    version: int
    """Goes up when the same inputs would give another candidate: earlier stages are then trained again."""
    needs_base: bool = True
    takes_base: bool = True
    can_follow: bool = True
    """Whether another stage can start from this one's candidate."""


STAGES: Mapping[str, StageKind] = {
    "pretrain": StageKind("trainers.pretrain:run", 1, needs_base=False, takes_base=False),
    "sft": StageKind("trainers.sft:run", 1),
    "reward": StageKind("trainers.reward:run", 1, can_follow=False),
    "grpo": StageKind("trainers.online:run", 1),
    "rloo": StageKind("trainers.online:run", 1),
    "dpo": StageKind("trainers.dpo:run", 1),
    "toxicity": StageKind("trainers.toxicity:run", 2, needs_base=False, can_follow=False),
}


def stage_kind(name: str) -> StageKind:
    """A row of the table. Raises UnknownName."""
    if name not in STAGES:
        raise UnknownName("kind of stage", name, STAGES)
    return STAGES[name]


def run(job: Job) -> Mapping[str, Json]:
    """Train a stage, measure how far it moved from its base, and return its metrics.

    Raises TrainingError, DataError, ModelError, DiskFull.
    """
    environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every training otherwise
    # its threads do not survive a data loader's fork
    environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from harness.engine.local.chat import fixed_clock  # noqa: PLC0415 - brings transformers, and a plan needs the table alone
    from trainers.measure_movement import measure_movement  # noqa: PLC0415 - the same
    from trainers.training import quiet, tensors_only  # noqa: PLC0415 - the same

    module, _, function = stage_kind(job.kind).run.partition(":")
    train: Callable[[Job], Mapping[str, Json]] = getattr(import_module(module), function)
    with quiet(), fixed_clock(), tensors_only(job.base):
        metrics = train(job)
        if not isinstance(job.settings, Conversational) or not job.is_main:
            return metrics
        return {**metrics, "moved": asdict(measure_movement(job, metrics))}
