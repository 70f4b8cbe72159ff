"""Whether the log-probabilities that a server echoes are its own model's, each at its own token.

Not every server's are: llama-cpp-python 0.3.36 gives every token the log-probability of the place after it.
So a server first continues some texts greedily, with log-probabilities, and then echoes each text with its
continuation. A token's log-probability must be the same both times, but for rounding and for the noise of
computing one token at a time or many at once: a few hundredths in bfloat16.

Tokens of high probability prove little, since other models are as sure of them; so some must be less sure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.engine.services.prompt_logprobs import (
    EchoedTokens,
    Unscorable,
    boundary,
    echoed_tokens,
    token_columns,
)
from harness.engine.services.retrying import Retryable

TEXTS = (
    "The capital of France is",
    "Once upon a time there was a",
    "In the morning I went to the market and bought some",
    "The most important thing about a good book is",
)
CONTINUED = 16
"""The tokens with which each text is continued."""
NEEDED = 16
"""The least number of tokens that must be compared."""
NEEDED_UNSURE = 8
"""The least number among them of which the model is not sure."""
UNSURE = -0.1
"""The log-probability below which the model is not sure of a token."""
TOLERANCE, RELATIVE_TOLERANCE = 0.15, 0.05
"""How much two log-probabilities of a token may differ: absolutely, and in proportion to the first."""
MOST = 0.8
"""The share of tokens that must agree, of all and of those that the model is not sure of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that a server generated, with its log-probability then and when it was echoed."""

    before: str
    """The text that it continues."""
    text: str
    generated: float
    echoed: float | None
    neighbours: tuple[float | None, float | None]
    """What was echoed of the token before it, and of the one after it."""
    follower: tuple[str, float] | None
    """The token generated next."""
    top: Mapping[str, float]
    """The likeliest tokens that were echoed at its place."""

    @property
    def is_unsure(self) -> bool:
        return self.generated < UNSURE


def continuation_request(model: str, text: str) -> dict[str, Any]:
    """The body that has a text continued greedily, with the log-probability of each token."""
    return {"model": model, "prompt": text, "max_tokens": CONTINUED, "temperature": 0, "logprobs": 1}


def continuation_of(body: Mapping[str, Any]) -> str:
    """The continuation in the answer to that; empty where there is none."""
    try:
        text = body["choices"][0]["text"]
    except (KeyError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""


def compared(continued: Mapping[str, Any], echoed: Mapping[str, Any], text: str) -> list[Token]:
    """The tokens of a continuation, up to the first that came back as another; `echoed` is of both texts."""
    continuation = continuation_of(continued)
    try:
        tokens, _, logprobs, _ = token_columns(continued)
        echo = echoed_tokens(echoed, text + continuation)
        first = boundary(echo, text, continuation)
    except (Retryable, Unscorable):
        return []
    found = []
    generated = [(token, value) for token, value in zip(tokens, logprobs, strict=True) if value is not None]
    for place, (token, value) in enumerate(generated):
        at = first + place
        if at >= len(echo.tokens) or echo.tokens[at].strip(" ") != token.strip(" "):
            break
        found.append(
            Token(
                before=text + "".join(tokens[:place]),
                text=token,
                generated=value,
                echoed=echo.logprobs[at],
                neighbours=(_value(echo, at - 1), _value(echo, at + 1)),
                follower=generated[place + 1] if place + 1 < len(generated) else None,
                top=echo.top[at] or {},
            )
        )
    return found


def doubt(tokens: Sequence[Token]) -> str | None:
    """Why the echoed log-probabilities cannot be used; None where they are those of generation."""
    unsure = [token for token in tokens if token.is_unsure]
    if len(tokens) < NEEDED or len(unsure) < NEEDED_UNSURE:
        return (
            "the log-probabilities that it echoes could not be checked: of its own continuations, "
            f"{len(tokens)} tokens came back that can be compared, {len(unsure)} of which it was not sure "
            f"of, and {NEEDED} and {NEEDED_UNSURE} are needed"
        )
    if all(_mostly(_alike(each.generated, each.echoed) for each in some) for some in (tokens, unsure)):
        return None
    worst = max(tokens, key=_difference)
    kind = "are not those of the tokens that it generates"
    shifts = (
        (_alike(each.generated, each.neighbours[0]) for each in unsure),
        (_alike(each.generated, each.neighbours[1]) for each in unsure),
        map(_foresees, unsure),
    )
    if any(map(_mostly, shifts)):
        kind = "are shifted by one place"
    return (
        f"the log-probabilities that it echoes {kind}: for {worst.text!r} after {worst.before!r} it gave "
        f"{worst.generated:.2f} when it generated it, and {_shown(worst.echoed)} when it echoed it"
    )


def _value(echo: EchoedTokens, place: int) -> float | None:
    return echo.logprobs[place] if 0 <= place < len(echo.logprobs) else None


def _mostly(held: Iterable[bool]) -> bool:
    return fmean(held) >= MOST


def _foresees(token: Token) -> bool:
    """Whether what was echoed at its place is about the token after it."""
    if token.follower is None:
        return True
    text, value = token.follower
    return _alike(value, token.top.get(text))


def _alike(generated: float, echoed: float | None) -> bool:
    if echoed is None:
        return False
    return abs(generated - echoed) <= TOLERANCE + RELATIVE_TOLERANCE * abs(generated)


def _difference(token: Token) -> float:
    return float("inf") if token.echoed is None else abs(token.generated - token.echoed)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
