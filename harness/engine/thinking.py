"""Wraps any engine: applies its model's chat settings, and separates thoughts from answers.

With every engine, a suite, a judge and a rater get the answer alone, and the thought beside it
(`harness.thoughts` decides which is which). A system prompt precedes every conversation, in one turn with the
conversation's own where it has one; a bare text has no place for it. A choice is never scored within a
thought: one that the prompt opens is closed before it, empty, as it is for answers where thinking is off.

A suite's stop string does not end a thought. An engine that cannot distinguish is asked without stop strings
where its model is known to think, and asked again without them where one ended a text before its answer.

A server's chat template can open a thought that the server does not separate. A text that was cut before the
thought ended then holds no tag at all. When the first such text comes, the server is sent a short request,
whose answer shows whether its texts begin within a thought.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness import thoughts
from harness.engine.unloaded_engine import UnloadedEngine
from harness.errors import EngineError, ModelError
from harness.protocols import SERVED_TEMPLATE, Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Endpoint, Json, Local, Model

HELLO = (Message(role="user", content="Hello"),)
SHORT = (Message(role="user", content="Say yes."),)
"""A request that even a model that thinks answers soon."""
LOOKING = 1024
"""Tokens that its answer may have."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A prompt as it is sent to the engine."""

    prompt: Prompt
    opened: str | None
    """The thought it leaves open; None where that is not known here."""


class ThinkingEngine:
    """An engine whose answers come without their thoughts. Matches `harness.protocols.Engine`.

    `fingerprint` covers how the model is asked.
    """

    def __init__(self, engine: Engine, model: Model, fingerprint: str, *, looks: bool = True) -> None:
        self._engine = engine
        is_stated = model.thinking is not None or model.thinking_tags is not None
        self._looks = looks and isinstance(model.source, Endpoint) and not is_stated
        self._model = model
        self._fingerprint = fingerprint
        self._tags = thoughts.tags_of(model)
        self._thinks = bool(model.thinking or model.thinking_tokens or model.thinking_tags)
        self._begins_within = bool(model.thinking or model.thinking_tags)
        """Whether a server's texts begin within a thought, as far as is known."""

    @property
    def info(self) -> EngineInfo:
        """The engine's, with how the model's section says it is asked, and what becomes of a thought."""
        info = replace(self._engine.info, fingerprint=self._fingerprint)
        if isinstance(self._engine, UnloadedEngine):  # described as when the model was there
            return info
        return replace(
            info, description={**info.description, **self._model.chat_settings, **self._of_thoughts}
        )

    @property
    def can_score(self) -> bool:
        return self._engine.can_score

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as the text the model reads, after the model's system prompt.

        Raises ModelError also where the template leaves the system prompt out.
        """
        text = self._engine.render(self._with_system(messages), open_turn=open_turn)
        if self._model.system is not None and self._model.system.strip() not in text:
            raise ModelError(
                f"model {self._model.name!r}: its chat template leaves system turns out, so that `system` "
                "would change nothing; leave it out, or name another `chat_template`"
            )
        return text

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Continue every prompt; each response has the answer alone, and its thought beside it."""
        asked = [self._asked(prompt) for prompt in prompts]
        sent = self._sent(sampling)
        cut: dict[int, Response] = {}
        for index, response in self._engine.generate([each.prompt for each in asked], sent):
            if asked[index].opened is None:
                response = self._looked_at(response)
            if sent.stop and thoughts.cut_within(response, opened=asked[index].opened, tags=self._tags):
                cut[index] = response
            else:
                yield index, self._apart(response, asked[index], sampling)
        for index, response in self._again(asked, list(cut), replace(sent, stop=())):
            yield index, self._apart(_counted(response, cut[index]), asked[index], sampling)

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        """Score every continuation as an answer: after a thought that the context opens, closed empty."""
        contexts = {context: thoughts.closed(context, self._tags) for context, _ in pairs}
        return self._engine.loglikelihood(
            [(contexts[context], continuation) for context, continuation in pairs]
        )

    def close(self) -> None:
        self._engine.close()

    def _again(
        self, asked: Sequence[_Asked], which: Sequence[int], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        if which:
            for place, response in self._engine.generate([asked[index].prompt for index in which], sampling):
                yield which[place], response

    def _apart(self, response: Response, asked: _Asked, sampling: SamplingParameters) -> Response:
        return thoughts.separate_thought(
            response,
            opened=asked.opened,
            tags=self._tags,
            stop=sampling.stop,
            thinks=self._begins_within,
        )

    def _looked_at(self, response: Response) -> Response:
        """Find out whether a server's texts begin within a thought, where this one depends on it."""
        is_cut = response.stop_reason == "length" and response.thought is None
        if not self._looks or not is_cut:
            return response
        if thoughts.split_thought(response.text, tags=self._tags).thought is not None:
            return response
        self._looks = False
        short = self._asked(Prompt(content=SHORT)).prompt
        try:
            [(_, shown)] = self._engine.generate([short], SamplingParameters(max_tokens=LOOKING))
        except (ModelError, EngineError):  # it does not take so many tokens, or has gone away
            return response
        self._begins_within = thoughts.begins_within(shown.text, self._tags)
        return _counted(response, shown)

    def _sent(self, sampling: SamplingParameters) -> SamplingParameters:
        """The sampling sent to the engine. One that runs the model here knows itself where a thought ends."""
        if isinstance(self._model.source, Local) or not self._thinks:
            return sampling
        room = self._model.thinking_tokens or 0
        return replace(sampling, stop=(), max_tokens=sampling.max_tokens + room)

    def _asked(self, prompt: Prompt) -> _Asked:
        """A local model's conversation is sent as text where its template mentions thoughts."""
        content = prompt.content
        if not isinstance(content, str):
            if not isinstance(self._model.source, Local):
                return _Asked(replace(prompt, content=tuple(self._with_system(content))), None)
            if not self._speaks_of_thoughts and self._model.system is None:
                return _Asked(prompt, "")
            content = self.render(content, open_turn=content[-1].role != "assistant")
        if self._model.thinking is False:
            content = thoughts.closed(content, self._tags)
        return _Asked(replace(prompt, content=content), thoughts.left_open(content, self._tags))

    def _with_system(self, messages: Sequence[Message]) -> Sequence[Message]:
        system = self._model.system
        if system is None:
            return messages
        if messages[0].role == "system":
            system, messages = f"{system}\n\n{messages[0].content}", messages[1:]
        return (Message(role="system", content=system), *messages)

    @cached_property
    def _speaks_of_thoughts(self) -> bool:
        return thoughts.named_in([self._engine.info.chat_template or ""], self._tags)

    @cached_property
    def _of_thoughts(self) -> Mapping[str, Json]:
        """What becomes of a thought that the chat template opens; empty where it opens none."""
        if self._engine.info.chat_template == SERVED_TEMPLATE or not self._speaks_of_thoughts:
            return {}
        try:
            opened = thoughts.closed(text := self.render(HELLO), self._tags) != text
        except ModelError:  # a template that wants other turns: what it opens shows in each prompt
            return {}
        if self._model.thinking is False:
            return {"template_thought": "closed empty" if opened else "switched off"}
        return {"template_thought": "opened, and closed empty before choices are scored"} if opened else {}


def _counted(response: Response, before: Response) -> Response:
    """A response that includes the cost of the request before it."""
    return replace(
        response,
        prompt_tokens=response.prompt_tokens + before.prompt_tokens,
        completion_tokens=response.completion_tokens + before.completion_tokens,
        seconds=response.seconds + before.seconds,
    )
