"""The stages by name, and what each is handed: the one place that says which function trains what.

It does not know how any of them trains; a stage's module, with its heavy libraries, is imported when run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from os import environ
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from harness.errors import UnknownName
from harness.records import Json, Model
from trainers.settings import Select, Training

Rows = Sequence[Mapping[str, Any]]
"""Training rows as read: JSON values by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """How far a training is."""

    pipeline: str
    stage: str
    """The stage's kind."""
    step: int
    total: int
    loss: float | None = None
    """The last logged one; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSource:
    """A reward ready to be used: a model's folder, or `module:function`."""

    source: str
    weight: float = 1.0
    is_function: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteScore:
    """What a candidate scored on the part of a suite that may select checkpoints."""

    metric: str
    higher_is_better: bool
    values: Mapping[str, float]
    """The mean score of each cluster of samples, by its name; unscored samples are not among them."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """The suite's version, data and settings, for the manifest."""


class SuiteScorer(Protocol):
    """Asks suites, which training cannot reach itself. `candidate` is whole."""

    def __call__(self, candidate: Model, select: Select) -> SuiteScore: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selecting:
    """What the settings' `select` names, ready to be used."""

    rewards: tuple[RewardSource, ...] = ()
    prompts: Rows = ()
    """All of the source's."""
    score: SuiteScorer | None = None
    base: Model | None = None
    """What candidates are asked like; None where nothing asks them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything one stage's `run` is handed."""

    kind: str
    folder: Path
    """Exists; checkpoints and the candidate go here. What an interrupted run left is still inside."""
    base: str | None
    """The folder of the model to start from; None for stages that start from nothing."""
    chat_template: str | None
    """Replaces the base tokenizer's own, where it is given."""
    data: str
    """The sources in words, for messages about rows."""
    rows: Rows
    rewards: tuple[RewardSource, ...]
    settings: Training
    seed: int
    selecting: Selecting = field(default=Selecting())
    on_progress: Callable[[int, int, float | None], None] = field(default=lambda step, total, loss: None)
    """Called with the steps done, all steps, and the last loss."""
    processes: int = 1
    """How many train this stage together, each with its part of every step's rows."""
    is_main: bool = True
    """Whether it is this one of them that writes the candidate."""


class StageKind(NamedTuple):
    """A row of the table."""

    run: str
    """`module:function`; takes a Job, writes the candidate into its folder, returns the metrics."""
    version: int
    """Goes up when the same inputs would give another candidate: stages trained before are then redone."""
    needs_base: bool = True
    can_follow: bool = True
    """Whether another stage can start from what this one makes."""


STAGES: Mapping[str, StageKind] = {
    "pretrain": StageKind("trainers.pretrain:run", 1, needs_base=False),
    "sft": StageKind("trainers.sft:run", 1),
    "reward": StageKind("trainers.reward:run", 1, can_follow=False),
    "grpo": StageKind("trainers.grpo:run", 1),
    "rloo": StageKind("trainers.rloo:run", 1),
    "dpo": StageKind("trainers.dpo:run", 1),
    "toxicity": StageKind("trainers.toxicity:run", 1, needs_base=False, can_follow=False),
}


def stage_kind(name: str) -> StageKind:
    """The table's row. Raises UnknownName."""
    if name not in STAGES:
        raise UnknownName("kind of stage", name, STAGES)
    return STAGES[name]


def run(job: Job) -> Mapping[str, Json]:
    """Train. Raises TrainingError, DataError, ModelError, DiskFull."""
    environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every training otherwise
    environ.setdefault(
        "TOKENIZERS_PARALLELISM", "false"
    )  # its threads and a forking loader do not go together
    module, _, function = stage_kind(job.kind).run.partition(":")
    train: Callable[[Job], Mapping[str, Json]] = getattr(import_module(module), function)
    training, chat = import_module("trainers.training"), import_module("harness.engine.local.chat")
    with training.quiet(), chat.fixed_clock(), training.tensors_only(job.base):
        return train(job)
