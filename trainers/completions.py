"""What a policy wrote while it was trained, every so many steps, with what it was rewarded for it.

TRL calls every reward function with the prompts and answers of a step. The last of ours has no opinion, and
keeps what it sees, with the numbers that our other functions gave. What a reward model gives is only in the
training's log: TRL asks it itself.

It does not know what the answers are worth.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from harness.records import Json

FILE = "completions.jsonl"
KEEPING = "keep_completions"
"""How TRL's log calls the function that keeps: it is no reward."""
KEPT = 8
"""Answers of a step that are kept: the first of each of as many prompts."""

RewardFunction = Callable[..., list[float | None]]


class Keeper:
    """Keeps answers of every `every`-th step in a folder.

    Of several processes, each sees the answers to its own prompts: `gathered` gives each the items of all,
    and one `writes`.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        *,
        gathered: Callable[[list[Any]], list[Any]] = lambda items: items,
        writes: bool = True,
    ) -> None:
        self._file = folder / FILE
        self._every = every
        self._gathered = gathered
        self._writes = writes
        self._given: dict[str, Sequence[float | None]] = {}

    def watched(self, function: RewardFunction) -> RewardFunction:
        """The function, whose numbers are kept beside the answers."""

        @wraps(function)
        def called(**told: Any) -> list[float | None]:
            values = function(**told)
            self._given[function.__name__] = values
            return values

        return called

    def keep_completions(
        self, prompts: Sequence[Any], completions: Sequence[Any], trainer_state: Any, **others: Any
    ) -> list[float | None]:
        """A reward function that has no opinion, called after the others."""
        step = int(trainer_state.global_step)
        if step % self._every == 0:
            lines = self._gathered(self._lines(step, prompts, completions))
            if self._writes:
                self._write(step, lines)
        return [None] * len(completions)

    def _lines(self, step: int, prompts: Sequence[Any], completions: Sequence[Any]) -> list[dict[str, Any]]:
        """The first answer to each prompt."""
        first = {json.dumps(prompt): place for place, prompt in reversed(list(enumerate(prompts)))}
        return [
            {
                "step": step,
                "prompt": prompts[place],
                "completion": _text(completions[place]),
                "rewards": {name: values[place] for name, values in self._given.items()},
            }
            for place in sorted(first.values())
        ]

    def _write(self, step: int, lines: Sequence[Mapping[str, Any]]) -> None:
        """Once per step: a training that goes on from a checkpoint does some steps again."""
        if any(line["step"] == step for line in read(self._file.parent)):
            return
        first: dict[str, Mapping[str, Any]] = {}
        for line in lines:
            first.setdefault(json.dumps(line["prompt"]), line)
        kept = list(first.values())[:KEPT]
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in kept))


def read(folder: Path) -> list[Mapping[str, Json]]:
    """What was kept, in the order of steps; a line that a kill cut off is left out."""
    file = folder / FILE
    if not file.is_file():
        return []
    whole = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1:] == "\n"]
    return [json.loads(line) for line in whole]


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
