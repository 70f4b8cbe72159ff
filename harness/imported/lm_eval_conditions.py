"""The conditions of lm-eval's runs: how a task was asked, and what of, as far as its results say it."""

from collections.abc import Mapping
from typing import Any

from harness.imported.fields import as_object
from harness.records.models import Json


def conditions(said: Mapping[str, Any], task: str, config: Mapping[str, Any]) -> dict[str, Json]:
    """How a task was asked."""
    shots = as_object(said.get("n-shot")).get(task, 0)
    return {
        "chat_template": bool(said.get("chat_template")),
        "num_fewshot": shots,
        "fewshot_as_multiturn": bool(shots) and bool(said.get("fewshot_as_multiturn")),  # set with a template
        "generation": config.get("generation_kwargs")
        if config.get("output_type") == "generate_until"
        else None,
        "repeats": config.get("repeats", 1),
    }


def asked_otherwise(said: Mapping[str, Any], task: str, config: Mapping[str, Any]) -> dict[str, Json]:
    """Examples before the question, and answers that were drawn and not the likeliest."""
    shots, asked = as_object(said.get("n-shot")).get(task, 0), as_object(config.get("generation_kwargs"))
    temperature = asked.get("temperature") or 0
    drawn = temperature > 0 if asked.get("do_sample") is None else bool(asked["do_sample"])
    sampling = {key: asked[key] for key in ("temperature", "top_p", "top_k") if key in asked}
    return {**({"num_fewshot": shots} if shots else {}), **({"sampling": sampling} if drawn else {})}


def described(said: Mapping[str, Any]) -> dict[str, Json]:
    """What is known of the model and its engine."""
    config = as_object(said.get("config"))
    arguments = config.get("model_args")
    kept = arguments if isinstance(arguments, Mapping | str) else {}
    system = said.get("system_instruction")
    return {
        **({"system": system} if isinstance(system, str) else {}),
        "model_args": kept
        if isinstance(kept, str)
        else {str(key): str(value) for key, value in kept.items()},
        "dtype": str(config.get("model_dtype", "unknown")).removeprefix("torch."),
        "transformers": str(said.get("transformers_version", "unknown")),
    }
