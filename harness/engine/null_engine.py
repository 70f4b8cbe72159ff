"""An engine that says nothing: for whoever wants to know what a suite asks, and not what a model answers.

Every answer has failed, which a suite counts and does not score, and every continuation has the
log-likelihood 0. It does not know who asks.
"""

from collections.abc import Iterator, Mapping, Sequence

from harness.records import Json, Likelihood, Message, Prompt, Response, Sampling


class NullEngine:
    """Nobody. Matches `harness.protocols.Engine`."""

    fingerprint = "silent"
    can_score = True
    chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    """So that prompts of several turns can be asked."""

    @property
    def description(self) -> Mapping[str, Json]:
        """That it is silent."""
        return {"engine": "silent"}

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """The turns, each on a line."""
        return "".join(f"{message.content}\n" for message in messages)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, Response]]:
        """Fail at every prompt."""
        for index in range(len(prompts)):
            yield index, Response(text="", stopped="failed", reason="nobody was asked")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Likelihood]]:
        """Find everything certain."""
        for index in range(len(pairs)):
            yield index, Likelihood(logprob=0.0, greedy=False, tokens=1)

    def close(self) -> None:
        """Nothing to give back."""
