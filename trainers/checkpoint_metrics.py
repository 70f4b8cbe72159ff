"""What was measured of a stage's checkpoints, and which of them is best. Loads no model library."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.errors import TrainingError
from harness.records.models import Json
from trainers.jsonl import read_jsonl, write_jsonl

FILE = "selection.jsonl"
"""In a stage's folder: a line for every checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetrics:
    """What was measured of one checkpoint."""

    step: int
    loss: float | None = None
    """The trainer's loss on the held-out rows."""
    reward: float | None = None
    """The mean over prompts."""
    suite: float | None = None
    """The mean over the clusters of samples that select."""
    suite_metric: str | None = None
    higher_is_better: bool = True
    """Whether higher is better for the suite's metric."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """The rewards, by prompt."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """The suite's scores, by cluster."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """The suite's version, data and settings."""

    def criterion(self, by: str) -> float | None:
        """What checkpoints are chosen by, as a number of which more is better; None if not measured."""
        if by == "loss":
            return None if self.loss is None else -self.loss
        if by == "suite" and self.suite is not None and not self.higher_is_better:
            return -self.suite
        return self.reward if by == "reward" else self.suite


def best_of(found: Sequence[CheckpointMetrics], by: str) -> CheckpointMetrics:
    """The best checkpoint, of equal ones the earliest. Raises TrainingError where none has a value."""
    scored = [(value, each) for each in found if (value := each.criterion(by)) is not None]
    if not scored:
        raise TrainingError(f"select: none of the {len(found)} checkpoints has a {by} to be chosen by")
    return max(scored, key=lambda each: (each[0], -each[1].step))[1]


def curve(folder: Path) -> list[dict[str, Json]]:
    """The curve of a finished stage: every checkpoint's metrics, without those of single prompts."""
    every = [asdict(each) for each in read(folder).values()]
    single = ("rewards", "scores", "higher_is_better", "conditions")
    return [
        {name: value for name, value in each.items() if name not in single and value is not None}
        for each in every
    ]


def read(folder: Path) -> dict[int, CheckpointMetrics]:
    """The metrics of the checkpoints measured so far, by step."""
    kept = (CheckpointMetrics(**each) for each in read_jsonl(folder / FILE))
    return {each.step: each for each in kept}


def write(folder: Path, found: Iterable[CheckpointMetrics]) -> None:
    """Keep the metrics in a stage's folder."""
    write_jsonl(folder / FILE, map(asdict, found))
