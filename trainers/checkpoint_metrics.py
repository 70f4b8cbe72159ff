"""What the checkpoints of a stage were worth, and which of them is best.

It does not know how anything is measured, and loads no model library.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.errors import TrainingError
from harness.records import Json
from trainers.jsonl import read_jsonl, write_jsonl

FILE = "selection.jsonl"
"""In a stage's folder: a line for every checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetrics:
    """One checkpoint."""

    step: int
    loss: float | None = None
    """The trainer's own, over the rows that were held out."""
    reward: float | None = None
    """The mean over prompts."""
    suite: float | None = None
    """The mean over the clusters of the suite's selecting samples."""
    suite_metric: str | None = None
    higher_is_better: bool = True
    """Of the suite's metric."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """By prompt."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """The suite's, by cluster."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """Of the suite: its version, data and settings."""

    def worth(self, by: str) -> float | None:
        """A measure as a number of which more is better."""
        if by == "loss":
            return None if self.loss is None else -self.loss
        if by == "suite" and self.suite is not None and not self.higher_is_better:
            return -self.suite
        return self.reward if by == "reward" else self.suite


def best_of(found: Sequence[CheckpointMetrics], by: str) -> CheckpointMetrics:
    """The checkpoint that is worth most; of several the earliest. Raises TrainingError where none has a
    number."""
    scored = [(worth, each) for each in found if (worth := each.worth(by)) is not None]
    if not scored:
        raise TrainingError(f"select: none of the {len(found)} checkpoints has a {by} to be chosen by")
    return max(scored, key=lambda each: (each[0], -each[1].step))[1]


def curve(folder: Path) -> list[dict[str, Json]]:
    """The curve of a finished stage: every checkpoint's measures, without those of single prompts."""
    told = [asdict(each) for each in read(folder).values()]
    single = ("rewards", "scores", "higher_is_better", "conditions")
    return [
        {name: value for name, value in each.items() if name not in single and value is not None}
        for each in told
    ]


def read(folder: Path) -> dict[int, CheckpointMetrics]:
    """What was measured, by step."""
    kept = (CheckpointMetrics(**each) for each in read_jsonl(folder / FILE))
    return {each.step: each for each in kept}


def write(folder: Path, found: Iterable[CheckpointMetrics]) -> None:
    """Keep them in a stage's folder."""
    write_jsonl(folder / FILE, map(asdict, found))
