"""Writes what lm-eval writes, as small as it may be."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

TIME = "2026-11-29T14-11-59.179960"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def sample(
    doc: Mapping[str, Any],
    scores: Mapping[str, Any],
    *,
    choices: Sequence[str] = (),
    answers: Sequence[Any] = (),
    filtered: str = "none",
) -> dict[str, Any]:
    """A line. Answers are texts, or log-likelihoods of the choices."""
    pairs: list[tuple[str, Any]] = [("Q", choice) for choice in choices] or [("Q", {"until": []})]
    resps = [[[str(answer), "False"]] for answer in answers] if choices else [list(answers)]
    return {
        "doc_id": 0,
        "doc": doc,
        "target": "0",
        "arguments": {
            f"gen_args_{place}": {"arg_0": first, "arg_1": second}
            for place, (first, second) in enumerate(pairs)
        },
        "resps": resps,
        "filtered_resps": resps,
        "filter": filtered,
        "metrics": list(scores),
        "doc_hash": sha256(json.dumps(doc, indent=2, ensure_ascii=False).encode()).hexdigest(),
        "prompt_hash": "p",
        "target_hash": "t",
        **scores,
    }


def written(
    folder: Path,
    tasks: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    model: str = "models/tiny",
    template: str | None = TEMPLATE,
    time: str = TIME,
    means: Mapping[str, Mapping[str, float]] | None = None,
    aggregation: Mapping[str, str] | None = None,
    **said: Any,
) -> Path:
    """The files of a run, in the folder that lm-eval names after the model."""
    inside = folder / model.replace("/", "__")
    inside.mkdir(parents=True, exist_ok=True)
    results = {
        "results": means or {},
        "configs": {
            task: {
                "output_type": "generate_until" if task == "ifeval" else "multiple_choice",
                "generation_kwargs": {"until": [], "max_gen_toks": 48},
                "metric_list": [
                    {"metric": metric, "aggregation": (aggregation or {}).get(metric, "mean")}
                    for metric in dict.fromkeys(name for line in lines for name in line["metrics"])
                ],
            }
            for task, lines in tasks.items()
        },
        "versions": dict.fromkeys(tasks, 2.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "n-samples": {
            task: {"effective": sum(line["filter"] == lines[0]["filter"] for line in lines)}
            for task, lines in tasks.items()
        },
        "higher_is_better": {},
        "config": {"model": "hf", "model_args": {"pretrained": model}, "random_seed": 0},
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.17.0",
        "model_name": model,
        "chat_template": template,
        "chat_template_sha": template and sha256(template.encode()).hexdigest(),
        **said,
    }
    (inside / f"results_{time}.json").write_text(json.dumps(results))
    for task, lines in tasks.items():
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (inside / f"samples_{task}_{time}.jsonl").write_text(text)
    return inside
