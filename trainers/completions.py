"""Answers that a policy wrote while it was trained, every few steps, with their rewards."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records.models import Json
from trainers.jsonl import read_appended

FILE = "completions.jsonl"
KEPT = 8
"""Answers kept of a step: the first one to each of so many prompts."""


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

    def keep(
        self,
        step: int,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        rewards: Mapping[str, Sequence[float | None]],
    ) -> None:
        """Keep the first answer to each prompt, where the step is one of those; `rewards` is by name."""
        if step % self._every:
            return
        first = {json.dumps(prompt): place for place, prompt in reversed(list(enumerate(prompts)))}
        lines = [
            {
                "step": step,
                "prompt": prompts[place],
                "completion": answer_text(completions[place]),
                "rewards": {name: values[place] for name, values in rewards.items()},
            }
            for place in sorted(first.values())
        ]
        every = self._gathered(lines)
        if self._writes:
            self._write(step, every)

    def _write(self, step: int, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write once per step: a training resumed from a checkpoint repeats some steps."""
        if any(line["step"] == step for line in read(self._file.parent)):
            return
        first: dict[str, Mapping[str, Any]] = {}
        for line in lines:
            first.setdefault(json.dumps(line["prompt"]), line)
        kept = list(first.values())[:KEPT]
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(line, allow_nan=False)}\n" for line in kept))


def read(folder: Path) -> list[Mapping[str, Json]]:
    """The kept answers, in the order of steps; a line cut off by a kill is left out."""
    return read_appended(folder / FILE)


def answer_text(completion: Any) -> str:
    """The text of an answer as TRL gives it: a text, or messages."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
