"""Writes what a run of HELM writes, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = ("run_spec.json", "scenario_state.json", "per_instance_stats.json", "stats.json")


def perturbed(name: str, **more: Any) -> dict[str, Any]:
    """A perturbation, as it describes itself."""
    return {"name": name, "robustness": True, "fairness": False, "computed_on": "perturbed", **more}


def state(
    instance: str,
    text: str = " 2",
    *,
    trial: int = 0,
    question: str = "1+1?",
    perturbation: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """A request that was made of an instance."""
    completion = {"text": text, "logprob": -0.1, "tokens": [{"text": text, "logprob": -0.1}]}
    of = {} if perturbation is None else {"perturbation": perturbation}
    return {
        "instance": {
            "id": instance,
            "split": "test",
            "input": {"text": question},
            "references": [
                {"output": {"text": "2"}, "tags": ["correct"]},
                {"output": {"text": "3"}, "tags": []},
            ],
            **of,
            **(more or {}),
        },
        "train_trial_index": trial,
        "request": {"prompt": f"Q: {question}\nA:"},
        "result": result or {"success": True, "completions": [completion], "request_time": 0.5},
        "prompt_truncated": False,
        **rest,
    }


def stats(
    instance: str,
    scores: Mapping[str, float | None],
    *,
    trial: int = 0,
    split: str = "test",
    perturbation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What HELM counts for an instance; None: that nothing was counted."""
    of = {} if perturbation is None else {"perturbation": perturbation}
    return {
        "instance_id": instance,
        "train_trial_index": trial,
        **of,
        "stats": [stat(name, score, split=split, **of) for name, score in scores.items()],
    }


def stat(name: str, mean: float | None, **of: Any) -> dict[str, Any]:
    """One statistic."""
    named = {"name": name, "split": "test", **of}
    return {"name": named, "count": 0} if mean is None else {"name": named, "count": 1, "mean": mean}


def written(
    folder: Path,
    states: Sequence[Mapping[str, Any]],
    counted: Sequence[Mapping[str, Any]],
    *,
    model: str = "lab/dpo",
    name: str = "demo:method=x",
    means: Sequence[Mapping[str, Any]] = (),
    metrics: Sequence[str] = ("exact_match",),
    **adapter: Any,
) -> Path:
    """The folder of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"method": "generation", "max_tokens": 5, "temperature": 0.0, "max_train_instances": 0}
    spec = {
        "name": f"{name},model={model.replace('/', '_')}",
        "adapter_spec": {**asked, "model": model, "model_deployment": f"here/{model}", **adapter},
        "metric_specs": [{"class_name": "m", "args": {"names": list(metrics)}}],
    }
    for file, content in zip(NAMES, (spec, {"request_states": states}, counted, means), strict=True):
        (folder / file).write_text(json.dumps(content))
    return folder
