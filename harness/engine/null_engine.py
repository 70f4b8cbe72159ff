"""An engine without a model, which shows what a suite asks.

Every answer has failed, which a suite counts and does not score, and every continuation has the
log-likelihood 0.
"""

from collections.abc import Iterator, Sequence

from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters


class NullEngine:
    """No model. Matches `harness.protocols.Engine`."""

    can_score = True
    info = EngineInfo(
        fingerprint="silent",  # part of the identity of mixes that are kept apart from a judged suite
        # so that prompts of several turns can be asked
        chat_template="{% for message in messages %}{{ message['content'] }}\n{% endfor %}",
        description={"engine": "silent"},
    )

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return "".join(f"{message.content}\n" for message in messages)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        for index in range(len(prompts)):
            yield index, Response(text="", stop_reason="failed", reason="nobody was asked")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        for index in range(len(pairs)):
            yield index, LogLikelihood(logprob=0.0, greedy=False, tokens=1)

    def close(self) -> None:
        """Nothing is held."""
