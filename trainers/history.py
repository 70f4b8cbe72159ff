"""How a training went: the metrics it logged, step by step, kept in the stage's folder."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from harness.records.models import Json
from trainers.jsonl import read_jsonl, write_jsonl
from trainers.reward_signal import LAST

FILE = "history.jsonl"
AT_MOST = 500
"""Points kept of a training; of a longer one every n-th, and the last."""
NOT_METRICS = (
    *("train_", "total_flos", "profiling/", "epoch", "num_input_tokens_seen", f"rewards/{LAST}/"),
    *("eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "eval_num_tokens"),
)
"""Prefixes of logged names that describe the machine, repeat the step or say nothing."""


Point = TypeVar("Point")


def write(folder: Path, logged: Iterable[Mapping[str, Any]]) -> None:
    """Keep a trainer's log: one line per logged step, without the trainer's timings."""
    points: dict[int, dict[str, Json]] = {}
    for entry in logged:
        numbers = {name: value for name, value in entry.items() if is_metric(name, value)}
        points.setdefault(int(entry["step"]), {}).update(numbers)
    write_jsonl(
        folder / FILE, thinned([{"step": step, **numbers} for step, numbers in points.items() if numbers])
    )


def read(folder: Path) -> list[dict[str, Json]]:
    """The kept points; none for a stage trained before they were kept."""
    return read_jsonl(folder / FILE)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most `AT_MOST` of the points, evenly spaced, the last one included."""
    every = -(-len(points) // AT_MOST)
    return points[::-1][:: max(1, every)][::-1]


def is_metric(name: str, value: object) -> bool:
    """Whether a logged value is a metric of the training; NaN and infinity are none."""
    is_number = isinstance(value, int | float) and isfinite(value)
    return name != "step" and is_number and not name.startswith(NOT_METRICS)
