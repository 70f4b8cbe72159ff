"""What a stage is given to train with, what it reports, and how its checkpoints are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.records.models import Json, Model
from trainers.settings import CheckpointSelection, Training


class OnProgress(Protocol):
    """Called with the number of steps done, the number of all steps, the last loss, the tokens trained on so
    far, and how many steps so far were without signal (`trainers.reward_signal`)."""

    def __call__(
        self,
        step: int,
        total: int,
        loss: float | None,
        tokens: int | None = None,
        without_signal: int = 0,
        /,
    ) -> None: ...


def unreported(
    step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
) -> None:
    """Report no progress."""


Rows = Sequence[Mapping[str, Any]]
"""Training rows as read: JSON values by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """How far a training has come."""

    pipeline: str
    stage: str
    step: int
    total: int
    loss: float | None = None
    """The last loss that was logged; None before the first."""
    tokens: int | None = None
    """Tokens trained on so far; None while something else than steps is counted."""
    folder: Path | None = None
    """Where it is trained; None in tests."""
    without_signal: int = 0
    """Steps so far in which no answer was rewarded more than another to its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSource:
    """A reward ready to use: a reward model's folder, or `module:function`."""

    source: str
    weight: float = 1.0
    is_function: bool = False

    @property
    def name(self) -> str:
        """What files and messages call it; of a model's folder only the last part."""
        return self.source if self.is_function else Path(self.source).name


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteScore:
    """What a candidate scores on the part of a suite that selects checkpoints."""

    metric: str
    higher_is_better: bool
    values: Mapping[str, float]
    """The mean score of each cluster of samples, by the cluster's name; unscored samples are left out."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """The suite's version, data and settings, for the manifest."""


SuiteScorer = Callable[[Model, CheckpointSelection], SuiteScore]
"""Scores a candidate on a suite, which training itself cannot reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionInputs:
    """What the settings' `select` names, ready to use."""

    rewards: tuple[RewardSource, ...] = ()
    prompts: Rows = ()
    """All rows of the source of prompts."""
    score: SuiteScorer | None = None
    base: Model | None = None
    """The model whose way of being prompted candidates share; None where no suite selects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that one stage's `run` is given."""

    kind: str
    folder: Path
    """Exists; checkpoints and the candidate go here. It may hold what an interrupted run left."""
    base: str | None
    """The folder of the model to start from; None for stages that start from scratch."""
    chat_template: str | None
    """Replaces the base tokenizer's own template; None keeps that."""
    data: str
    """The sources' names, for messages about rows."""
    rows: Rows
    rewards: tuple[RewardSource, ...]
    settings: Training
    seed: int
    selection: SelectionInputs = field(default=SelectionInputs())
    on_progress: OnProgress = unreported
    processes: int = 1
    """How many processes train this stage together, each on its part of every step's rows."""
    is_main: bool = True
    """Whether this process is the one that writes the candidate."""
