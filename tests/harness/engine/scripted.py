"""An engine that answers from a list, a mapping or a function: for tests.

It keeps what it was asked. Lengths are counted in words, as there is no tokenizer.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness import thoughts
from harness.errors import EngineError, ModelError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters

Answers = Sequence[str] | Mapping[str, str] | Callable[[Prompt], str]


class ScriptedEngine:
    """A model whose answers are written down. Matches `harness.protocols.Engine`.

    `answers` as a list are given in the order of asking, and running out is an EngineError; a mapping answers
    by the prompt's text (rendered, for turns); a function is called with the Prompt. `likelihood` returns the
    log-likelihood of a (context, continuation); without it the engine cannot score. `chat_template` is only
    shown: turns are rendered as `role: content` lines, and refused where it is None.
    """

    def __init__(
        self,
        answers: Answers = (),
        *,
        likelihood: Callable[[str, str], float] | None = None,
        name: str = "scripted",
        chat_template: str | None = None,
    ) -> None:
        self._answers = answers
        self._likelihood = likelihood
        self._name = name
        self._chat_template = chat_template
        self._given = 0
        self.asked: list[Prompt | tuple[str, str]] = []
        """Every prompt and every pair, in the order of asking."""
        self.closed = False

    @property
    def info(self) -> EngineInfo:
        """The fingerprint is a hash of the name and the chat template: the same for equally named engines."""
        digest = hashlib.sha256(f"{self._name}\0{self._chat_template}".encode()).hexdigest()
        return EngineInfo(
            fingerprint=f"sha256:{digest}",
            chat_template=self._chat_template,
            description={"engine": "scripted", "name": self._name},
        )

    @property
    def can_score(self) -> bool:
        return self._likelihood is not None

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as lines of `role: content`. Raises ModelError without a chat template."""
        if self._chat_template is None:
            raise ModelError(f"{self._name}: the model has no chat template, so it cannot be asked in turns")
        lines = [f"{message.role}: {message.content}" for message in messages]
        return "\n".join([*lines, "assistant:"] if open_turn else lines)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answer in the order of asking, cut by `stop` and, counted in words, by `max_tokens`.

        A thought before an answer is set apart.
        """
        for index, prompt in enumerate(prompts):
            self.asked.append(prompt)
            yield index, _response(self._answer(prompt), sampling)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """Score in the order of asking. Raises EngineError where no `likelihood` was given."""
        if self._likelihood is None:
            raise EngineError(f"{self._name}: this engine cannot score")
        for index, (context, continuation) in enumerate(pairs):
            self.asked.append((context, continuation))
            logprob = self._likelihood(context, continuation)
            yield index, LogLikelihood(logprob=logprob, greedy=logprob == 0, tokens=len(continuation.split()))

    def close(self) -> None:
        self.closed = True

    def _answer(self, prompt: Prompt) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        text = prompt.content if isinstance(prompt.content, str) else self.render(prompt.content)
        if isinstance(self._answers, Mapping):
            if text not in self._answers:
                raise EngineError(f"{self._name}: nothing is scripted for the prompt {text!r}")
            return self._answers[text]
        if self._given == len(self._answers):
            raise EngineError(f"{self._name}: all {self._given} scripted answers are given")
        self._given += 1
        return self._answers[self._given - 1]


def _response(answer: str, sampling: SamplingParameters) -> Response:
    text = thoughts.cut_at_stops(answer, sampling.stop)
    words = text.split()
    if len(words) > sampling.max_tokens:
        words = words[: sampling.max_tokens]
        response = Response(text=" ".join(words), stop_reason="length", completion_tokens=len(words))
    else:
        response = Response(text=text, stop_reason="end", completion_tokens=len(words))
    return thoughts.separate_thought(response, stop=sampling.stop)
