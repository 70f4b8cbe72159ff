"""Costs of judging: an estimate and an upper limit beforehand; afterwards, the cost by the tokens used."""

from collections.abc import Iterable

from harness.calls import Call, ScoringCall
from harness.engine.services.rate_limits import CHARACTERS_PER_TOKEN
from harness.records.answers import Prompt, Response
from harness.registry import TokenPrice

AROUND_A_PROMPT = 64
"""Tokens that a service may put around what it is asked, at most: its chat template's."""


class Budget:
    """What all judges of a command together may cost, and what they have cost. No limit: None."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = 0.0

    def allows(self, amount: float) -> bool:
        """Whether so much more can be spent."""
        return self.limit is None or self.spent + amount <= self.limit


def usual_tokens(prompt: Prompt) -> int:
    """About how many tokens a prompt takes."""
    return sum(map(len, _texts(prompt))) // CHARACTERS_PER_TOKEN + 1


def most_tokens(prompt: Prompt) -> int:
    """How many tokens a prompt takes at most: no tokenizer in use makes more of a text than it has bytes."""
    return AROUND_A_PROMPT + sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(prompt))


def most_cost(prompt: Prompt, max_tokens: int, price: TokenPrice | None) -> float:
    """What a request costs at most."""
    return 0.0 if price is None else price.of(most_tokens(prompt), max_tokens)


def most_costs(call: Call, price: TokenPrice | None) -> list[float]:
    """What each request of a call costs at most."""
    if isinstance(call, ScoringCall):
        return [most_cost(Prompt(content=context + choice), 1, price) for context, choice in call.pairs]
    return [most_cost(prompt, call.sampling.max_tokens, price) for prompt in call.prompts]


def cost_of(reply: Response, price: TokenPrice | None) -> float | None:
    """What a reply cost; None where nothing is to be paid, or the service did not say what it took."""
    if price is None or not reply.prompt_tokens:
        return None
    return price.of(reply.prompt_tokens, reply.completion_tokens)


def _texts(prompt: Prompt) -> Iterable[str]:
    texts = [prompt.content] if isinstance(prompt.content, str) else [turn.content for turn in prompt.content]
    return texts if prompt.schema is None else [*texts, prompt.schema]
