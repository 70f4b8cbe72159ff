"""Answers that a policy wrote while it was trained, every few steps, with their rewards.

TRL calls every reward function with the prompts and answers of a step. The last of ours rewards nothing, and
keeps what it sees, with the rewards of our other functions. Those of a reward model are only in the
training's log, since TRL runs it itself.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from harness.records.models import Json

FILE = "completions.jsonl"
KEEPING = "keep_completions"
"""The name, in TRL's log, of the function that keeps answers: it is no reward."""
KEPT = 8
"""Answers kept of a step: the first one to each of so many prompts."""

RewardFunction = Callable[..., list[float | None]]


class CompletionLog:
    """Keeps answers of every `every`-th step in a folder.

    Of several processes, each sees the answers to its own prompts: `gathered` gives each the items of all,
    and only one `writes`.
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
        """The function, its rewards being kept beside the answers."""

        @wraps(function)
        def called(**arguments: Any) -> list[float | None]:
            values = function(**arguments)
            self._given[function.__name__] = values
            return values

        return called

    def keep_completions(
        self, prompts: Sequence[Any], completions: Sequence[Any], trainer_state: Any, **others: Any
    ) -> list[float | None]:
        """A reward function that rewards nothing, called after the others."""
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
        """Write once per step: a training resumed from a checkpoint repeats some steps."""
        if any(line["step"] == step for line in read(self._file.parent)):
            return
        first: dict[str, Mapping[str, Any]] = {}
        for line in lines:
            first.setdefault(json.dumps(line["prompt"]), line)
        kept = list(first.values())[:KEPT]
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in kept))


def read(folder: Path) -> list[Mapping[str, Json]]:
    """The kept answers, in the order of steps; a line cut off by a kill is left out."""
    file = folder / FILE
    if not file.is_file():
        return []
    whole = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1:] == "\n"]
    return [json.loads(line) for line in whole]


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
