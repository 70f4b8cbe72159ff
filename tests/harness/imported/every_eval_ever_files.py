"""Writes Every Eval Ever as its converters do, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

NAME = "084a0e92-4d41-42cf-8835-807f9e9d9889"
SCHEMA = "0.3.0"


def result(metric: str, mean: float, *, task: str = "sums", **of: Any) -> dict[str, Any]:
    """What an aggregate says of one metric; `of`: more of its configuration."""
    return {
        "evaluation_result_id": metric,
        "evaluation_name": task,
        "source_data": {"dataset_name": "sums", "source_type": "other"},
        "metric_config": {"metric_name": metric, "lower_is_better": False, **of},
        "score_details": {"score": mean},
        "generation_config": {"generation_args": {"temperature": 0.0, "max_tokens": 48}},
    }


def instance(
    sample: str,
    score: Any,
    *,
    metric: str | None = "acc",
    task: str = "sums",
    prompt: str = "1+1?",
    metadata: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A row: one score of one sample."""
    return {
        "schema_version": SCHEMA,
        "evaluation_id": "sums/lab/dpo/1",
        "model_id": "lab/dpo",
        "evaluation_name": task,
        "evaluation_result_id": metric,
        "sample_id": sample,
        "interaction_type": "single_turn",
        "input": {"raw": prompt, "reference": ["2"], "choices": None},
        "output": {"raw": ["2"], "reasoning_trace": None},
        "answer_attribution": [],
        "evaluation": {"score": score, "is_correct": score == 1},
        "metadata": metadata,
        **more,
    }


def written(
    folder: Path,
    results: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]] | None,
    *,
    model: str = "lab/dpo",
    name: str = NAME,
    detailed: Mapping[str, Any] | None = None,
    **said: Any,
) -> Path:
    """The two files of an evaluation; without rows, an aggregate alone."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json.dumps(row)}\n" for row in rows or ())
    about = {
        "format": "jsonl",
        "file_path": f"data/sums/{model}/{name}_samples.jsonl",
        "hash_algorithm": "sha256",
        "checksum": sha256(text.encode()).hexdigest(),
        "total_rows": len(rows or ()),
        **(detailed or {}),
    }
    aggregate = {
        "schema_version": SCHEMA,
        "evaluation_id": "sums/lab/dpo/1",
        "evaluation_timestamp": "1795961446",
        "eval_library": {"name": "lm_eval", "version": "0.4.13"},
        "model_info": {"name": model, "id": model, "additional_details": {"dtype": "torch.float32"}},
        "evaluation_results": list(results),
        **({} if rows is None else {"detailed_evaluation_results": about}),
        **said,
    }
    (folder / f"{name}.json").write_text(json.dumps(aggregate))
    if rows is not None:
        (folder / f"{name}_samples.jsonl").write_text(text)
    return folder
