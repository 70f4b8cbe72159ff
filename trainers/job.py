"""What a stage is given to train with, what it reports, and what scores its checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.records import Json, Model
from trainers.settings import CheckpointSelection, Training

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

    def __call__(self, candidate: Model, select: CheckpointSelection) -> SuiteScore: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionInputs:
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
    selection: SelectionInputs = field(default=SelectionInputs())
    on_progress: Callable[[int, int, float | None], None] = field(default=lambda step, total, loss: None)
    """Called with the steps done, all steps, and the last loss."""
    processes: int = 1
    """How many train this stage together, each with its part of every step's rows."""
    is_main: bool = True
    """Whether it is this one of them that writes the candidate."""
