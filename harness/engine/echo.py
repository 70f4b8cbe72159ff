"""Log-likelihoods from a server that echoes a prompt with the log-probabilities of its tokens.

The boundary between context and continuation follows lm-eval's rule as far as what comes back allows:
spaces at the context's end belong to the continuation, and the continuation's tokens are those that begin at
or after the boundary in the text. That differs from lm-eval in one case: where a token straddles the
boundary, it is left out here, while lm-eval counts the tokens of the context encoded by itself, for which one
needs the tokenizer. A continuation that is nothing but the end of such a token cannot be scored.

It does not know how a server is reached.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engine.retrying import Mendable
from harness.engine.rules import spaces_moved
from harness.errors import EngineError
from harness.records import Likelihood

TRIAL = "one two three four"
"""A prompt of several tokens in any tokenizer, to find out whether a server echoes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedTokens:
    """What came back: the prompt's tokens, and the one that was generated after them."""

    tokens: Sequence[str]
    offsets: Sequence[int]
    logprobs: Sequence[float | None]
    """None for the first, which nothing predicts."""
    top: Sequence[Mapping[str, float] | None]
    """The likeliest tokens at each place, with their log-probabilities."""
    prompt: int
    """How many of the tokens are the prompt's."""


def echo_request(model: str, text: str) -> dict[str, Any]:
    """The body that asks for a text's log-probabilities. One token is generated: some servers refuse none."""
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def echoes(body: Mapping[str, Any]) -> bool:
    """Whether the answer to `echo_request(…, TRIAL)` holds what log-likelihoods need."""
    try:
        echoed = echoed_tokens(body, TRIAL)
    except Mendable:
        return False
    scored = echoed.logprobs[1 : echoed.prompt]
    return bool(scored) and None not in scored and None not in echoed.top[1 : echoed.prompt]


def echoed_tokens(body: Mapping[str, Any], text: str) -> EchoedTokens:
    """The tokens in an answer. Raises Mendable where they are not there, or not as many as there must be."""
    try:
        found = body["choices"][0]["logprobs"]
        columns = [list(found[name]) for name in ("tokens", "text_offset", "token_logprobs", "top_logprobs")]
    except (KeyError, IndexError, TypeError) as error:
        raise Mendable("an answer without the prompt's log-probabilities") from error
    tokens, offsets, logprobs, top = columns
    if not tokens or any(len(column) != len(tokens) for column in columns):
        raise Mendable("an answer whose log-probabilities are not one per token")
    usage = body.get("usage")
    stated = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(stated, int):  # then by place: offsets count from the first token's
        stated = bisect_left(offsets, offsets[0] + len(text))
    if not 0 < stated <= len(tokens):
        raise Mendable(f"an answer of {len(tokens)} tokens to a prompt of {stated}")
    return EchoedTokens(tokens=tokens, offsets=offsets, logprobs=logprobs, top=top, prompt=stated)


def likelihood(body: Mapping[str, Any], context: str, continuation: str) -> Likelihood:
    """The likelihood of the continuation, from the answer for both together.

    Raises Mendable for an answer that is not whole, EngineError for a pair that cannot be scored this way.
    """
    context, continuation = spaces_moved(context, continuation)
    echoed = echoed_tokens(body, context + continuation)
    # Measured from the end, because a BOS token's text stands before the prompt and shifts its offsets.
    boundary = _end(echoed) - len(continuation)
    first = bisect_left(echoed.offsets, boundary, hi=echoed.prompt)
    scored = echoed.logprobs[first : echoed.prompt]
    if not scored:
        raise EngineError(
            f"the continuation {continuation!r} cannot be scored: it is the end of a token that begins in "
            "its context, and a server's echo does not tell them apart"
        )
    if None in scored:
        raise EngineError(
            f"the continuation {continuation!r} cannot be scored: its context is empty, and the server gives "
            "no log-probability for a first token"
        )
    logprobs = [value for value in scored if value is not None]
    return Likelihood(
        logprob=math.fsum(logprobs),
        greedy=all(
            value >= max((top or {}).values(), default=math.inf)
            for value, top in zip(logprobs, echoed.top[first : echoed.prompt], strict=True)
        ),
        tokens=len(logprobs),
    )


def _end(echoed: EchoedTokens) -> int:
    """Where the prompt's text ends, counted as the offsets are."""
    if echoed.prompt < len(echoed.offsets):
        return echoed.offsets[echoed.prompt]
    return echoed.offsets[-1] + len(echoed.tokens[-1])
