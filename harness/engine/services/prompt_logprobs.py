"""Log-likelihoods from a server that returns the log-probabilities of a prompt's tokens (`echo`).

The boundary between context and continuation follows lm-eval's rule as far as what comes back allows:
spaces at the context's end belong to the continuation, and the continuation's tokens are those that begin at
or after the boundary in the text. That differs from lm-eval in one case: where a token straddles the
boundary, it is left out here, while lm-eval counts the tokens of the context encoded by itself, for which one
needs the tokenizer. A continuation that is nothing but the end of such a token cannot be scored.

Tokens come back as texts, which need not add up to the prompt: a BOS token's text may stand before it, some
tokenizers spell a word without the space before it, and a token that is a part of a character has no text of
its own. So texts are compared without spaces, and the boundary is looked for from the end, from the start,
and by the offsets, in turn; where none of them fits, the pair is refused rather than guessed.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Any

from harness.engine.rules import spaces_moved
from harness.engine.services.retrying import Retryable
from harness.errors import EngineError
from harness.records.answers import LogLikelihood


class Unscorable(EngineError):
    """A pair that cannot be scored from an echoed prompt. It never leaves the engines."""


TRIAL = "one two three four"
"""A prompt of several tokens in any tokenizer, to find out whether a server echoes."""


COLUMNS = ("tokens", "text_offset", "token_logprobs", "top_logprobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedTokens:
    """The prompt's tokens as they came back, without what was generated after them."""

    tokens: Sequence[str]
    offsets: Sequence[int]
    """Where each begins; one more than tokens: the last is where the prompt ends."""
    logprobs: Sequence[float | None]
    """None for the first, which nothing predicts."""
    top: Sequence[Mapping[str, float] | None]
    """The likeliest tokens at each place, with their log-probabilities."""


def echo_request(model: str, text: str) -> dict[str, Any]:
    """The body that asks for a text's log-probabilities. One token is generated: some servers refuse none."""
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def echoes(body: Mapping[str, Any]) -> bool:
    """Whether the answer to `echo_request(…, TRIAL)` holds what log-likelihoods need."""
    try:
        echoed = echoed_tokens(body, TRIAL)
    except Retryable:
        return False
    scored = echoed.logprobs[1:]
    whole = _without_spaces("".join(echoed.tokens)).endswith(_without_spaces(TRIAL))
    return whole and bool(scored) and None not in scored and None not in echoed.top[1:]


def log_likelihood(body: Mapping[str, Any], context: str, continuation: str) -> LogLikelihood:
    """The log-likelihood of the continuation, from the answer for both together.

    Raises Retryable for an answer that is not whole, Unscorable for a pair that cannot be scored this way.
    """
    context, continuation = spaces_moved(context, continuation)
    echoed = echoed_tokens(body, context + continuation)
    first = boundary(echoed, context, continuation)
    scored = echoed.logprobs[first:]
    if not scored:
        raise Unscorable(
            f"the continuation {continuation!r} cannot be scored: it is the end of a token that begins in "
            "its context, and a server's echo does not tell them apart"
        )
    if None in scored:
        raise Unscorable(
            f"the continuation {continuation!r} cannot be scored: its context is empty, and the server gives "
            "no log-probability for a first token"
        )
    logprobs = [value for value in scored if value is not None]
    likeliest = [max((top or {}).values(), default=math.inf) for top in echoed.top[first:]]
    return LogLikelihood(
        logprob=math.fsum(logprobs),
        greedy=all(value >= top for value, top in zip(logprobs, likeliest, strict=True)),
        tokens=len(logprobs),
    )


def echoed_tokens(body: Mapping[str, Any], text: str) -> EchoedTokens:
    """The prompt's tokens in an answer. Raises Retryable where they are not there, or not whole."""
    tokens, offsets, logprobs, top = token_columns(body)
    count = _prompt_tokens(tokens, text, body.get("usage"))
    if count == 0:
        raise Retryable("an answer that does not echo the prompt")
    return EchoedTokens(
        tokens=tokens[:count],
        offsets=[*offsets, offsets[-1] + len(tokens[-1])][: count + 1],
        logprobs=logprobs[:count],
        top=top[:count],
    )


def token_columns(
    body: Mapping[str, Any],
) -> tuple[list[str], list[int], list[float | None], list[Mapping[str, float] | None]]:
    """An answer's tokens: texts, offsets, log-probabilities and the likeliest ones at each place.

    Raises Retryable where they are not there, or not whole.
    """
    try:
        found = body["choices"][0]["logprobs"]
        tokens, offsets, logprobs, top = (list(found[name]) for name in COLUMNS)
    except (KeyError, IndexError, TypeError) as error:
        raise Retryable("an answer without the prompt's log-probabilities") from error
    if not tokens or any(len(column) != len(tokens) for column in (offsets, logprobs, top)):
        raise Retryable("an answer whose log-probabilities are not one per token")
    likeliest = [value for each in top if isinstance(each, Mapping) for value in each.values()]
    if not (
        all(isinstance(token, str) for token in tokens)
        and all(isinstance(offset, int) for offset in offsets)
        and all(value is None or _is_number(value) for value in logprobs)
        and all(each is None or isinstance(each, Mapping) for each in top)
        and all(map(_is_number, likeliest))
    ):
        raise Retryable("an answer whose log-probabilities are no numbers")
    return tokens, offsets, logprobs, top


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)


def _prompt_tokens(tokens: Sequence[str], text: str, usage: object) -> int:
    """How many tokens are the prompt's: all, or all but the last, which was generated."""
    for count in (len(tokens) - 1, len(tokens)):
        if _without_spaces("".join(tokens[:count])).endswith(_without_spaces(text)):
            return count
    # texts do not add up; what the server counts may or may not count a BOS token, and so is only a hint
    stated = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return len(tokens) if stated == len(tokens) else len(tokens) - 1


def boundary(echoed: EchoedTokens, context: str, continuation: str) -> int:
    """The place of the continuation's first token. Raises Unscorable where nothing shows it."""
    tokens = [_without_spaces(token) for token in echoed.tokens]
    # A token without a text, such as a single space's, is the continuation's: no context ends with spaces.
    wanted = _without_spaces(continuation)
    endings = accumulate(reversed(tokens), lambda after, token: token + after)
    short = takewhile(lambda text: len(text) <= len(wanted), endings)
    fitting = [count for count, text in enumerate(short, 1) if text == wanted]
    if fitting:
        return len(tokens) - fitting[-1]
    for bos in (0, 1):
        for count, text in enumerate(accumulate(tokens[bos:]), 1):
            if text == _without_spaces(context):
                return bos + count
    if echoed.offsets[-1] - len(context + continuation) not in (
        0,
        echoed.offsets[0],
        len(echoed.tokens[0]),
    ):
        raise Unscorable(
            f"the continuation {continuation!r} cannot be scored: the texts of the server's tokens do not "
            "add up to it, nor to its context, and their offsets do not fit"
        )
    return bisect_left(echoed.offsets, echoed.offsets[-1] - len(continuation), hi=len(tokens))


def _without_spaces(text: str) -> str:
    return text.replace(" ", "")
