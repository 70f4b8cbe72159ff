"""How `inspect_ai` asked, as its logs say it: what must be the same for two runs, and what is only noted."""

from collections.abc import Mapping
from typing import Any

from harness.imported.inspect_records import InspectHeader
from harness.records.models import Json

PLUMBING = frozenset(
    (
        *("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections"),
        *("adaptive_connections", "cache", "cache_prompt", "batch", "logprobs", "top_logprobs"),
        *("prompt_logprobs", "extra_headers"),
    )
)
"""What of the settings of a call changes no answer."""
THINKING = ("reasoning_effort", "effort", "reasoning_mode")
NOTED = frozenset((*THINKING, "reasoning_tokens", "system_message"))
"""What a run may differ in and be compared all the same: it belongs to the candidate, as with our own."""
LIMITS = (
    *("message_limit", "token_limit", "token_limit_type", "turn_limit", "time_limit"),
    *("working_limit", "cost_limit"),
)
NOT_KNOWN = "not known"
LONGEST = 200
"""Characters of a model's argument that are kept."""


def generation(header: InspectHeader) -> dict[str, Json]:
    """How the model was asked: its own settings, and the task's over them."""
    found = {**header.eval.model_generate_config, **header.plan.config}
    return {key: value for key, value in found.items() if value is not None and key not in PLUMBING}


def conditions(header: InspectHeader, epochs: int) -> dict[str, Json]:
    """What must be the same for two runs of a task."""
    asked = generation(header)
    return {
        "chat_template": True,  # a model of inspect_ai's is asked in turns
        "task_args": header.eval.task_args,
        "solvers": _solvers(header),
        "scorers": [{"name": each.name, "options": each.options} for each in header.eval.scorers or ()],
        "model_roles": _roles(header.eval.model_roles or {}),
        "epochs": epochs,
        "limits": {key: value for key in LIMITS if (value := header.eval.config.get(key)) is not None},
        "generation": {key: value for key, value in asked.items() if key not in NOTED},
    }


def asked_otherwise(header: InspectHeader) -> dict[str, Json]:
    """What was not as a suite of ours asks: greedily, and with nothing but `generate`."""
    asked, solvers = generation(header), _solvers(header)
    sampling: dict[str, Json] = {"stop": asked["stop_seqs"]} if asked.get("stop_seqs") else {}
    if "max_tokens" not in asked:
        sampling["max_tokens"] = NOT_KNOWN
    if asked.get("temperature") != 0:
        sampling |= {"temperature": asked.get("temperature", NOT_KNOWN)}
        sampling |= {key: asked[key] for key in ("top_p", "top_k", "seed") if key in asked}
    plain = all(isinstance(each, Mapping) and each["solver"] == "generate" for each in solvers)
    return {"sampling": sampling, **({} if plain else {"solvers": solvers})}


def described(header: InspectHeader) -> dict[str, Json]:
    """What the log says of the model, and of how it was asked."""
    asked, spec = generation(header), header.eval
    system = _system(header)
    thinking = [f"{key} {asked[key]}" for key in THINKING if key in asked]
    return {
        **({"system": system} if system else {}),
        **({"thinking": ", ".join(thinking)} if thinking else {}),
        **({"thinking_tokens": asked["reasoning_tokens"]} if "reasoning_tokens" in asked else {}),
        "model_args": {
            key: value
            for key, value in spec.model_args.items()
            if isinstance(value, str | int | float) and len(str(value)) <= LONGEST
        },
    }


def tool(header: InspectHeader) -> str:
    """Its version, and that of the packages that the task is from."""
    versions = {"inspect_ai": "of unknown version", **header.eval.packages}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _solvers(header: InspectHeader) -> list[Json]:
    """The steps, without the system prompt."""
    return [
        {"solver": each.solver, "params": each.params}
        for each in header.plan.steps
        if each.solver != "system_message"
    ]


def _system(header: InspectHeader) -> str:
    steps = [each.params.get("template") for each in header.plan.steps if each.solver == "system_message"]
    found = [*steps, generation(header).get("system_message")]
    return "\n\n".join(each for each in found if isinstance(each, str) and each)


def _roles(roles: Mapping[str, Any]) -> dict[str, Json]:
    """The models that play a part in the task, such as its grader."""
    return {
        role: [
            {"model": each.get("model"), "config": _of_role(each.get("config"))}
            for each in (given if isinstance(given, list) else [given])
            if isinstance(each, Mapping)
        ]
        for role, given in roles.items()
    }


def _of_role(config: Any) -> dict[str, Json]:
    found = config if isinstance(config, Mapping) else {}
    return {key: value for key, value in found.items() if value is not None and key not in PLUMBING}
