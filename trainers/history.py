"""How a training went: the numbers it logged, step by step, kept in the stage's folder.

It does not know what the numbers mean, and loads no model library.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records import Json
from trainers.completions import KEEPING

FILE = "history.jsonl"
AT_MOST = 500
"""Points that are kept of a long training; every n-th then, and the last."""
UNTOLD = (
    *("train_", "total_flos", "profiling/", "epoch", f"rewards/{KEEPING}/"),
    *("eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "eval_num_tokens"),
)
"""How the names of logged numbers begin that are about the machine, say the step again, or say nothing."""


def write(folder: Path, logged: Iterable[Mapping[str, Any]]) -> None:
    """Keep a trainer's log: one line per step that was logged, without the trainer's clocks."""
    points: dict[int, dict[str, Json]] = {}
    for entry in logged:
        numbers = {name: value for name, value in entry.items() if is_told(name, value)}
        points.setdefault(int(entry["step"]), {}).update(numbers)
    lines = [json.dumps({"step": step, **numbers}) for step, numbers in points.items() if numbers]
    (folder / FILE).write_text("".join(f"{line}\n" for line in thinned(lines)), encoding="utf-8")


def read(folder: Path) -> list[dict[str, Json]]:
    """What was kept; empty for a stage that was trained before anything was."""
    file = folder / FILE
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def thinned(lines: Sequence[str]) -> list[str]:
    """At most `AT_MOST` of them, evenly, with the last."""
    every = -(-len(lines) // AT_MOST)
    return list(reversed(lines[::-1][:: max(1, every)]))


def is_told(name: str, value: object) -> bool:
    """Whether something logged is a number about the training."""
    return name != "step" and isinstance(value, int | float) and not name.startswith(UNTOLD)
