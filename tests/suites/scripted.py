"""An engine for tests of suites: answers are functions of what is asked, and come in any order asked for."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters


def says(text: str) -> Response:
    """A whole answer."""
    return Response(text=text, stop_reason="end")


@dataclass
class FunctionEngine:
    """Counts what it is asked, and answers in an order that `shuffle` decides."""

    answer: Callable[[Prompt], Response] = lambda prompt: says("")
    logprob: Callable[[str, str], float] = lambda context, continuation: -float(len(continuation))
    chat_template: str | None = None
    can_score: bool = True
    fingerprint: str = "function"
    shuffle: int = 0
    prompts: list[Prompt] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    samplings: list[SamplingParameters] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        """Any fingerprint, and no description."""
        return EngineInfo(fingerprint=self.fingerprint, chat_template=self.chat_template)

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns in angle brackets."""
        text = "".join(f"<{message.role}>{message.content}" for message in messages)
        return text + ("<assistant>" if open_turn else "")

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """One answer per prompt."""
        self.prompts += prompts
        self.samplings.append(sampling)
        for index in self._order(len(prompts)):
            yield index, self.answer(prompts[index])

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """One log-likelihood per pair."""
        self.pairs += pairs
        for index in self._order(len(pairs)):
            yield index, LogLikelihood(logprob=self.logprob(*pairs[index]), greedy=False, tokens=1)

    def close(self) -> None:
        """Nothing to give back."""

    def _order(self, size: int) -> list[int]:
        return random.Random(self.shuffle).sample(range(size), size)
