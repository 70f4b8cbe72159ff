"""How a training went: the numbers it logged, step by step, kept in the stage's folder.

It does not know what the numbers mean, and loads no model library.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.records import Json
from trainers.completions import KEEPING
from trainers.jsonl import read_jsonl, write_jsonl

FILE = "history.jsonl"
AT_MOST = 500
"""Points that are kept of a long training; every n-th then, and the last."""
UNTOLD = (
    *("train_", "total_flos", "profiling/", "epoch", f"rewards/{KEEPING}/"),
    *("eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "eval_num_tokens"),
)
"""How the names of logged numbers begin that are about the machine, say the step again, or say nothing."""


Point = TypeVar("Point")


def write(folder: Path, logged: Iterable[Mapping[str, Any]]) -> None:
    """Keep a trainer's log: one line per step that was logged, without the trainer's clocks."""
    points: dict[int, dict[str, Json]] = {}
    for entry in logged:
        numbers = {name: value for name, value in entry.items() if is_told(name, value)}
        points.setdefault(int(entry["step"]), {}).update(numbers)
    write_jsonl(
        folder / FILE, thinned([{"step": step, **numbers} for step, numbers in points.items() if numbers])
    )


def read(folder: Path) -> list[dict[str, Json]]:
    """What was kept; empty for a stage that was trained before anything was."""
    return read_jsonl(folder / FILE)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most `AT_MOST` of them, evenly, with the last."""
    every = -(-len(points) // AT_MOST)
    return points[::-1][:: max(1, every)][::-1]


def is_told(name: str, value: object) -> bool:
    """Whether something logged is a number about the training."""
    return name != "step" and isinstance(value, int | float) and not name.startswith(UNTOLD)
