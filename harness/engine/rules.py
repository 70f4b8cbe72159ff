"""Two rules that every engine keeps, so that the same request means the same everywhere."""

import hashlib
import json

from harness.records.answers import SamplingParameters


def request_seed(sampling: SamplingParameters, content: str, draw: int) -> int:
    """The seed of one request: the same for the same request, in any order and any batch."""
    identity = json.dumps([sampling.seed, content, draw])
    return int.from_bytes(hashlib.sha256(identity.encode()).digest())


def spaces_moved(context: str, continuation: str) -> tuple[str, str]:
    """Move spaces at the context's end to the continuation, where tokenizers expect them (lm-eval's rule)."""
    stripped = context.rstrip()
    return stripped, context[len(stripped) :] + continuation
