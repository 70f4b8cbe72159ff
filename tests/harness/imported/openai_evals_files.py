"""Writes what OpenAI's `oaieval` writes, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def sampling(question: str, *answers: str) -> tuple[str, dict[str, Any]]:
    """What was asked and answered."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    prompt = [{"role": "user", "content": question}]
    return "sampling", {"prompt": prompt, "sampled": list(answers), "usage": usage}


def match(correct: bool, expected: Any = "2") -> tuple[str, dict[str, Any]]:
    """Whether that was right."""
    return "match", {"correct": correct, "expected": expected, "picked": "2"}


def metrics(**values: Any) -> tuple[str, dict[str, Any]]:
    """Scores under names of an evaluation's own."""
    return "metrics", values


def error(message: str) -> tuple[str, dict[str, Any]]:
    """Why there are none."""
    return "error", {"type": "ValueError", "message": message}


def log(
    events: Sequence[tuple[str, tuple[str, Mapping[str, Any]]]],
    *,
    functions: Sequence[str] = ("dpo",),
    name: str = "sums.dev.v0",
    report: Mapping[str, Any] | None = None,
    args: Mapping[str, Any] | None = None,
    created: str = "2026-11-29",
) -> list[dict[str, Any]]:
    """The lines of a log: of each event the sample and what it is. The report is first, as in short runs."""
    how = {"cls": "evals.elsuite.basic.match:Match", "registry_path": "x", "args": args or {}}
    spec = {
        "completion_fns": list(functions),
        "eval_name": name,
        "run_config": {"eval_spec": how, "seed": 7},
        "run_id": "r1",
        "created_at": created,
    }
    lines = [
        {"run_id": "r1", "event_id": place, "sample_id": sample, "type": kind, "data": data}
        for place, (sample, (kind, data)) in enumerate(events)
    ]
    return [{"spec": spec}, {"final_report": report or {}, "run_id": "r1"}, *lines]


def written(file: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """A log of these lines."""
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
