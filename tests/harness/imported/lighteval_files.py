"""Writes what lighteval writes with `--save-details`, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

TIME = "2026-11-29T14-23-59.040920"


def line(
    number: int | str,
    metric: Mapping[str, Any],
    *,
    query: str | None = None,
    texts: Sequence[str] = (),
    choices: Sequence[str] = ("a", "b"),
    logprobs: Sequence[float] = (),
    reasonings: Sequence[str | None] = (),
    **doc: Any,
) -> dict[str, Any]:
    """A document with what was answered and its scores."""
    return {
        "doc": {
            "id": str(number),
            "query": query or f"What is {number}?",
            "choices": list(choices),
            "gold_index": 0,
            "instruction": None,
            "specific": None,
            **doc,
        },
        "metric": dict(metric),
        "model_response": {
            "input": None,
            "input_tokens": [1, 2, 3],
            "text": list(texts),
            "reasonings": list(reasonings),
            "output_tokens": [[5, 6, -1] for _ in logprobs],
            "logprobs": list(logprobs),
            "argmax_logits_eq_gold": [place == 0 for place in range(len(logprobs))],
            "truncated_tokens_count": 164,
        },
    }


def metric(name: str | Sequence[str], *, better: Any = True, aggregation: Any = "mean") -> dict[str, Any]:
    """A metric as a task's configuration has it."""
    return {"metric_name": name, "higher_is_better": better, "corpus_level_fn": aggregation}


def written(
    folder: Path,
    tasks: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    model: str = "models/tiny",
    time: str = TIME,
    metrics: Sequence[Mapping[str, Any]] = (metric("acc"),),
    means: Mapping[str, float] | None = None,
    configured: Mapping[str, Any] | None = None,
    **said: Any,
) -> Path:
    """The files of a run, where lighteval puts them; the file of results. `said` is of the model."""
    about = {
        "config_general": {
            "lighteval_sha": "?",
            "model_config": {"model_name": model, "override_chat_template": False, **said},
            "model_name": model,
        },
        "results": {task: means or {} for task in tasks},
        "config_tasks": {
            task: {"metrics": list(metrics), "version": 0, "generation_size": 16, **(configured or {})}
            for task in tasks
        },
    }
    results = folder / "results" / model / f"results_{time}.json"
    details = folder / "details" / model / time
    for each in (results.parent, details):
        each.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(about, indent=2))
    for task, lines in tasks.items():
        parquet.write_table(pa.Table.from_pylist(list(lines)), details / f"details_{task}_{time}.parquet")
    return results
