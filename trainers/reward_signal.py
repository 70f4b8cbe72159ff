"""Steps of a training without signal: no answer was rewarded more than another to the same prompt.

The policy learns nothing in such a step. What every step was given is noted in the stage's folder, so that a
training that goes on after a kill counts each step once. Loads no model library.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainers.job import RewardSource
from trainers.jsonl import read_appended, write_jsonl

FILE = "signal.jsonl"
LAST = "keep_completions"
"""The name, in TRL's log, of the function that is called last and sees all rewards: it is no reward."""
EQUAL = 1e-8
"""The distance within which rewards are equal: TRL's, in `frac_reward_zero_std`."""


class RewardedAnswer(NamedTuple):
    """An answer of a step."""

    row: int
    """Which prompt it is for."""
    values: tuple[float | None, ...]
    """From each of the stage's rewards."""


class SignalLog:
    """The steps of a training so far, each with whether it had signal."""

    def __init__(self, folder: Path, rewards: Sequence[RewardSource], *, writes: bool = True) -> None:
        """Go on where the folder's file ends. Of several processes, only one `writes`."""
        self._file = folder / FILE
        self._rewards = rewards
        self._writes = writes
        self._steps: dict[int, Any] = {line["step"]: line for line in read_appended(self._file)}
        if writes and self._steps:
            write_jsonl(self._file, self._steps.values())  # without a line that was cut off

    @property
    def without_signal(self) -> int:
        """How many steps had none."""
        return sum(not line["signal"] for line in self._steps.values())

    def note(self, step: int, answers: Sequence[RewardedAnswer]) -> None:
        """Note all answers of a step, of all processes."""
        totals: dict[int, list[float]] = {}
        for answer in answers:
            weighted = zip(self._rewards, answer.values, strict=True)
            if given := [reward.weight * value for reward, value in weighted if value is not None]:
                totals.setdefault(answer.row, []).append(sum(given))
        self._steps[step] = {
            "step": step,
            "signal": any(max(group) - min(group) > EQUAL for group in totals.values()),
            "rewards": {
                reward.name: _range(answer.values[place] for answer in answers)
                for place, reward in enumerate(self._rewards)
            },
        }
        if self._writes:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(self._steps[step], allow_nan=False)}\n")

    def in_words(self) -> Iterator[str]:
        """What each reward gave in all of the steps, where none had signal."""
        for reward in self._rewards:
            steps = (line["rewards"][reward.name] for line in self._steps.values())
            match _range(value for each in steps for value in each or ()):
                case None:
                    yield f"{reward.name} gave no answer a number"
                case [low, high] if low == high:
                    yield f"{reward.name} gave every answer {low:g}"
                case [low, high]:
                    yield f"{reward.name} gave {low:g} to {high:g} over all prompts"


def _range(values: Iterable[float | None]) -> list[float] | None:
    given = [value for value in values if value is not None]
    return [min(given), max(given)] if given else None
