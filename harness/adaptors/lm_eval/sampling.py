"""Converts lm-eval's generation settings into our `SamplingParameters`."""

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.records.answers import SamplingParameters

MAX_TOKENS = 256
"""What lm-eval generates where a task does not say."""
MAX_TOKENS_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


def sampling_of(task: str, kwargs: Mapping[str, Any], seed: int) -> SamplingParameters:
    """lm-eval's generation settings as ours, read as its `hf` backend reads them.

    Raises UsageError for a setting that would change answers and that we do not have.
    """
    left = dict(kwargs)
    limits = [left.pop(name) for name in MAX_TOKENS_NAMES if name in left]
    until = left.pop("until", None) or []
    samples = left.pop("do_sample", None) is not False
    temperature = float(left.pop("temperature", 0.0))
    top_p, top_k = float(left.pop("top_p", 1.0)), int(left.pop("top_k", 0))
    if left:
        unknown = ", ".join(sorted(left))
        raise UsageError(f"lm-eval's task {task!r} asks for generation settings we do not have: {unknown}")
    return SamplingParameters(
        max_tokens=int(next((limit for limit in limits if limit is not None), MAX_TOKENS)),
        temperature=temperature if samples else 0.0,
        top_p=top_p,
        top_k=top_k,
        stop=tuple(text for text in ([until] if isinstance(until, str) else until) if text),
        seed=seed,
    )
